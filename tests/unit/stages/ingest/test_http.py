"""Files over HTTP, from a real server on loopback that fails on purpose."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import caudal.stages.ingest.web as client
from caudal.declarations.connection import http
from caudal.errors import SourceProblem
from caudal.stages.ingest import Arrival, KnownFile, arrivals

BODY = bytes(range(256)) * 4096  # 1 MiB
MODIFIED = "Wed, 01 Mar 2023 10:00:00 GMT"


class Server(ThreadingHTTPServer):
    """Serves ``BODY``; ``plan`` says how each request in turn goes wrong."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.body, self.etag, self.modified = BODY, '"v1"', MODIFIED

    def url(self, name: str = "green_2023-01.parquet") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/trips/{name}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that we cut on purpose is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(dict(self.headers))
        fault = server.plan.pop(0) if server.plan else ""
        if fault.isdigit():
            return self._say(int(fault), b"no", {"Retry-After": "0"})
        if fault == "drop":
            return self._cut()
        if server.etag and self.headers.get("If-None-Match") == server.etag:
            return self._say(304, b"")
        if not server.etag and server.modified and self.headers.get("If-Modified-Since") == server.modified:
            return self._say(304, b"")
        facts = {
            **({"ETag": server.etag} if server.etag else {}),
            **({"Last-Modified": server.modified} if server.modified else {}),
        }
        start, status = 0, 200
        if (
            (asked := self.headers.get("Range"))
            and self.headers.get("If-Range") in (server.etag, server.modified)
            and fault != "norange"
        ):
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            facts["Content-Range"] = f"bytes {start}-{len(server.body) - 1}/{len(server.body)}"
        content = server.body[start:]
        if fault == "half":
            self._say(status, content[: len(content) // 2], facts, len(content))
            return self._cut()
        return self._say(status, content, facts)

    def _say(self, status: int, content: bytes, facts: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in (facts or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _cut(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at what was asked."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(client, "BACKOFF_S", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetched(server: Server, scratch: Path, seen: dict[str, KnownFile] | None = None, *urls: str) -> list[Arrival]:
    return arrivals(
        http(*(urls or (server.url(),)), timeout_s=2), data=None, scratch=scratch, landed=seen or {}, clock=lambda: 1_700_000_000.0
    )


def remembered(one: Arrival) -> dict[str, KnownFile]:
    return {one.path: KnownFile(one.etag, one.modified_ns, one.bytes, hashlib.sha256(one.local.read_bytes()).hexdigest())}


def test_a_file_comes_whole_with_its_name_and_facts(server: Server, tmp_path: Path) -> None:
    (one,) = fetched(server, tmp_path)
    assert one.local.read_bytes() == BODY
    assert one.local.name == one.name == "green_2023-01.parquet"
    assert one.path == server.url()
    assert (one.bytes, one.etag, one.modified_ns // 10**9) == (len(BODY), '"v1"', 1_677_664_800)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("facts", [('"v1"', MODIFIED), ("", MODIFIED)])
def test_what_has_not_changed_is_not_sent_again(server: Server, tmp_path: Path, facts: tuple[str, str]) -> None:
    server.etag, server.modified = facts
    seen = remembered(fetched(server, tmp_path)[0])
    assert fetched(server, tmp_path, seen) == []
    server.etag, server.body, server.modified = facts[0] and '"v2"', b"new" * 100, "Wed, 01 Mar 2023 11:00:00 GMT"
    assert fetched(server, tmp_path, seen)[0].local.read_bytes() == b"new" * 100


def test_another_content_of_the_same_second_and_size_is_told_apart(server: Server, tmp_path: Path) -> None:
    before = fetched(server, tmp_path)[0]
    server.etag = '"v2"'
    after = fetched(server, tmp_path, remembered(before))[0]
    assert after.bytes == before.bytes
    assert after.modified_ns != before.modified_ns


@pytest.mark.parametrize("plan", [["503", "500", "429"], ["drop", "drop"], ["half"], ["half", "half", "503"], ["half", "norange"]])
def test_what_goes_wrong_for_a_while_is_tried_again(server: Server, tmp_path: Path, plan: list[str]) -> None:
    server.plan = list(plan)
    assert fetched(server, tmp_path)[0].local.read_bytes() == BODY
    assert server.plan == []


def test_a_broken_download_is_taken_up_where_it_ended_also_by_a_later_run(server: Server, tmp_path: Path) -> None:
    server.plan = ["half", "503", "503", "503", "503"]
    with pytest.raises(SourceProblem, match=r"could not be fetched in 5 attempts; the last one ended with: 503"):
        fetched(server, tmp_path)
    server.asked.clear()
    assert fetched(server, tmp_path)[0].local.read_bytes() == BODY
    assert [asked.get("Range") for asked in server.asked] == [f"bytes={len(BODY) // 2}-"]


def test_a_part_of_older_content_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.plan = ["half", "503", "503", "503", "503"]
    with pytest.raises(SourceProblem):
        fetched(server, tmp_path)
    server.etag, server.body, server.modified = '"v2"', BODY[::-1], "Thu, 02 Mar 2023 10:00:00 GMT"
    assert fetched(server, tmp_path)[0].local.read_bytes() == BODY[::-1]


@pytest.mark.parametrize(("status", "said"), [("404", "Check the address"), ("403", "does not let"), ("401", "requires a login")])
def test_a_refusal_is_told_at_once(server: Server, tmp_path: Path, status: str, said: str) -> None:
    server.plan = [status]
    with pytest.raises(SourceProblem, match=said) as raised:
        fetched(server, tmp_path)
    assert server.url() in str(raised.value)
    assert raised.value.facts["status"] == int(status)
    assert len(server.asked) == 1


def test_nobody_there_and_no_address(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SourceProblem, match="ConnectionRefusedError"):
        fetched(server, tmp_path, None, "http://127.0.0.1:1/x.csv")
    with pytest.raises(SourceProblem, match="is not an HTTP address"):
        fetched(server, tmp_path, None, "file:///etc/hosts")


def test_several_files_of_one_name_do_not_meet(server: Server, tmp_path: Path) -> None:
    urls = [server.url(f"{year}/trips.parquet?x=1") for year in (2021, 2022, 2023)]
    arrived = fetched(server, tmp_path, None, *urls)
    assert [one.path for one in arrived] == urls
    assert len({one.local for one in arrived}) == 3
    assert {one.local.name for one in arrived} == {"trips.parquet"}


def test_what_came_whole_and_was_not_landed_does_not_come_again(server: Server, tmp_path: Path) -> None:
    urls = [server.url("a.csv"), server.url("b.csv")]
    fetched(server, tmp_path, None, urls[0])
    sent = len(server.asked)
    first, _ = fetched(server, tmp_path, None, *urls)
    assert first.local.read_bytes() == BODY
    assert [asked.get("If-None-Match") for asked in server.asked[sent:]].count('"v1"') == 1
    server.etag, server.body = '"v2"', BODY[::-1]
    assert fetched(server, tmp_path, None, urls[0])[0].local.read_bytes() == BODY[::-1]
