"""Every refusal is a document for programs or a page for people; never a stack trace."""

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
    429: "Wait, then send the right key.",
    415: "Send JSON, with the header 'Content-Type: application/json'.",
}


def refuse(
    app: Flask, hints: Mapping[int, str] = HINTS, callers_fault: Callable[[Exception], HTTPException | None] = lambda _: None
) -> None:
    """Register an app's error handlers, each status with its hint.

    Parameters
    ----------
    callers_fault : returns the answer to a library's exception that a wrong request has caused; None for a fault of the server
    """

    @app.errorhandler(CaudalError)
    def handle_caudal_error(error: CaudalError) -> Response:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
        return _answer(status, type(error).__name__, error.what, error.nearest, error.fix)

    @app.errorhandler(HTTPException)
    def handle_http_error(error: HTTPException) -> Response:
        status = error.code or 500
        what = f"There is nothing at {request.path}." if status == 404 else error.description or error.name
        answer = _answer(status, error.name.replace(" ", ""), what, None, hints.get(status))
        for name, value in error.get_headers(request.environ):
            if name in ("Allow", "Retry-After"):  # a 405 must say what is allowed
                answer.headers[name] = value
        return answer

    @app.errorhandler(SQLAlchemyError)
    def handle_ledger_error(error: SQLAlchemyError) -> Response:
        log.error("the ledger cannot be read", exc_info=error)
        return _answer(503, "LedgerProblem", "The ledger cannot be read now.", None, "Look at the server's log, and at /ready.")

    @app.errorhandler(Exception)
    def handle_other_error(error: Exception) -> Response:
        refusal = callers_fault(error)
        if refusal is not None:
            log.warning("a request to %s is refused", request.path, exc_info=error)
            return handle_http_error(refusal)
        log.critical("a fault of caudal's own at %s %s", request.method, request.path, exc_info=error)
        return _answer(500, "Fault", "This is a fault of the server's own.", None, "Its log has the details.")


def for_programs() -> bool:
    """Return whether the caller wants JSON."""
    if request.path.startswith("/api/") or request.path in ("/openapi.json", "/health", "/ready", "/metrics"):
        return True
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def _answer(status: int, kind: str, what: str, near: str | None, fix: str | None) -> Response:
    if for_programs():
        response = jsonify({"error": kind, "what": what, "nearest": near, "fix": fix})
    else:
        page: dict[str, object] = {"status": status, "what": what, "nearest": near, "fix": fix}
        response = Response(render_template("refusal.html", **page), mimetype="text/html")
    response.status_code = status
    return response
