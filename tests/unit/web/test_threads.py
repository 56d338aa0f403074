"""Requests reach threads whole, answers leave as they are made, and nobody waits in a queue without end."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, Response, request

from caudal.web import threads
from caudal.web.connections import MOST_HEAD_BYTES, Headers
from caudal.web.server import serve_in_thread

PATIENCE_S = 60.0  # longer than any machine takes; nothing below waits for it


@pytest.fixture
def app() -> Flask:
    app = Flask("threads")
    go_on, closed = app.extensions["go on"], app.extensions["closed"] = threading.Event(), threading.Event()

    @app.route("/echo/<path:rest>", methods=["GET", "POST"])
    def echo(rest: str) -> dict[str, Any]:
        return {
            "path": rest,
            "body": request.get_data(as_text=True),
            "key": request.headers.get("X-API-Key"),
            "address": request.remote_addr,
        }

    @app.route("/long")
    def long() -> str:
        go_on.wait(PATIENCE_S)
        return "done"

    @app.route("/parts")
    def parts() -> Response:
        def content() -> Iterator[bytes]:
            try:
                yield b"first"
                while not go_on.wait(0.01):
                    yield b"."
                yield b"last"
            finally:
                closed.set()

        return Response(content())

    return app


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as connection:
        yield connection


def ask(url: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
    parts = urlsplit(url)
    client = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    client.request(method, path, body, headers)
    answer = client.getresponse()
    return answer.status, answer.read(), answer.headers


def test_a_client_that_sends_slowly_holds_no_thread(app: Flask) -> None:
    with serve_in_thread(app, threads=1) as url, connected(url) as slow:
        slow.sendall(b"POST /echo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab")
        assert ask(url, "/echo/b")[0] == 200
        slow.sendall(b"cd")
        assert b"abcd" in slow.recv(4096)


def test_who_would_wait_behind_many_is_told_to_come_back(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WAITING_PER_THREAD", 2)
    with serve_in_thread(app, threads=1) as url, connected(url) as first, connected(url) as second:
        for waiting in (first, second):
            waiting.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until = time.monotonic() + PATIENCE_S
        status, content, headers = ask(url, "/echo/a")
        while status == 200 and time.monotonic() < until:  # those two may not have been read yet
            status, content, headers = ask(url, "/echo/a")
        assert (status, headers["Retry-After"]) == (429, "1")
        assert b"Send it once more" in content
        app.extensions["go on"].set()
        for waiting in (first, second):
            assert waiting.recv(12) == b"HTTP/1.1 200"


def test_parts_leave_as_they_are_made(app: Flask) -> None:
    with serve_in_thread(app) as url, connected(url) as reader:
        reader.sendall(b"GET /parts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        content = b""
        while b"first" not in content:
            content += reader.recv(4096)
        app.extensions["go on"].set()
        while part := reader.recv(4096):
            content += part
        assert b"last" in content


def test_an_answer_ends_when_its_reader_goes(app: Flask) -> None:
    with serve_in_thread(app) as url:
        with connected(url) as reader:
            reader.sendall(b"GET /parts HTTP/1.1\r\nHost: localhost\r\n\r\n")
            reader.recv(64)
        assert app.extensions["closed"].wait(PATIENCE_S)


def test_a_head_has_an_end(app: Flask) -> None:
    with serve_in_thread(app) as url, connected(url) as talker:
        talker.sendall(b"GET /echo/a HTTP/1.1\r\nX-Long: ")
        try:
            for _ in range(200):
                talker.sendall(b"a" * (MOST_HEAD_BYTES // 4))
            answer = talker.recv(64)
        except ConnectionError:
            answer = b"HTTP/1.1 431"  # it was closed before it was read
        assert answer.startswith(b"HTTP/1.1 431")
        assert ask(url, "/echo/b")[0] == 200


def test_a_header_with_an_underscore_takes_no_place(app: Flask) -> None:
    with serve_in_thread(app) as url:
        assert b'"key":null' in ask(url, "/echo/a", X_API_Key="made up")[1]
        assert b'"key":"right"' in ask(url, "/echo/a", **{"X-API-Key": "right", "X_API_KEY": "made up"})[1]


def test_who_forwards_is_not_believed(app: Flask) -> None:
    with serve_in_thread(app) as url:
        assert b'"address":"127.0.0.1"' in ask(url, "/echo/a", **{"X-Forwarded-For": "10.9.8.7"})[1]


@pytest.mark.parametrize(("path", "read"), [("/echo/caf%C3%A9", "caf\\u00e9"), ("/echo/a%2Fb", "a/b"), ("/echo/a%20b", "a b")])
def test_paths_are_read_as_utf8(app: Flask, path: str, read: str) -> None:
    with serve_in_thread(app) as url:
        assert f'"path":"{read}"'.encode() in ask(url, path)[1]


def test_a_head_request_has_the_length_and_no_body(app: Flask) -> None:
    with serve_in_thread(app) as url:
        status, content, headers = ask(url, "/echo/a", "HEAD")
        assert (status, content) == (200, b"")
        assert int(headers["Content-Length"]) > 0


def test_what_is_no_http_is_refused_and_others_are_served(app: Flask) -> None:
    with serve_in_thread(app) as url, connected(url) as other:
        other.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert other.recv(12) == b"HTTP/1.1 400"
        assert ask(url, "/echo/a")[0] == 200


def test_requests_sent_together_are_answered_in_order_by_lane_and_app(app: Flask) -> None:
    asked: list[bytes] = []

    def lane(url: bytes, headers: Headers, body: bytes, address: str) -> bytes | None:
        asked.append(body)
        return None if b"app" in body else b"content-length: %d\r\n\r\n%b" % (len(body), body)

    def request_of(body: bytes) -> bytes:
        return b"POST /echo/x/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    bodies = [b"<1 lane>", b"<2 app>", b"<3 lane>", b"<4 app>", b"<5 lane>"]
    with serve_in_thread(app, lane=lane) as url, connected(url) as client:
        client.sendall(b"".join(map(request_of, bodies)))
        content = b""
        while content.count(b">") < len(bodies):
            content += client.recv(4096)
        places = [content.index(body) for body in bodies]
        assert places == sorted(places)
        client.sendall(request_of(b"<6 lane>"))
        assert b"<6 lane>" in client.recv(4096)
    assert asked[0] == b"<1 lane>"
    assert asked[-1] == b"<6 lane>"  # the lane answers again once the app has answered
