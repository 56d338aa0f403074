"""The fast lane: single predictions answered in front of the app, without routing, hooks and response objects of Flask.

It answers what is plain: a valid key or a local host, one JSON object that is a valid row, a champion in memory that predicts from it. All else goes to the
app with its body, so that the app alone decides on refusals. A request is counted by whichever lane answers it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from caudal.registry.load import LoadedCompiledModel
from caudal.serve.champion_cache import ChampionCache
from caudal.serve.meter import Meter
from caudal.serve.minute_log import SentRows, ServingMinuteLog
from caudal.serve.predicting import Answer, answer_or_none, with_lookups
from caudal.serve.request_log import RequestLog
from caudal.serve.served import Served
from caudal.serve.trial import lane_answer
from caudal.tables.online import NotKept
from caudal.web.access import CALLER_KEY, Access
from caudal.web.connections import LONGEST_LANE_BODY, Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROUTE = "/api/v1/<product>/<model>/predict"
JSON_TYPES = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})

_SEEN = {
    b"host": "HTTP_HOST", b"cookie": "HTTP_COOKIE", b"authorization": "HTTP_AUTHORIZATION", b"x-api-key": "HTTP_X_API_KEY", b"content-type": "CONTENT_TYPE",
}  # fmt: skip


class FastLane:
    """A WSGI layer over the app, which connections of caudal's own server ask before there is a WSGI request.

    Parameters
    ----------
    app : what answers all that the lane does not
    """

    def __init__(
        self,
        app: WSGIApplication,
        champions: ChampionCache,
        access: Access,
        meter: Meter,
        log: ServingMinuteLog,
        requests: RequestLog,
    ) -> None:
        self.app, self._champions, self._access, self._meter, self._log, self._requests = (
            app,
            champions,
            access,
            meter,
            log,
            requests,
        )
        headers = {"Content-Type": "application/json", **access.headers, "Cache-Control": "no-store"}
        self._headers = list(headers.items())
        self._head = (
            "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items()).encode("latin-1") + b"content-length: "
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or have the app answer it."""
        path: str = environ.get("PATH_INFO", "")
        if path.endswith("/predict") and environ.get("REQUEST_METHOD") == "POST":
            self._champions.refresh()
            self._access.keys.refresh()
            content = (
                None if environ.get("QUERY_STRING") or environ.get("SCRIPT_NAME") else self._answer(self._served(path), environ)
            )
            if content is not None:
                start_response("200 OK", [*self._headers, ("Content-Length", str(len(content)))])
                return [content]
        return self.app(environ, start_response)

    def connection_answer(self, url: bytes, headers: Headers, body: bytes, address: str) -> bytes | None:
        """Answer a request on a connection of the server, in its event loop: a `caudal.web.connections.Lane`.

        All other requests wait meanwhile. So only compiled models predict here, and nothing looks for promotions or new keys: another thread has to.
        """
        path = url.decode("latin-1")
        served = self._served(path)
        if served is None or not isinstance(served.loaded, LoadedCompiledModel):
            return None
        environ: WSGIEnvironment = {"REMOTE_ADDR": address}
        for name, value in headers:
            key = _SEEN.get(name)
            if served.trial is not None and name == served.trial.connection_header:
                key = served.trial.header
            if key is not None:
                if key in environ:  # twice
                    return None
                environ[key] = value.decode("latin-1")
        content = self._answer(served, environ, body)
        return None if content is None else b"%b%d\r\n\r\n%b" % (self._head, len(content), content)

    def _answer(self, served: Served | None, environ: WSGIEnvironment, body: bytes | None = None) -> bytes | None:
        """Return the answer to a prediction; None, with the body to be read again, where the app has to answer."""
        started, in_loop = time.perf_counter(), body is not None
        if served is None or environ.get("CONTENT_TYPE", "").lower() not in JSON_TYPES:
            return None
        key = self._access.key_of_program(environ, "predict")
        if key is None or (
            key.limit is not None and key.limit.wait_s() > 0
        ):  # the app refuses it, and nothing is counted as predicted
            return None
        if body is None and (body := _body(environ)) is None:
            return None
        try:
            document = from_json(body, allow_inf_nan=True)
        except ValueError:
            return None
        try:
            row = served.row(document, may_wait=not in_loop)  # the loop waits for no other machine: a thread does
        except NotKept:
            return None
        answer: Answer | None = None
        if row.good and served.trial is None:
            answer = answer_or_none(served, row.values)
        elif row.good and served.trial is not None:
            environ[CALLER_KEY] = key.name
            answer = lane_answer(served, served.trial, row.values, document, environ, in_loop=in_loop)
        if answer is None or (key.limit is not None and not key.limit.take()):
            return None
        content = to_json(with_lookups(answer, row)) + b"\n"
        if self._requests.logged:
            self._requests.add(served, ((0, row, answer),), key.name)
        seconds = time.perf_counter() - started
        self._meter.count(ROUTE, 200, seconds)
        self._log.count(served.product, served.model, 200, seconds, SentRows(served, (row.values,)))
        return content

    def _served(self, path: str) -> Served | None:
        """Return the champion that a path names, if it is in memory."""
        parts = path.split("/")
        if len(parts) != 6 or parts[:3] != ["", "api", "v1"]:
            return None
        return self._champions.cached.get((parts[3], parts[4]))


def _body(environ: WSGIEnvironment) -> bytes | None:
    """Return the body of a request, which can be read once more; None where it is long, or of unknown length."""
    length: str = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or int(length) > LONGEST_LANE_BODY:
        return None
    read: Callable[[int], bytes] = environ["wsgi.input"].read
    body = read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return body
