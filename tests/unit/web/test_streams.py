"""Streamed requests: answers before the body has ended, no more in memory than is worked on, and nothing done for who has gone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, Response, request

from caudal.web import streams
from caudal.web.server import serve_in_thread
from caudal.web.streams import NDJSON, StreamRefused, stream_response

PATIENCE_S = 60.0  # longer than any machine takes; nothing below waits for it
PATH = "/predict/batch"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON}\r\n"


class Doubled:
    """Answers each part with itself, twice, and tells what it was given."""

    def __init__(self) -> None:
        self.is_over = False
        self.bytes = 0
        self.closed = threading.Event()
        self.status = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def feed(self, part: bytes) -> Iterator[bytes]:
        if part.startswith(b"refuse"):
            raise StreamRefused(422, {"what": "No."})
        self.bytes += len(part)
        self.go_on.wait(PATIENCE_S)
        if part:
            yield part
            yield part
        if b"over" in part:
            self.is_over = True

    def finish(self) -> Iterator[bytes]:
        yield b"end"

    def break_off(self, sentence: str) -> Iterator[bytes]:
        self.is_over = True
        yield sentence.encode()

    def close(self, status: int) -> None:
        self.status = status
        self.closed.set()


@pytest.fixture
def app() -> Flask:
    app = Flask("streams")
    app.extensions["answers"] = []

    @app.route(PATH, methods=["POST"])
    def predict() -> Any:
        if "refused" in request.args:
            return {"what": "no"}, 403
        answer = Doubled()
        if "slow" in request.args:
            answer.go_on.clear()
        app.extensions["answers"].append(answer)
        return stream_response(answer, NDJSON)

    @app.route("/alive")
    def alive() -> Response:
        return Response("yes")

    return app


class Client:
    """A connection that sends and reads when it is told to."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S)
        self.file = self.socket.makefile("rb")

    def begin(self, head: str = HEAD + "Transfer-Encoding: chunked\r\n\r\n") -> None:
        self.socket.sendall(head.encode())

    def send(self, part: bytes) -> None:
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(part), part))

    def head(self) -> tuple[int, dict[str, str]]:
        status = int(self.file.readline().split()[1])
        lines = iter(lambda: self.file.readline().decode().rstrip("\r\n").lower(), "")
        return status, dict(line.split(": ", 1) for line in lines)

    def chunk(self) -> bytes:
        content = self.file.read(int(self.file.readline(), 16))
        self.file.readline()
        return content

    def rest(self) -> bytes:
        return b"".join(iter(self.chunk, b""))

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    with serve_in_thread(app, threads=1) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    client = Client(url)
    yield client
    client.close()


def until(condition: Any) -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_answers_come_before_the_body_has_ended(app: Flask, client: Client) -> None:
    client.begin()
    client.send(b"one")
    status, headers = client.head()
    assert (status, headers["content-type"], headers["transfer-encoding"], headers["connection"]) == (
        200,
        NDJSON,
        "chunked",
        "close",
    )
    assert client.chunk() + client.chunk() == b"oneone"
    client.send(b"two")
    assert client.chunk() + client.chunk() == b"twotwo"
    client.send(b"")
    assert client.rest() == b"end"
    assert client.file.read() == b""
    until(app.extensions["answers"][0].closed.is_set)
    assert app.extensions["answers"][0].status == 200


def test_a_body_of_known_length_and_one_that_waits_to_be_asked_for(client: Client, url: str) -> None:
    client.begin(HEAD + "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert client.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    client.file.readline()
    client.socket.sendall(b"abc")
    assert client.head()[0] == 200
    assert client.rest() == b"abcabcend"


def test_what_the_app_refuses_is_refused_before_the_body(client: Client) -> None:
    client.begin(HEAD.replace(PATH, PATH + "?refused") + "Transfer-Encoding: chunked\r\n\r\n")
    status, headers = client.head()
    assert (status, headers["connection"]) == (403, "close")
    assert b'"no"' in client.file.read()


def test_what_is_refused_by_its_first_part(client: Client, app: Flask) -> None:
    client.begin()
    client.send(b"refuse")
    status, headers = client.head()
    assert (status, headers["content-type"], headers["connection"]) == (422, "application/json", "close")
    assert client.file.read() == b'{"what": "No."}'
    assert app.extensions["answers"][0].status == 422


def test_an_answer_may_end_before_the_body(client: Client) -> None:
    client.begin()
    client.send(b"over")
    client.head()
    assert client.rest() == b"overover"
    assert client.file.read() == b""


def test_a_slow_stream_holds_no_thread(client: Client, url: str) -> None:
    client.begin()
    client.send(b"one")
    client.head()
    other = Client(url)
    other.begin("GET /alive HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert other.head()[0] == 200
    other.close()


def test_a_client_that_does_not_read_stops_its_stream(client: Client, app: Flask) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.begin(HEAD + f"Content-Length: {2**30}\r\n\r\n")
    client.socket.settimeout(1.0)
    with pytest.raises(TimeoutError):
        client.socket.sendall(bytes(2**28))
    answer = app.extensions["answers"][0]
    taken = answer.bytes
    time.sleep(0.3)
    assert answer.bytes == taken, "no more is worked on"
    assert taken < 32 * 2**20
    client.close()
    until(answer.closed.is_set)
    assert answer.bytes < taken + 2 * streams.AHEAD_BYTES + 2**20


def test_the_work_for_a_client_that_goes_stops(client: Client, app: Flask) -> None:
    client.begin(HEAD.replace(PATH, PATH + "?slow") + "Transfer-Encoding: chunked\r\n\r\n")
    client.send(b"one")
    until(lambda: app.extensions["answers"] and app.extensions["answers"][0].bytes)
    answer = app.extensions["answers"][0]
    client.send(b"two")
    client.close()
    time.sleep(0.2)
    answer.go_on.set()
    until(answer.closed.is_set)
    assert answer.bytes == 3


def test_a_stream_without_rows_ends(client: Client, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "REQUEST_S", 0.2)
    client.begin()
    client.send(b"one")
    client.head()
    assert client.rest() == b"oneoneNo whole row came within 0 seconds."
    assert client.file.read() == b""


def test_streams_have_a_greatest_number(url: str) -> None:
    clients = [Client(url) for _ in range(streams.STREAMS_PER_THREAD + 1)]
    for client in clients[:-1]:
        client.begin()
        client.send(b"one")
        client.head()
    clients[-1].begin()
    status, headers = clients[-1].head()
    assert (status, headers["retry-after"], headers["connection"]) == (429, "1", "close")
    clients[0].close()
    until(lambda: _is_taken(url))
    for client in clients[1:]:
        client.close()


def _is_taken(url: str) -> bool:
    client = Client(url)
    client.begin()
    client.send(b"one")
    status, _ = client.head()
    client.close()
    return status == 200
