"""``python -m benchmarks.stream``: throughput from the log and from Kafka, latency at two rates; each in processes of their own.

Throughput: messages lie ready, and a stream reads them to the end. Counted from its first micro-batch to its last, with capture to the lake
unless ``--no-capture``. Latency: a replay sends by the clock while a stream runs; counted from a reading's event time to the moment when
its statistic has been told.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from caudal.lake.feed import Feed
from caudal.lake.home import Home
from caudal.spark.broker import Broker

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
    caudal("stream", HERE, "--home", home, "--once", "--platform", platform, **environment)
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=40_000_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", choices=("log", "kafka", "latency", "faults", "soak"))
    told = parser.parse_args()
    if told.only in ("faults", "soak"):
        sys.exit(import_module(f"benchmarks.stream.{told.only}").main())
    place = Path(tempfile.mkdtemp(prefix="caudal-stream-"))
    figures: dict[str, Any] = {}

    def say(name: str, figure: Any) -> None:
        figures[name] = figure
        print(f"{name}: {figure}", flush=True)

    try:
        if told.only in (None, "log"):
            for platform in ("here", "spark"):
                for devices in (1, 64, 1024):
                    home = place / f"log-{platform}-{devices}"
                    send(home, told.readings, devices, "packed", {})
                    say(f"log, packed, {devices} devices, {platform}, readings/s", round(throughput(home, platform, {})))
                    shutil.rmtree(home)
        if told.only in (None, "kafka"):
            with Broker(place / "kafka", 0) as broker:
                for wire, share in (("packed", 1.0), ("avro", 1.0), ("json", 0.2)):
                    environment = {
                        "CAUDAL_KAFKA": broker.address,
                        "STREAM_FROM": "kafka",
                        "STREAM_WIRE": wire,
                        "STREAM_TOPIC": f"readings-{wire}",
                    }
                    home = place / f"kafka-{wire}"
                    send(home, int(told.readings * share), 1, wire, environment)
                    say(f"Kafka, {wire}, one device, readings/s", round(throughput(home, "here", environment)))
        if told.only in (None, "latency"):
            for rate in (4096, 1_000_000):
                say(f"latency at {rate:,} readings/s", latency(place / f"latency-{rate}", rate, told.seconds, {}))
        print(json.dumps(figures, indent=2))
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
