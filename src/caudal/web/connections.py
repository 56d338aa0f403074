"""Connections of the server: their number, how long each may take to send a request, and requests that are answered at once.

A request has a deadline from its first byte to its last, and a new connection replaces the one that has waited longest without a request: a client that
holds connections open, or sends a byte now and then, cannot keep others out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from asyncio import Transport
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger(__name__)
# It tells of every request that is no HTTP, which anyone can send.
logging.getLogger("uvicorn.error").setLevel(logging.ERROR)

HEAD_S = 15.0  # for a connection's first request line and headers, and for each later request's
REQUEST_S = 90.0  # for a whole request with its body: 12 MB at 1 Mbit/s
IDLE_S = 75.0  # between two requests of one connection, and for a client that reads nothing of its answer
MOST_CONNECTIONS = 1000
MOST_HEAD_BYTES = 64 * 1024  # of a request line and its headers
LONGEST_LANE_BODY = 64 * 1024  # a longer one is the app's
SPARE_FILES = 40  # the ledger's connections, loaded models, pictures, the log
LEAST_CONNECTIONS = 8
LOOK_EVERY_S = 1.0
WARN_EVERY_S = 30.0

Headers = Sequence[tuple[bytes, bytes]]
Lane = Callable[[bytes, Headers, bytes, str], bytes | None]
"""Answers a ``POST`` from its path, headers, body and the caller's address with an answer's headers and body; None where the app has to."""

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_LONG_HEAD = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def most_connections(most: int = MOST_CONNECTIONS) -> int:
    """Return how many connections this process's file descriptors allow; raise the soft limit towards the hard one if needed."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most + SPARE_FILES + _open_files()
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return most
    return max(LEAST_CONNECTIONS, min(most, soft - SPARE_FILES - _open_files()))


class TimedConnection(HttpToolsProtocol):
    """A connection that knows how long it has waited for the rest of a request.

    Attributes
    ----------
    most : most connections of the server at a time
    lane : what answers requests that need no thread, if there is one
    has_asked : whether it has sent a complete request
    waiting_since : when it was made, the last answer was sent, or the current request began; monotonic seconds
    """

    most: int
    lane: Lane | None
    warning: ClassVar[list[float]] = [-WARN_EVERY_S]  # when somebody was sent away last

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        self.has_asked = False
        self.waiting_since = time.monotonic()
        self._arriving = self._head_done = self._in_lane = self._is_last = False
        self._head_bytes = self._unanswered = 0
        self._lane_body: list[bytes] = []
        self._unread, self._unread_since = 0, 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is being processed; one that is still arriving may have been handed to the app already.

        A stream is processed from the beginning of its answer on; before that it waits for its first row.
        """
        handed_over = self._arriving and self._head_done and not self._in_lane and not self.cycle.response_started
        return self._unanswered == handed_over

    def overdue(self, now: float) -> bool:
        """Return whether the connection has exceeded its time for a head, a request, the next request, or to read its answer."""
        unread = self.transport.get_write_buffer_size()
        if not unread or unread != self._unread:
            self._unread, self._unread_since = unread, now
        elif now - self._unread_since > IDLE_S:
            return True
        if not self.is_idle:
            return False
        if self._arriving:
            return now - self.waiting_since > (REQUEST_S if self._head_done else HEAD_S)
        return now - self.waiting_since > (IDLE_S if self.has_asked else HEAD_S)

    # What follows is called by asyncio and by the parser.

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take a new connection; if there is no room, close the one that has waited longest without a request."""
        super().connection_made(transport)
        if len(self.connections) > self.most and not self._make_room():
            self._warn("%d connections are all at work: a newcomer is sent away", len(self.connections) - 1)
            self._refuse(_BUSY)

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        super().data_received(data)
        if self._arriving and not self._head_done:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(_LONG_HEAD)

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self.waiting_since = time.monotonic()
        self._arriving, self._head_done, self._head_bytes = True, False, 0

    def on_headers_complete(self) -> None:
        """Decide whether the request goes to the lane or to the app."""
        self._head_done = True
        if self._fits_lane():
            self._in_lane = True
            self._lane_body = []
        else:
            self._hand_over()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._in_lane:
            self._lane_body.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer in the lane, or let the app answer."""
        self._arriving, self.has_asked = False, True
        if not self._in_lane:
            super().on_message_complete()
            return
        self._in_lane = False
        body = self._lane_body[0] if len(self._lane_body) == 1 else b"".join(self._lane_body)
        answer = cast(Lane, self.lane)(self.url, self.headers, body, self.client[0] if self.client else "")
        if answer is None:
            self._hand_over()
            if body:
                super().on_body(body)
            super().on_message_complete()
            return
        head = b"HTTP/1.1 200 OK\r\n"
        for name, value in self.server_state.default_headers:
            head += name + b": " + value + b"\r\n"
        if self._is_last:
            head += b"connection: close\r\n"
        self.transport.write(head + answer)
        self.waiting_since = time.monotonic()
        if self._is_last:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request; `overdue` closes connections in place of uvicorn's timer."""
        self.waiting_since = time.monotonic()
        self._unanswered -= 1
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Read no more requests while the client does not read its answers."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        super().resume_writing()
        self.flow.resume_reading()

    def shutdown(self) -> None:
        """Finish the current request, and close."""
        if self._in_lane:
            self._is_last = True
        else:
            super().shutdown()

    def _hand_over(self) -> None:
        """Have the app answer the request; its body may still come."""
        super().on_headers_complete()
        self._unanswered += 1

    def _fits_lane(self) -> bool:
        """Return whether the lane may answer: a short ``POST`` whose answer has to wait for no other."""
        if (
            self.lane is None
            or not self.url.endswith(b"/predict")
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
            or self.parser.should_upgrade()
            or self.expect_100_continue
            or not (self.cycle is None or self.cycle.response_complete)
        ):
            return False
        lengths = [value for name, value in self.headers if name == b"content-length"]
        return len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= LONGEST_LANE_BODY

    def _make_room(self) -> bool:
        others = cast("set[TimedConnection]", self.connections)
        waiting = [other for other in others if other is not self and other.is_idle]
        if not waiting:
            return False
        # Connections that have sent a request before are preferred to those that never have.
        oldest = min(waiting, key=lambda other: (other.has_asked, other.waiting_since))
        others.discard(oldest)
        oldest.transport.abort()
        return True

    def _refuse(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()

    def _warn(self, text: str, *facts: object) -> None:
        now = time.monotonic()
        if now - self.warning[0] >= WARN_EVERY_S:
            self.warning[0] = now
            log.warning(text, *facts)


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  only the number is needed
    except OSError:
        return 64
