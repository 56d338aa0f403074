"""The server: uvicorn on one address, from a free port to a clean stop."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import cast

import uvicorn
from flask import Flask

from caudal.errors import EnvironmentProblem
from caudal.web import connections
from caudal.web.connections import LOOK_EVERY_S, Lane, TimedConnection
from caudal.web.threads import ThreadedApp
from caudal.web.tls import Certificate

MOST_BYTES = 4 * 2**20  # of a request's body
CERTIFICATE_EVERY_S = 10.0  # between two looks at whether the certificate has been renewed
STOP_S = 30.0  # for current requests, once the server stops


class Server(uvicorn.Server):
    """A server of an app.

    Parameters
    ----------
    app : what answers, on threads
    threads : most requests that are answered by threads at a time
    lane : what answers predictions before they get to the app, if anything does
    stopped : set when the server begins to stop
    parent : the process that has forked this one to serve; when it has ended, so does the server, which leaves Ctrl-C to it
    certificate : with which the server encrypts, if it does
    """

    def __init__(
        self,
        app: Flask,
        *,
        threads: int,
        lane: Lane | None = None,
        stopped: threading.Event | None = None,
        parent: int | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.parent, self.certificate = parent, certificate
        # The app answers a body that is too large with a document; what is far larger does not get to it.
        self.threaded = ThreadedApp(app, threads=threads, most_bytes=4 * MOST_BYTES)
        self.stopped = stopped or threading.Event()
        connection = type(
            "Connection", (TimedConnection,), {"most": connections.most_connections(), "lane": staticmethod(lane) if lane else None}
        )
        config = uvicorn.Config(
            self.threaded, http=connection, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            server_header=False, timeout_keep_alive=86_400, timeout_graceful_shutdown=round(STOP_S),
        )  # fmt: skip
        config.load()
        if certificate is not None:
            config.ssl = certificate.context
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Close the connections that have exceeded their time."""
        if counter % round(LOOK_EVERY_S / 0.1) == 0:
            now = time.monotonic()
            for connection in list(cast("set[TimedConnection]", self.server_state.connections)):
                if connection.overdue(now):
                    connection.transport.abort()
        if self.certificate is not None and counter % round(CERTIFICATE_EVERY_S / 0.1) == 0:
            self.certificate.follow()
        orphaned = self.parent is not None and os.getppid() != self.parent
        return await super().on_tick(counter) or self.stopped.is_set() or orphaned

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  uvicorn's names
        """Stop at the first signal after the current requests, at the second at once."""
        if self.parent is not None and sig == signal.SIGINT:
            return
        self.force_exit = self.force_exit or self.should_exit
        self.should_exit = True
        self.stopped.set()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes or ``stopped`` is set."""
        try:
            super().run(sockets)
        finally:
            self.stopped.set()
            self.threaded.executor.shutdown(wait=not self.force_exit, cancel_futures=True)


def serve_until_signal(
    app: Flask, *, host: str, port: int, threads: int, begin: Callable[[str, threading.Event], None], lane: Lane | None = None,
    certificate: Certificate | None = None,
) -> None:  # fmt: skip
    """Serve an app until SIGINT or SIGTERM.

    Parameters
    ----------
    begin : called with the address once the server listens, and the event that is set when it stops; the event is also the app's
        extension ``stopped``, for answers that last as long as the server
    """
    listening = listen(host, port)
    stopped = app.extensions.setdefault("stopped", threading.Event())
    http_server = Server(app, threads=threads, lane=lane, stopped=stopped, certificate=certificate)
    handlers = {number: signal.signal(number, http_server.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        begin(url_of(host, listening, tls=certificate is not None), stopped)
        http_server.run([listening])
    finally:
        stopped.set()
        listening.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def serve_in_thread(
    app: Flask, *, port: int = 0, threads: int = 4, lane: Lane | None = None, certificate: Certificate | None = None
) -> Iterator[str]:
    """Serve an app in a thread on a local port (0: a free one) and yield its address.

    Examples
    --------
    >>> import urllib.request
    >>> with serve_in_thread(Flask("empty")) as url:
    ...     url.startswith("http://127.0.0.1:")
    True
    """
    host = "127.0.0.1"
    listening = listen(host, port)
    stopped = app.extensions.setdefault("stopped", threading.Event())
    http_server = Server(app, threads=threads, lane=lane, stopped=stopped, certificate=certificate)
    thread = threading.Thread(target=http_server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield url_of(host, listening, tls=certificate is not None)
    finally:
        http_server.stopped.set()
        thread.join(timeout=STOP_S)
        listening.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Raises
    ------
    EnvironmentProblem : the address is taken or not one of this machine's
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(1024)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        raise EnvironmentProblem(
            f"Cannot serve on {host}:{port}: {getattr(error, 'strerror', None) or error}.",
            fix="Give another port with --port, or 0 for a free one.",
            host=host,
            port=port,
        ) from None
    return listening


def url_of(host: str, listening: socket.socket, *, tls: bool = False) -> str:
    """Return the address of a listening socket, as a browser takes it."""
    named = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host in ("::", "[::]") else host  # noqa: S104  printed, not bound
    return f"http{'s' if tls else ''}://{f'[{named}]' if ':' in named and not named.startswith('[') else named}:{listening.getsockname()[1]}"
