"""The fast lane: single predictions answered in front of the app, without routing, hooks and response objects of Flask.

It answers what is plain: a right key or a local host, one JSON object that is a valid row, a champion in memory that predicts from it. All else goes to the
app with its body, so that the app alone decides on refusals. A request is counted by whichever lane answers it.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pydantic_core import from_json

from caudal.serve.champion_cache import ChampionCache
from caudal.serve.meter import Meter
from caudal.serve.minute_log import SentRows, ServingMinuteLog
from caudal.serve.predicting import Answer, answer_or_none, with_lookups
from caudal.serve.served import Served
from caudal.web.access import HEADERS, Access

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROUTE = "/api/v1/<product>/<model>/predict"
LONGEST_BODY = 64 * 1024  # of a body; a longer one is the app's
JSON_TYPES = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})

_encode = json.JSONEncoder(separators=(",", ":")).encode  # as Flask writes JSON


class FastLane:
    """A WSGI layer over the app.

    Parameters
    ----------
    app : what answers all that the lane does not
    """

    def __init__(self, app: WSGIApplication, champions: ChampionCache, access: Access, meter: Meter, log: ServingMinuteLog) -> None:
        self.app, self._champions, self._access, self._meter, self._log = app, champions, access, meter, log
        headers = {"Content-Type": "application/json", **HEADERS, "Cache-Control": "no-store"}
        if access.key:  # the app has looked for a session then
            headers["Vary"] = "Cookie"
        self._headers = list(headers.items())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or have the app answer it."""
        path: str = environ.get("PATH_INFO", "")
        if path.endswith("/predict") and environ.get("REQUEST_METHOD") == "POST":
            content = self._answer(path, environ)
            if content is not None:
                start_response("200 OK", [*self._headers, ("Content-Length", str(len(content)))])
                return [content]
        return self.app(environ, start_response)

    def _answer(self, path: str, environ: WSGIEnvironment) -> bytes | None:
        """Return the answer to a prediction; None, with the body to be read again, where the app has to answer."""
        started = time.perf_counter()
        served = self._served(path)
        if served is None or environ.get("QUERY_STRING") or environ.get("SCRIPT_NAME") or not self._access.admits_program(environ):
            return None
        body = _body(environ)
        if body is None:
            return None
        try:
            document = from_json(body, allow_inf_nan=True)
        except ValueError:
            return None
        row = served.row(document)
        answer: Answer | None = answer_or_none(served, row.values) if row.good else None
        if answer is None:
            return None
        content = _encode(with_lookups(answer, row)).encode() + b"\n"
        seconds = time.perf_counter() - started
        self._meter.count(ROUTE, 200, seconds)
        self._log.count(served.product, served.model, 200, seconds, SentRows(served, (row.values,)))
        return content

    def _served(self, path: str) -> Served | None:
        """Return the champion that a path names, if it is in memory."""
        parts = path.split("/")
        if len(parts) != 6 or parts[:3] != ["", "api", "v1"]:
            return None
        self._champions.refresh()
        return self._champions.cached.get((parts[3], parts[4]))


def _body(environ: WSGIEnvironment) -> bytes | None:
    """Return the body of a request, which can be read once more; None where it is not JSON, long, or of unknown length."""
    length: str = environ.get("CONTENT_LENGTH") or ""
    if environ.get("CONTENT_TYPE", "").lower() not in JSON_TYPES or not length.isdecimal() or int(length) > LONGEST_BODY:
        return None
    read: Callable[[int], bytes] = environ["wsgi.input"].read
    body = read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return body
