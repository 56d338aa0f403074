"""A web service in pages on loopback that fails on purpose: errors, too many requests, cut and slow answers, records that change."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SIZE = 10


class Api(ThreadingHTTPServer):
    """Serves ``records``, ten a page, by next link, address in the answer, page, offset or cursor.

    Parameters
    ----------
    plan : what goes wrong with each request in turn: a status, ``429 date``, ``cut``, ``half``, ``slow``, ``html``; "" is well
    token : str, optional, what a bearer must say
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records: list[dict[str, Any]] = [
            {"id": i, "amount": f"{i}.50", "updated_at": f"2024-03-{i // 10 + 1:02}T00:00:00"} for i in range(35)
        ]
        self.plan: list[str] = []
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.token: str | None = None
        self.retry_after = "0"
        self.next_host = ""

    def url(self, path: str = "link") -> str:
        """Return the address of a way to go through the pages."""
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut on purpose is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(self.path)
        server.headers.append(dict(self.headers))
        server.times.append(time.monotonic())
        fault = server.plan.pop(0) if server.plan else ""
        if fault == "cut":
            self.close_connection = True
            return None
        if fault == "slow":
            time.sleep(3)
        if self.path.startswith("/away"):  # the same server under another name is another host
            return self._say(302, b"", {"Location": f"http://localhost:{server.server_address[1]}/link"})
        if fault == "html":
            return self._say(200, b"<html>please log in</html>")
        if fault[:3].isdigit():
            after = formatdate(time.time() + 1, usegmt=True) if "date" in fault else server.retry_after
            return self._say(int(fault[:3]), b"no", {"Retry-After": after})
        if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
            return self._say(401, b"who?")
        facts, document = self._page()
        content = json.dumps(document).encode()
        if fault == "half":
            self._say(200, content[: len(content) // 2], facts, len(content))
            self.close_connection = True
            return None
        return self._say(200, content, facts)

    def _page(self) -> tuple[dict[str, str], Any]:
        asked = urlsplit(self.path)
        query = {name: said[0] for name, said in parse_qs(asked.query).items()}
        records = [one for one in self.server.records if one["updated_at"] > query.get("since", "")]
        way = asked.path.strip("/")
        if way == "page":
            number = int(query.get("page", 1))
            return {}, {"data": {"items": records[(number - 1) * SIZE : number * SIZE]}}
        if way == "offset":
            start = int(query.get("offset", 0))
            return {}, records[start : start + SIZE]
        if way == "cursor":
            start = int(query.get("after", "c0")[1:])
            more = start + SIZE < len(records)
            return {}, {"items": records[start : start + SIZE], "meta": {"cursor": f"c{start + SIZE}" if more else None}}
        start = int(query.get("from", 0))
        host = self.server.next_host or f"http://127.0.0.1:{self.server.server_address[1]}"
        kept = "".join(f"&{name}={said}" for name, said in query.items() if name != "from")
        following = f"{host}/{way}?from={start + SIZE}{kept}" if start + SIZE < len(records) else None
        if way == "next":
            return {}, {"items": records[start : start + SIZE], "paging": {"next": following}}
        return ({"Link": f'<{following}>; rel="next"'} if following else {}), records[start : start + SIZE]

    def _say(self, status: int, content: bytes, facts: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in (facts or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at what was asked."""


@contextmanager
def running() -> Iterator[Api]:
    """Yield a service that answers."""
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
