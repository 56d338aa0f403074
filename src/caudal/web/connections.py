"""Connections of the server: their number, and how long each may wait before it has sent a complete request.

Waitress closes idle connections, but a client that sends a byte now and then is never idle. Here a request has a deadline from
its first byte to its last, and a new connection replaces the one that has waited longest without a request: a client that holds
connections open cannot keep others out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

log = logging.getLogger(__name__)
# It warns of each request that waits for a thread, which a busy server's do.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)

HEAD_S = 15.0  # for a connection's first request line and headers, and for each later request's
REQUEST_S = 90.0  # for a whole request with its body: 12 MB at 1 Mbit/s
IDLE_S = 75.0  # between two requests of one connection
MOST_CONNECTIONS = 1000
SPARE_FILES = 40  # the ledger's connections, loaded models, pictures, the log
LEAST_CONNECTIONS = 8
LOOK_EVERY_S = 1.0
WARN_EVERY_S = 30.0

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


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


class TimedConnection(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that knows how long it has waited for the rest of a request.

    Attributes
    ----------
    waiting_since : time of the connection's start, or of the first byte of the current request; seconds since the epoch
    served : whether it has sent a complete request
    """

    def __init__(self, *positional: object, **named: object) -> None:
        self.served = False
        self.waiting_since = time.time()
        super().__init__(*positional, **named)

    def received(self, data: bytes) -> bool:
        """Process received bytes, and note when a request begins and when one is complete."""
        begins = self.request is None
        complete_before = len(self.requests)
        consumed = bool(super().received(data))
        if len(self.requests) > complete_before:
            self.served = True
        if begins or len(self.requests) > complete_before:
            self.waiting_since = time.time()
        return consumed

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is being processed."""
        return not self.requests

    def overdue(self, now: float) -> bool:
        """Return whether the connection has exceeded its time for a head, a request, the next request, or its answer."""
        if not self.is_idle:
            return False
        if self.total_outbufs_len:
            return bool(now - self.last_activity > IDLE_S)
        if self.request is None:
            return bool(now - self.last_activity > (IDLE_S if self.served else HEAD_S))
        return now - self.waiting_since > (REQUEST_S if self.request.headers_finished else HEAD_S)


class TimedServer(TcpWSGIServer):  # type: ignore[misc]
    """Waitress's server with deadlines, and with room for new connections.

    Parameters
    ----------
    most : most connections at a time
    """

    channel_class = TimedConnection

    def __init__(self, *positional: object, most: int, **named: object) -> None:
        self.most = most
        self._warned_at = -WARN_EVERY_S
        super().__init__(*positional, **named)

    def maintenance(self, now: float) -> None:
        """Close the connections that have exceeded their time."""
        for connection in list(self.active_channels.values()):
            if connection.overdue(now):
                connection.will_close = True

    def handle_accept(self) -> None:
        """Accept a connection; if there is no room, close the one that has waited longest without a request."""
        try:
            accepted = self.accept()
        except OSError as error:
            # Without a free descriptor the new connection stays queued and is retried at once: closing another lets it in.
            self._warn("a connection cannot be taken: %s", error.strerror or error)
            self._make_room()
            return
        if accepted is None:
            return
        sock, address = accepted
        if len(self.active_channels) >= self.most and not self._make_room():
            self._warn("%d connections are all at work: a newcomer is sent away", len(self.active_channels))
            with contextlib.suppress(OSError):
                sock.send(_BUSY)
            sock.close()
            return
        try:
            self.set_socket_options(sock)
            self.channel_class(self, sock, address, self.adj, map=self._map)
        except OSError:  # the client has disconnected
            sock.close()

    def _make_room(self) -> bool:
        waiting = [connection for connection in self.active_channels.values() if connection.is_idle]
        if not waiting:
            return False
        # Connections that have sent a request before are preferred to those that never have.
        oldest = min(waiting, key=lambda connection: (connection.served, connection.waiting_since))
        oldest.handle_close()
        return True

    def _warn(self, text: str, *facts: object) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            log.warning(text, *facts)


def server(app: Flask, listening: socket.socket, *, threads: int, most_bytes: int) -> TimedServer:
    """Return the server of an app on a listening socket.

    Parameters
    ----------
    threads : most requests that are answered at a time
    most_bytes : body length from which a request is refused before it is read
    """
    most = most_connections()
    adjustments = Adjustments(
        sockets=[listening],
        threads=threads,
        ident=None,  # do not reveal the software
        max_request_body_size=most_bytes,
        clear_untrusted_proxy_headers=True,
        connection_limit=2 * MOST_CONNECTIONS + SPARE_FILES,  # never reached: `most` is the bound
        cleanup_interval=LOOK_EVERY_S,
        asyncore_use_poll=True,  # select() knows no descriptor above 1,023
        log_socket_errors=False,
    )
    socket_info = (listening.family, listening.type, listening.proto, listening.getsockname())

    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(threads)
    return TimedServer(
        app, {}, True, listening, dispatcher=dispatcher, adj=adjustments, bind_socket=False, sockinfo=socket_info, most=most
    )


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  only the number is needed
    except OSError:
        return 64
