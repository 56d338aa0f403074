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


def throughput(home: Path, platform: str, environment: Mapping[str, str]) -> float:
    """Return the readings a second of a stream that reads all that lies ready."""
    caudal("stream", HERE, "--home", home, "--once", "--on", platform, **environment)
    updates = [update for _, update in Feed(Home(home).live("readings")).tail(0)]
    # The first micro-batch begins before its update; what it took is told in it.
    began = updates[0]["at"] - sum(updates[0]["seconds"].values())
    return float(updates[-1]["total"] / (updates[-1]["at"] - began))


def latency(home: Path, rate: int, seconds: float, environment: Mapping[str, str]) -> dict[str, float]:
    """Return median and 95th percentile of the seconds from a reading to its statistic, warm-up left out."""
    stream = subprocess.Popen(
        [sys.executable, "-m", "caudal", "stream", str(HERE), "--home", str(home), "--every", "0", "--json"],
        stdout=subprocess.DEVNULL, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        told = caudal("replay", HERE, "--home", home, "--rate", str(rate), "--seconds", str(seconds), **environment)
        time.sleep(1)
    finally:
        stream.terminate()
        stream.wait(timeout=60)
    updates = [update for _, update in Feed(Home(home).live("readings")).tail(0)]
    warm = [one for one in updates if one["at"] > updates[0]["at"] + seconds / 4]
    p50, p95 = np.median([one["latency_s"]["p50"] for one in warm]), np.quantile([one["latency_s"]["p95"] for one in warm], 0.95)
    return {
        "p50_s": round(float(p50), 3),
        "p95_s": round(float(p95), 3),
        "sent_per_s": told["readings_per_s"],
        "updates_per_s": round(len(warm) / (seconds * 0.75), 1),
    }
