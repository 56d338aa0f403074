"""caudal's own streams: messages that lie ready read to their end, and the time from a reading to its statistic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caudal.messaging.feed import Feed
from caudal.tables.home import Home

HERE = Path(__file__).parent
CHANNELS = 16


def caudal(*arguments: str | Path, **environment: str) -> dict[str, Any]:
    """Run a command to its end and return its document."""
    command = [sys.executable, "-m", "caudal", *map(str, arguments), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})
    return dict(json.loads(done.stdout))


def send(home: Path, readings: int, devices: int, wire: str, environment: Mapping[str, str]) -> int:
    """Lay messages ready and return their readings."""
    seconds = readings / (devices * CHANNELS * 256)
    where = ("--into", "kafka", "--to", environment["STREAM_TOPIC"]) if "STREAM_TOPIC" in environment else ()
    told = caudal(
        "replay",
        HERE,
        "--home",
        home,
        "--rate",
        "0",
        "--devices",
        str(devices),
        "--seconds",
        str(seconds),
        "--wire",
        wire,
        *where,
        **environment,
    )
    return int(told["readings"])


def throughput(home: Path, on: str, environment: Mapping[str, str]) -> float:
    """Return the readings a second of a stream that reads all that lies ready."""
    return throughputs(home, on, environment)["readings_per_s"]


def throughputs(home: Path, on: str, environment: Mapping[str, str], workers: int = 1) -> dict[str, float]:
    """Return the readings a second of a stream that reads all that lies ready: over all micro-batches, and over those after the first, in
    which Java and the workers warm up, and with workers over those that they computed, once there was one; and the processor time of the command and its children, nanoseconds a reading, their start with it."""
    before = os.times()
    caudal("stream", HERE, "--home", home, "--once", "--on", on, "--workers", str(workers), **environment)
    after = os.times()
    updates = [update for _, update in Feed(Home(home).live("readings")).tail(0)]
    # The first micro-batch begins before its update; what it took is told in it.
    first, last = updates[0], max((update for update in updates if update["read"]), key=lambda update: update["at"])
    began = first["at"] - sum(first["seconds"].values())
    told = {"readings_per_s": round(last["total"] / (last["at"] - began))}
    if last["batch"] > first["batch"]:
        told["warm_readings_per_s"] = round((last["total"] - first["total"]) / (last["at"] - first["at"]))
    at_work = next((update for update in updates if update.get("workers", 1) > 1 or workers == 1), first)
    if last["batch"] > at_work["batch"]:
        told["at_work_readings_per_s"] = round((last["total"] - at_work["total"]) / (last["at"] - at_work["at"]))
    used_s = after.children_user + after.children_system - before.children_user - before.children_system
    return told | {"processor_ns_a_reading": round(used_s / last["total"] * 1e9)}


def latency(home: Path, rate: int, seconds: float, environment: Mapping[str, str], on: str = "here") -> dict[str, float]:
    """Return median and 95th percentile of the seconds from a reading to its statistic, warm-up left out."""
    stream = subprocess.Popen(
        [sys.executable, "-m", "caudal", "stream", str(HERE), "--home", str(home), "--every", "0", "--on", on, "--json"],
        stdout=subprocess.DEVNULL, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        if on != "here":  # Java starts, and the first micro-batch makes Spark's workers
            caudal("replay", HERE, "--home", home, "--rate", str(rate), "--seconds", "1", **environment)
            feed = Feed(Home(home).live("readings"))
            while not feed.end() and stream.poll() is None:
                time.sleep(0.5)
        told = caudal("replay", HERE, "--home", home, "--rate", str(rate), "--seconds", str(seconds), **environment)
        time.sleep(1)
    finally:
        stream.terminate()
        stream.wait(timeout=60)
    updates = [update for _, update in Feed(Home(home).live("readings")).tail(0)]
    updates = [one for one in updates if one["latency_s"]]
    warm = [one for one in updates if one["at"] > updates[-1]["at"] - seconds * 0.75]
    p50, p95 = np.median([one["latency_s"]["p50"] for one in warm]), np.quantile([one["latency_s"]["p95"] for one in warm], 0.95)
    return {
        "p50_s": round(float(p50), 3),
        "p95_s": round(float(p95), 3),
        "sent_per_s": told["readings_per_s"],
        "updates_per_s": round(len(warm) / (seconds * 0.75), 1),
    }
