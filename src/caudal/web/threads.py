"""The app on threads: whole requests from the event loop to a WSGI app, and its answers back as it yields them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from caudal.web.streams import STREAMS_PER_THREAD, may_be_streamed, send_stream, stream_slot, streamed_head

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

WAITING_PER_THREAD = 64  # requests; with more a newcomer is told to come back
RETRY_AFTER_S = 1
BUSY = "The server has as many requests as it can take."

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]

_OWN_NAMES = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}


class ThreadedApp:
    """An ASGI app that answers by a WSGI app on a few threads.

    A thread gets a request when its body has come, so a slow client holds no thread; a request that would wait behind many others is answered with 429 at once.

    Parameters
    ----------
    app : the WSGI app
    threads : most requests that are answered at a time
    most_bytes : length from which a body is refused, with 413
    """

    def __init__(self, app: WSGIApplication, *, threads: int, most_bytes: int) -> None:
        self.app, self.most_bytes = app, most_bytes
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._most_waiting = threads * WAITING_PER_THREAD
        self._most_streams = threads * STREAMS_PER_THREAD
        self._current = self._streams = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        if may_be_streamed(scope):
            await self._stream(scope, receive, send)
            return
        body = await self._body(scope, receive)
        if body is None:  # the client has gone
            return
        if len(body) > self.most_bytes:
            await _refuse(send, 413, "RequestEntityTooLarge", f"A request has {self.most_bytes} bytes at most.", None)
            return
        if self._current >= self._most_waiting:
            await _refuse(send, 429, "TooManyRequests", BUSY, RETRY_AFTER_S)
            return
        self._current += 1
        gone = threading.Event()
        watch = asyncio.ensure_future(_watch(receive, gone))
        try:
            await self._answer(environ_of(scope, body), send, gone)
        finally:
            self._current -= 1
            watch.cancel()

    async def _stream(self, scope: Message, receive: Receive, send: Send) -> None:
        """Ask the app before the body has come, and stream what it answers; what it refuses ends the connection, since the body may still come."""
        if self._streams >= self._most_streams or self._current >= self._most_waiting:
            await _refuse(send, 429, "TooManyRequests", BUSY, RETRY_AFTER_S, closes=True)
            return
        self._streams += 1
        loop = asyncio.get_running_loop()
        try:
            environ = environ_of(scope, b"")
            slot = stream_slot(environ)
            messages = list[Message]()  # kept until it is known whether the app streams: what it answers itself here is short
            messages += await loop.run_in_executor(self.executor, _run, self.app, environ, messages.append, threading.Event())
            head = messages[0] = streamed_head(messages[0], keeps_length=slot.answer is None)
            if slot.answer is not None:
                await send_stream(slot.answer, head, receive, send, partial(loop.run_in_executor, self.executor))
                return
            for message in messages:
                await send(message)
        finally:
            self._streams -= 1

    async def _body(self, scope: Message, receive: Receive) -> bytes | None:
        """Return the body of a request, or its beginning if it is too long; None if the client has gone."""
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if length.isdigit() and int(length) > self.most_bytes:
            return bytes(self.most_bytes + 1)
        parts, size = list[bytes](), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if not message.get("more_body") or size > self.most_bytes:
                return b"".join(parts)

    async def _answer(self, environ: WSGIEnvironment, send: Send, gone: threading.Event) -> None:
        loop = asyncio.get_running_loop()

        def forward(message: Message) -> None:
            asyncio.run_coroutine_threadsafe(send(message), loop).result()

        # What is left when the app returns is sent from here: most answers are one part, and need no second turn of the thread.
        for message in await loop.run_in_executor(self.executor, _run, self.app, environ, forward, gone):
            await send(message)


def _run(
    app: WSGIApplication, environ: WSGIEnvironment, forward: Callable[[Message], None], gone: threading.Event
) -> list[Message]:
    """Run the app in this thread, and return the messages that are left to be sent; all others are forwarded, each when the one before has been."""
    start: list[Message] = []
    written: list[bytes] = []
    length = -1

    def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], object]:
        nonlocal length
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), -1)
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        start[:] = [{"type": "http.response.start", "status": int(status.partition(" ")[0]), "headers": encoded}]
        return written.append

    size, rest = 0, b""
    content: Iterable[bytes] = app(environ, start_response)
    try:
        for part in content:
            rest = b"".join([*written, part])
            written.clear()
            size += len(rest)
            if size == length or gone.is_set():
                break
            if rest:
                for message in (*start, {"type": "http.response.body", "body": rest, "more_body": True}):
                    forward(message)
                start.clear()
                rest = b""
    finally:
        close = getattr(content, "close", None)
        if close is not None:
            close()
    return [*start, {"type": "http.response.body", "body": b"".join([rest, *written]), "more_body": False}]


async def _watch(receive: Receive, gone: threading.Event) -> None:
    """Note that the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()


def environ_of(scope: Message, body: bytes) -> WSGIEnvironment:
    """Return a request as WSGI has it.

    A header whose name has an underscore is left out: it would take the place of one with a hyphen.
    """
    host, port = scope.get("server") or ("localhost", 80)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"], "SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"), "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host, "SERVER_PORT": str(port or 0), "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0), "wsgi.url_scheme": scope.get("scheme") or "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False, "wsgi.input_terminated": True,
    }  # fmt: skip
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name or name == "transfer-encoding":
            continue
        key = _OWN_NAMES.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ.setdefault("CONTENT_LENGTH", str(len(body)))
    return environ


async def _refuse(send: Send, status: int, kind: str, sentence: str, retry_after_s: int | None, *, closes: bool = False) -> None:
    """Refuse a request before the app has seen it, with the document by which the app refuses."""
    fix = None if retry_after_s is None else "Send it once more a little later."
    content = json.dumps({"error": kind, "what": sentence, "nearest": None, "fix": fix}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    if closes or retry_after_s is None:
        headers.append((b"connection", b"close"))  # the rest of the body may still come
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
