"""The server: waitress on one address, from a free port to a clean stop."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from flask import Flask

from caudal.errors import EnvironmentProblem
from caudal.web.connections import server

MOST_BYTES = 4 * 2**20  # of a request's body


def serve_until_signal(app: Flask, *, host: str, port: int, threads: int, begin: Callable[[str, threading.Event], None]) -> None:
    """Serve an app until SIGINT or SIGTERM.

    Parameters
    ----------
    begin : called with the address once the server listens, and the event that is set when it stops; the event is also the app's
        extension ``stopped``, for answers that last as long as the server
    """
    listening = _listen(host, port)
    # The app answers a body that is too large with a document; the server refuses far larger ones.
    http_server = server(app, listening, threads=threads, most_bytes=4 * MOST_BYTES)
    stopped = app.extensions.setdefault("stopped", threading.Event())

    def exit_on_signal(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        raise SystemExit(0)

    handlers = {number: signal.signal(number, exit_on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        begin(_url(host, listening), stopped)
        http_server.run()  # returns on SystemExit, after the current requests are finished
    finally:
        stopped.set()
        http_server.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def serve_in_thread(app: Flask, *, port: int = 0, threads: int = 4) -> Iterator[str]:
    """Serve an app in a thread on a local port (0: a free one) and yield its address.

    Examples
    --------
    >>> import urllib.request
    >>> with serve_in_thread(Flask("empty")) as url:
    ...     url.startswith("http://127.0.0.1:")
    True
    """
    host = "127.0.0.1"
    listening = _listen(host, port)
    # The app answers a body that is too large with a document; the server refuses far larger ones.
    http_server = server(app, listening, threads=threads, most_bytes=4 * MOST_BYTES)
    thread = threading.Thread(target=http_server.run, daemon=True)
    thread.start()
    try:
        yield _url(host, listening)
    finally:
        app.extensions.setdefault("stopped", threading.Event()).set()
        # Only its own thread may close its sockets; then its loop is empty and ends.
        http_server.trigger.pull_trigger(lambda: http_server.asyncore.close_all(http_server._map))
        thread.join(timeout=10)
        http_server.task_dispatcher.shutdown()


def _listen(host: str, port: int) -> socket.socket:
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


def _url(host: str, listening: socket.socket) -> str:
    named = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host in ("::", "[::]") else host  # noqa: S104  printed, not bound
    return f"http://{f'[{named}]' if ':' in named and not named.startswith('[') else named}:{listening.getsockname()[1]}"
