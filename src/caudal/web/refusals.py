"""Refusals: a JSON document for programs, a page for people, never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from flask import Flask, Response, jsonify, render_template, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from caudal.errors import CaudalError, NotThere

log = logging.getLogger(__name__)

STATUS: dict[type[CaudalError], int] = {NotThere: 404}
HINTS = {
    400: "Send one JSON document in UTF-8; an image as the file 'image' of a form, or in base64.",
    404: "See the list of models at /, and of operations at /docs.",
    405: "See /docs for the methods of each address.",
    413: "Send fewer rows in one request, or a smaller image: with all that is around it a request for one has 12 MB at most.",
    429: "Wait for as many seconds as the header 'Retry-After' says.",
    406: "Leave 'Accept' out, or name one of them.",
    415: "Send JSON, with the header 'Content-Type: application/json'; many rows also as application/x-ndjson or application/vnd.apache.arrow.stream.",
}


def register_error_handlers(
    app: Flask,
    hints: Mapping[int, str] = HINTS,
    translate_request_error: Callable[[Exception], HTTPException | None] = lambda _: None,
) -> None:
    """Register an app's error handlers, each status with its hint.

    Parameters
    ----------
    translate_request_error : returns the refusal for a library's exception that a wrong request caused; None for a fault of the server
    """

    @app.errorhandler(CaudalError)
    def handle_caudal_error(error: CaudalError) -> Response:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
        return _refusal(status, type(error).__name__, error.what, error.nearest, error.fix)

    @app.errorhandler(HTTPException)
    def handle_http_error(error: HTTPException) -> Response:
        status = error.code or 500
        sentence = f"There is nothing at {request.path}." if status == 404 else error.description or error.name
        refusal = _refusal(status, error.name.replace(" ", ""), sentence, None, hints.get(status))
        for name, value in error.get_headers(request.environ):
            if name in ("Allow", "Retry-After"):  # a 405 must say what is allowed
                refusal.headers[name] = value
        return refusal

    @app.errorhandler(SQLAlchemyError)
    def handle_ledger_error(error: SQLAlchemyError) -> Response:
        log.error("the ledger cannot be read", exc_info=error)
        return _refusal(503, "LedgerProblem", "The ledger cannot be read now.", None, "Look at the server's log, and at /ready.")

    @app.errorhandler(Exception)
    def handle_other_error(error: Exception) -> Response:
        refusal = translate_request_error(error)
        if refusal is not None:
            log.warning("a request to %s is refused", request.path, exc_info=error)
            return handle_http_error(refusal)
        log.critical("a fault of caudal's own at %s %s", request.method, request.path, exc_info=error)
        return _refusal(500, "Fault", "This is a fault of the server's own.", None, "Its log has the details.")


def answers_json() -> bool:
    """Return whether the response is JSON, by the path or the Accept header."""
    if request.path.startswith("/api/") or request.path in ("/openapi.json", "/health", "/ready", "/metrics"):
        return True
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def _refusal(status: int, kind: str, sentence: str, nearest_name: str | None, fix: str | None) -> Response:
    if answers_json():
        response = jsonify({"error": kind, "what": sentence, "nearest": nearest_name, "fix": fix})
    else:
        page: dict[str, object] = {"status": status, "what": sentence, "nearest": nearest_name, "fix": fix}
        response = Response(render_template("refusal.html", **page), mimetype="text/html")
    response.status_code = status
    return response
