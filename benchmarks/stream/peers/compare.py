"""The comparison: every engine reads the same topics, one engine after another, and is believed only if its windows are right.

A backlog of JSON samples and one of packed blocks, each in one partition and in four, from a real broker on this machine; windows of one
second of event time by device and sensor, two seconds late at most; count, min, max, mean, variance. Counted from the first message read to
the last window out; what an engine needs before is told apart. Latency: one device sends JSON by the clock, and the time counts from
a reading to the first result that has it, while its window is still open.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.answer import NoAnswer, heard, started
from benchmarks.stream.peers import messages
from benchmarks.stream.peers.environment import jars_of, python_of
from benchmarks.stream.peers.messages import Backlog
from benchmarks.stream.peers.task import CHANNELS, Task
from caudal.engine.settings import usable_cores
from caudal.errors import CaudalError
from caudal.messaging.broker import Broker
from caudal.tables.home import Home

CASES = tuple((wire, partitions) for wire in ("json", "packed") for partitions in (1, 4))
_PATIENCE_S = 300.0
_LEAD_S = 20.0  # at least, in which an engine starts and gets warm before latency counts
_TAIL_S = 5.0  # in which it may still tell what was sent before


@dataclass(frozen=True)
class Engine:
    """One line of the table; without ``environment`` it runs in this one."""

    name: str
    module: str
    environment: str | None = None
    arguments: tuple[str, ...] = ()


ENGINES = (
    Engine("caudal, their statistics", "own", None, ("here", "few")),
    Engine("caudal, all of its own", "own", None, ("here", "all")),
    Engine("caudal on Spark, their statistics", "own", None, ("spark", "few")),
    Engine("caudal on Spark, all of its own", "own", None, ("spark", "all")),
    Engine("Bytewax", "bytewax", "bytewax"),
    Engine("PyFlink", "flink", "flink"),
    Engine("Structured Streaming", "spark", "spark"),
)


def compared(place: Path, readings: int, seconds: float, rounds: int = 1, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return a row for each engine: medians by case of rounds in which the engines take turns, start-up and latency, or what went wrong.

    Parameters
    ----------
    seconds : that latency is measured; 0 leaves it out
    only : words in the names of the engines that take part, all unless given
    """
    backlog = Backlog(max(4, round(readings / (messages.DEVICES * CHANNELS * messages.RATE_HZ))))
    place.mkdir(parents=True)
    with Broker(place / "kafka", 0) as broker:
        for wire, partitions in CASES:
            backlog.send(broker.address, f"{wire}-{partitions}", wire, partitions)
        engines = [engine for engine in ENGINES if not only or any(word in engine.name for word in only)]
        rows = [
            {"platform": engine.name, "readings": backlog.readings, "cases": {}, "p50_s": None, "p95_s": None} for engine in engines
        ]
        for turn in range(rounds):
            for engine, row in zip(engines, rows, strict=True):
                _measure(engine, backlog, broker.address, place, seconds if turn == rounds - 1 else 0, row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as one table, million readings a second."""
    names = [f"{wire}-{partitions}" for wire, partitions in CASES]
    lines = [
        f"| million readings/s, {rows[0]['readings']:,} readings | {' | '.join(names)} | start, s | p50, s | p95, s |",
        "|---" * (len(names) + 4) + "|",
    ]
    for row in rows:
        cases = [row["cases"].get(name, {}) for name in names]
        starts = [case["start_s"] for case in cases if "start_s" in case]
        cells = [f"{case['readings_per_s'] / 1e6:.2f}" if "readings_per_s" in case else "–" for case in cases]
        cells += [
            "–" if one is None else f"{one:.2f}"
            for one in (float(np.median(starts)) if starts else None, row["p50_s"], row["p95_s"])
        ]
        lines.append(f"| {row['platform']} | {' | '.join(cells)} |")
    lines.append("")
    for row in rows:
        for name, one in {"": row, **row["cases"]}.items():
            if problem := one.get("problem"):
                lines.append(f"{row['platform']}{name and f', {name}'}: {problem.splitlines()[-1]}")
    lines.append(
        "All engines: count, min, max, mean, variance, right to the last window. caudal beside that, in each of its rows: duplicates left out,"
    )
    lines.append(
        "every sample captured to the lake, windows and capture each written exactly once; where it says so, three quantiles and eight ranges too."
    )
    return "\n".join(lines)


def publish(rows: list[dict[str, Any]], home: Path, product: str) -> None:
    """Write what the console shows: each engine with each wire, four partitions; latency was measured with JSON."""
    found = [
        {
            "platform": f"{row['platform']}, {wire}",
            "readings_per_s": row["cases"][f"{wire}-4"]["readings_per_s"],
            "p95_s": row["p95_s"] if wire == "json" else None,
        }
        for row in rows
        for wire in ("json", "packed")
        if "readings_per_s" in row["cases"].get(f"{wire}-4", {})
    ]
    folder = Home(home).live(product)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "platforms.part"
    part.write_text(json.dumps(found, indent=2))
    part.rename(folder / "platforms.json")


def latencies(updates: list[list[float]], sent: dict[int, list[float]], since: float, until: float) -> np.ndarray[Any, Any]:
    """Return the seconds from each sample sent between two moments to the first update that counts it; infinite where none does.

    Examples
    --------
    >>> latencies([[0, 7, 1, 7.3], [0, 7, 2, 7.9]], {7: [7.0, 7.5]}, 7, 8).round(1).tolist()
    [0.3, 0.4]
    """
    told: dict[int, list[float]] = {}
    for _, second, count, now in sorted(updates, key=lambda one: one[3]):
        known = told.setdefault(int(second), [])
        known += [now] * (int(count) - len(known))
    found = []
    for second, moments in sent.items():
        known = told.get(second, [])
        for place, at in enumerate(moments):
            if since <= at < until:
                found.append(known[place] - at if place < len(known) else np.inf)
    return np.array(found)


def _measure(engine: Engine, backlog: Backlog, servers: str, place: Path, seconds: float, row: dict[str, Any]) -> None:
    """Fill an engine's row; what goes wrong is in it, and the others go on."""
    try:
        command, jars = _command(engine), jars_of(engine.environment or "")
    except CaudalError as error:
        row["problem"] = str(error)
        print(f"{engine.name}: {error}", flush=True)
        return
    task = Task(servers, "", "json", 1, usable_cores(), str(place / "answer"), jars=jars)
    for wire, partitions in CASES:
        told = replace(task, topic=f"{wire}-{partitions}", wire=wire, partitions=partitions)
        found = _said(engine.name, told.topic, partial(_backlog, command, told, backlog))
        row["cases"][told.topic] = _median(row["cases"].get(told.topic), found)
    if not seconds:
        return
    starts = [case["start_s"] for case in row["cases"].values() if "start_s" in case]
    lead_s = max(_LEAD_S, 10 + 2 * max(starts, default=0.0))
    topic = "-".join(("paced", engine.module, *engine.arguments))
    row |= _said(engine.name, "latency", partial(_latency, command, task, topic, lead_s, seconds))


def _median(before: dict[str, Any] | None, found: dict[str, Any]) -> dict[str, Any]:
    """Return a case with the median of its rounds; a round that went wrong is the case's result."""
    if before is None or "problem" in found or "problem" in before:
        return found if before is None or "problem" in found else before
    rounds = [*before.get("rounds", [before["readings_per_s"]]), found["readings_per_s"]]
    return {**found, "readings_per_s": round(float(np.median(rounds))), "rounds": rounds}


def _backlog(command: list[str], task: Task, backlog: Backlog) -> dict[str, Any]:
    began, load = time.time(), os.getloadavg()[0]
    answer = heard(_started(command, task), Path(task.out), _PATIENCE_S)
    if problem := messages.wrong(backlog, answer["windows"]):
        raise NoAnswer(f"wrong: {problem}")
    seconds = answer["last_s"] - answer["first_s"]
    return {
        "readings_per_s": round(backlog.readings / seconds),
        "seconds": round(seconds, 3),
        "start_s": round(answer["first_s"] - began, 3),
        "load_before": round(load, 1),
    }


def _latency(command: list[str], task: Task, topic: str, lead_s: float, seconds: float) -> dict[str, Any]:
    messages.make(task.servers, topic, 1)
    since = time.time() + lead_s
    until = since + seconds
    paced = replace(task, topic=topic, until=until + _TAIL_S)
    process = _started(command, paced)
    sent = messages.follow(task.servers, topic, "json", until + _TAIL_S)
    found = latencies(heard(process, Path(paced.out), _PATIENCE_S)["updates"], sent, since, until)
    if not len(found) or np.isinf(found).mean() > 0.001:
        raise NoAnswer(f"{np.isinf(found).sum():,} of {len(found):,} samples were in no result")
    p50, p95 = np.quantile(found[np.isfinite(found)], (0.5, 0.95))
    return {"p50_s": round(float(p50), 3), "p95_s": round(float(p95), 3)}


def _said(engine: str, what: str, measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        found = measured()
    except NoAnswer as problem:
        found = {"problem": str(problem)}
    print(f"{engine}, {what}: {json.dumps(found)}", flush=True)
    return found


def _command(engine: Engine) -> list[str]:
    python = python_of(engine.environment) if engine.environment else sys.executable
    return [str(python), "-m", f"benchmarks.stream.peers.{engine.module}", *engine.arguments]


def _started(command: list[str], task: Task) -> subprocess.Popen[bytes]:
    python, flag, module, *arguments = command
    return started([python, flag, module, json.dumps(asdict(task)), *arguments], Path(task.out))
