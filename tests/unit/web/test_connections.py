"""Whoever holds connections open keeps nobody out."""

from __future__ import annotations

import http.client
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from flask import Flask

from caudal.web import connections
from caudal.web.server import serve_in_thread

PATIENCE_S = 60.0  # longer than any machine takes; nothing below waits for it


@pytest.fixture
def app() -> Flask:
    app = Flask("slow")
    app.extensions["go on"] = threading.Event()
    app.route("/health")(lambda: "alive")

    @app.route("/long")
    def long() -> str:
        app.extensions["go on"].wait(PATIENCE_S)
        return "done"

    return app


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S)


@contextmanager
def held(url: str, count: int) -> Iterator[list[socket.socket]]:
    """Give connections that have sent half a head."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(url)) for _ in range(count)]
        for each in sockets:
            each.sendall(b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        yield sockets


def is_closed_by_server(connection: socket.socket) -> bool:
    """Wait until the server has closed the connection; with bytes that it has not read, that resets it."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def status_of(url: str, path: str = "/health") -> int:
    parts = urlsplit(url)
    client = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    client.request("GET", path)
    return client.getresponse().status


def test_a_newcomer_takes_the_place_of_whoever_waits_longest(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    # Room for the newest three and for all that ask, though those that have asked may not be seen to be gone yet.
    monkeypatch.setattr(connections, "most_connections", lambda: 16)
    monkeypatch.setattr(connections, "HEAD_S", PATIENCE_S)  # on a slow machine nobody's time is up
    with serve_in_thread(app) as url, held(url, 27) as oldest:
        assert status_of(url) == 200  # the server has read what those have sent: they have waited longer than the three that follow
        with held(url, 3) as newest:
            for _ in range(5):
                assert status_of(url) == 200
                for each in newest:
                    each.send(b"a")
            assert is_closed_by_server(oldest[0])  # the oldest had to go


def test_a_connection_that_is_worked_for_is_never_the_one_that_goes(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 4)
    with serve_in_thread(app) as url, connect(url) as working:
        working.sendall(b"GET /long HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until = time.monotonic() + PATIENCE_S
        while status_of(url) != 200 and time.monotonic() < until:
            pass
        with held(url, 20):
            assert status_of(url) == 200
            app.extensions["go on"].set()
            assert working.recv(12) == b"HTTP/1.1 200"


@pytest.mark.slow
@pytest.mark.parametrize(
    "behind", [b"GET /health HTTP/1.1\r\nX-A: ", b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nabc"]
)
def test_half_a_request_behind_one_that_is_worked_for_ends_neither(
    app: Flask, monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    for name in ("HEAD_S", "REQUEST_S"):
        monkeypatch.setattr(connections, name, 0.3)
    with serve_in_thread(app) as url, connect(url) as working:
        working.sendall(b"GET /long HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + behind)
        working.settimeout(3.0)
        with pytest.raises(TimeoutError):  # it is neither answered nor closed
            working.recv(1)
        working.settimeout(PATIENCE_S)
        app.extensions["go on"].set()
        assert working.recv(12) == b"HTTP/1.1 200"
        while not is_closed_by_server(working):  # the half one has its deadline again
            pass


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"],
)
def test_a_request_has_a_deadline_however_often_a_byte_comes(app: Flask, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    for name in ("HEAD_S", "REQUEST_S"):
        monkeypatch.setattr(connections, name, 0.5)
    with serve_in_thread(app) as url, connect(url) as slow:
        slow.sendall(sent)
        slow.settimeout(0.05)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                if slow.recv(1) == b"":
                    return
            except TimeoutError:
                if sent:
                    slow.send(b"a")
            except ConnectionError:
                return
    pytest.fail("the connection was never closed")


def test_there_are_no_more_connections_than_file_descriptors(tmp_path: object) -> None:
    program = (
        "import sys, threading; from flask import Flask; from caudal.web.server import serve_in_thread\n"
        "app = Flask('few'); app.route('/health')(lambda: 'alive')\n"
        "with serve_in_thread(app) as url:\n    print(url, flush=True); sys.stdin.read()\n"
    )

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (72, 72))

    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=few,
        env=dict(os.environ),
    )  # fmt: skip
    assert process.stdout
    assert process.stdin
    url = process.stdout.readline().strip()
    with held(url, 90):
        for _ in range(3):
            assert status_of(url) == 200
    _, log = process.communicate("", timeout=PATIENCE_S)
    assert "Traceback" not in log
    assert len(log) < 2000


def test_the_limit_of_files_is_raised_where_it_may_be() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert connections.LEAST_CONNECTIONS <= connections.most_connections() <= connections.MOST_CONNECTIONS
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
