"""``python -m benchmarks.serving.soak``: a server at four fifths of what it can, while versions are promoted and rolled back, a key is renewed and processes are killed.

Each answer is compared with what its version predicts. A request whose connection ends before the answer is sent once more, as HTTP clients do with
requests that change nothing; both kinds are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving.__main__ import KEY, running
from benchmarks.serving.load import measure
from benchmarks.serving.model import COMPILED, make_home, register_another
from caudal.ledger.access import add_key, revoke_key
from caudal.ledger.ledger import Ledger
from caudal.registry import load_for_serving, promote, rollback
from caudal.tables.home import Home

PATH = f"/api/v1/bench/{COMPILED}/predict"
CONNECTIONS = 16
DECIDE_EVERY_S = 15.0


@dataclass
class Counts:
    """What came of the requests."""

    seconds: list[float] = field(default_factory=list)
    versions: Counter[int] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    cut: int = 0  # connections that ended before the answer
    failed: int = 0  # requests without an answer, after a second try


class Asker:
    """A connection that asks at a steady pace; a late answer does not put off those that follow, as long as it catches up."""

    def __init__(self, port: int, body: bytes, key: list[str], expected: dict[int, float], counts: Counts) -> None:
        self._port, self._body, self._key, self._expected, self._counts = port, body, key, expected, counts
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask_for(self, seconds: float, every_s: float, start_s: float) -> None:
        """Ask until the time is over."""
        await asyncio.sleep(start_s)
        began = time.perf_counter()
        number = 0
        while (due := began + number * every_s) < began + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await self._ask(due)
            number += 1
        if self._connection:
            self._connection[1].close()

    async def _ask(self, due: float) -> None:
        counts = self._counts
        for _ in range(2):
            try:
                status, document = await self._exchange()
            except (OSError, asyncio.IncompleteReadError):
                counts.cut += 1
                self._connection = None
                continue
            counts.seconds.append(time.perf_counter() - due)
            counts.statuses[status] += 1
            if status == 200:
                counts.versions[document["version"]] += 1
                counts.wrong += document["prediction"] != self._expected[document["version"]]
            return
        counts.failed += 1

    async def _exchange(self) -> tuple[int, Any]:
        if self._connection is None:
            self._connection = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._connection
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self._body)}\r\nAuthorization: Bearer {self._key[0]}\r\n\r\n"
        )
        writer.write(head.encode() + self._body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length:")[2].partition(b"\r")[0])
        body = await reader.readexactly(length)
        if b"connection: close" in answer:
            writer.close()
            self._connection = None
        return int(answer[9:12]), json.loads(body)


class Disturbances:
    """What happens to the server meanwhile."""

    def __init__(self, ledger: Ledger, server: psutil.Process, key: list[str]) -> None:
        self._ledger, self._server, self._key = ledger, server, key
        self.done: list[str] = []

    async def work(self, seconds: float) -> None:
        """Decide on versions in turn, renew the key, kill a process after a third of the time and end another after two thirds."""
        began = time.monotonic()
        for number, (at, what) in enumerate(sorted(self._plan(seconds))):
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            await asyncio.to_thread(self._do, what, number)

    def _plan(self, seconds: float) -> list[tuple[float, str]]:
        decisions = [(DECIDE_EVERY_S * number, "decide") for number in range(1, int(seconds / DECIDE_EVERY_S))]
        return [*decisions, (seconds / 3, "kill"), (seconds / 2, "renew"), (seconds * 2 / 3, "terminate")]

    def _do(self, what: str, number: int) -> None:
        if what == "decide":
            if number % 2:
                promote(self._ledger, "bench", COMPILED, 2, gates=[], who="soak", reason="soak")
            else:
                rollback(self._ledger, "bench", COMPILED, 1, who="soak", reason="soak")
        elif what == "renew":
            name = f"soak {number}"
            _, key = add_key(self._ledger, name, "predict", who="soak")
            time.sleep(1.0)  # servers read the keys once a second
            self._key[0] = key
        else:
            member = next(iter(self._server.children()))
            os.kill(member.pid, signal.SIGKILL if what == "kill" else signal.SIGTERM)
        self.done.append(what)


async def watch_memory(server: psutil.Process, seconds: float, megabytes: list[float]) -> None:
    """Note the memory of the server and its processes, each page of shared memory once, every ten seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        total = 0
        for process in (server, *server.children()):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        megabytes.append(total / 2**20)
        await asyncio.sleep(10)


async def soak(
    port: int,
    body: bytes,
    key: list[str],
    expected: dict[int, float],
    per_second: float,
    seconds: float,
    disturbances: Disturbances,
    server: psutil.Process,
) -> tuple[Counts, list[float]]:
    """Ask at a pace for some seconds while the server is disturbed."""
    counts, megabytes = Counts(), []
    every_s = CONNECTIONS / per_second
    askers = [Asker(port, body, key, expected, counts) for _ in range(CONNECTIONS)]
    asking = [asker.ask_for(seconds, every_s, every_s * place / CONNECTIONS) for place, asker in enumerate(askers)]
    await asyncio.gather(*asking, disturbances.work(seconds), watch_memory(server, seconds, megabytes))
    return counts, megabytes


def main() -> None:
    """Run the soak and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--share", type=float, default=0.8, help="of the requests a second that the server answered before")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        row = make_home(folder)
        register_another(folder / COMPILED)
        home = Home(folder / COMPILED)
        ledger = home.ledger()
        expected = {
            version: float(load_for_serving(home, ledger, "bench", COMPILED, version).predict_rows([row]).values[0])
            for version in (1, 2)
        }
        body = json.dumps(row).encode()
        row_key, text = add_key(ledger, "soak", "predict", who="soak")
        with running(COMPILED, folder, body, PATH, given.processes) as (port, pid, _):
            headers = {"Authorization": f"Bearer {KEY}"}
            capacity = measure(port, PATH, body, headers, connections=CONNECTIONS, seconds=10.0).per_second
            print(json.dumps({"capacity_per_s": round(capacity)}), flush=True)
            key, server = [text], psutil.Process(pid)
            disturbances = Disturbances(ledger, server, key)
            counts, megabytes = asyncio.run(
                soak(port, body, key, expected, given.share * capacity, given.seconds, disturbances, server)
            )
        revoke_key(ledger, row_key["name"], who="soak", reason="over")
        ledger.close()
    took = sorted(counts.seconds)
    print(
        json.dumps(
            {
                "asked": len(took) + counts.failed,
                "per_second": round(len(took) / given.seconds),
                "statuses": counts.statuses,
                "wrong": counts.wrong,
                "connections_cut": counts.cut,
                "failed_after_second_try": counts.failed,
                "versions": counts.versions,
                "p50_ms": round(took[len(took) // 2] * 1e3, 2),
                "p99_ms": round(took[int(len(took) * 0.99)] * 1e3, 2),
                "most_ms": round(took[-1] * 1e3, 1),
                "disturbances": Counter(disturbances.done),
                "memory_mb": [round(each) for each in megabytes[:: max(1, len(megabytes) // 10)]],
            }
        )
    )


if __name__ == "__main__":
    main()
