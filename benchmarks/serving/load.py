"""A load generator: connections that stay open, each sends its next request when the answer to the last has come.

It is written on raw sockets because what is measured answers in less time than an HTTP client takes; its own cost is that of one ``epoll`` loop.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What came of a load: answers a second, and how long they took in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


async def _measure(port: int, request: bytes, connections: int, seconds: float) -> Load:
    took: list[float] = []
    failed = 0
    end = time.perf_counter() + seconds

    async def ask() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            began = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r")[0]))
            took.append(time.perf_counter() - began)
            failed += not head.startswith(b"http/1.1 200")
            if b"connection: close" in head:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    took.sort()
    return Load(len(took) / seconds, took[len(took) // 2] * 1e3, took[int(len(took) * 0.99)] * 1e3, failed)


def measure(port: int, path: str, body: bytes, headers: dict[str, str], *, connections: int, seconds: float) -> Load:
    """Return what a server on this machine answers to the same request, sent by some connections for some seconds."""
    lines = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    return asyncio.run(_measure(port, head.encode() + body, connections, seconds))
