"""``python -m benchmarks.stream``: throughput from the log and from Kafka, latency at two rates, the executors beside each other, workers beside one process, and peers; each in
processes of their own.

Throughput: messages lie ready, and a stream reads them to the end. Counted from its first micro-batch to its last, with capture to the lake.
Latency: a replay sends by the clock while a stream runs; counted from a reading's event time to the moment when its statistic has been told.
Peers: the same windows over the same topics in other engines; `benchmarks.stream.peers.compare` says how.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.stream.measure import latency, send, throughput, throughputs
from benchmarks.stream.peers import compare
from caudal.messaging.broker import Broker


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, help="of a backlog  [default: 40 million; 8 million where peers are compared]")
    parser.add_argument("--seconds", type=float, default=20, help="that latency is measured")
    parser.add_argument("--only", choices=("log", "kafka", "latency", "executors", "cores", "peers", "faults", "soak"))
    parser.add_argument("--workers", type=int, default=2, help="that are compared with one process")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of one process and workers in turns, or of peers and caudal  [default: %(default)s]"
    )
    parser.add_argument(
        "--engines", nargs="*", default=[], help="words in the names of those that are compared with peers, all unless given"
    )
    parser.add_argument("--home", type=Path, help="the comparison with peers is written for the console of this home,")
    parser.add_argument("--product", help="and this product")
    told = parser.parse_args()
    if (told.home is None) != (told.product is None):
        parser.error("--home and --product belong together")
    if told.only in ("faults", "soak"):
        sys.exit(import_module(f"benchmarks.stream.{told.only}").main())
    figures: dict[str, Any] = {}

    def say(name: str, figure: Any) -> None:
        figures[name] = figure
        print(f"{name}: {figure}", flush=True)

    place = Path(tempfile.mkdtemp(prefix="caudal-stream-"))
    try:
        for name, measured in (
            ("log", _log),
            ("kafka", _kafka),
            ("latency", _latency),
            ("executors", _executors),
            ("cores", _cores),
        ):
            if told.only in (None, name):
                measured(place, told, say)
        if told.only in (None, "peers"):
            figures["peers"] = _peers(place, told)
        print(json.dumps(figures, indent=2))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _log(place: Path, told: argparse.Namespace, say: Any) -> None:
    for devices in (1, 64, 1024):
        home = place / f"log-{devices}"
        send(home, told.readings or 40_000_000, devices, "packed", {})
        say(f"log, packed, {devices} devices, readings/s", round(throughput(home, "here", {})))
        shutil.rmtree(home)


def _kafka(place: Path, told: argparse.Namespace, say: Any) -> None:
    with Broker(place / "kafka", 0) as broker:
        for wire, share in (("packed", 1.0), ("avro", 1.0), ("json", 0.2)):
            environment = {
                "CAUDAL_KAFKA": broker.address,
                "STREAM_FROM": "kafka",
                "STREAM_WIRE": wire,
                "STREAM_TOPIC": f"readings-{wire}",
            }
            home = place / f"kafka-{wire}"
            send(home, int((told.readings or 40_000_000) * share), 1, wire, environment)
            say(f"Kafka, {wire}, one device, readings/s", round(throughput(home, "here", environment)))


def _latency(place: Path, told: argparse.Namespace, say: Any) -> None:
    for rate in (4096, 1_000_000):
        say(f"latency at {rate:,} readings/s", latency(place / f"latency-{rate}", rate, told.seconds, {}))


def _executors(place: Path, told: argparse.Namespace, say: Any) -> None:
    for on in ("here", "spark"):
        for wire, share in (("packed", 1.0), ("json", 0.2)):
            home = place / f"executors-{on}-{wire}"
            send(home, int((told.readings or 120_000_000) * share), 64, wire, {"STREAM_WIRE": wire})
            say(f"log, {wire}, 64 devices, on {on}", throughputs(home, on, {"STREAM_WIRE": wire}))
            shutil.rmtree(home)
        say(f"latency at 4,096 readings/s, on {on}", latency(place / f"executors-{on}-latency", 4096, told.seconds, {}, on))


def _cores(place: Path, told: argparse.Namespace, say: Any) -> None:
    """One process and workers in turns, over the same messages: 64 devices in the log, one device in Kafka, of which each reads all."""
    readings = told.readings or 80_000_000
    for wire, share in (("packed", 1.0), ("json", 0.15)):
        environment = {"STREAM_WIRE": wire}
        base = place / f"cores-{wire}"
        send(base, int(readings * share), 64, wire, environment)
        _in_turns(f"log, {wire}, 64 devices", place, told, environment, say, base / "streams")
        shutil.rmtree(base)
    with Broker(place / "kafka", 0) as broker:
        for wire, share in (("packed", 0.5), ("json", 0.1)):
            environment = {
                "CAUDAL_KAFKA": broker.address,
                "STREAM_FROM": "kafka",
                "STREAM_WIRE": wire,
                "STREAM_TOPIC": f"readings-{wire}",
            }
            send(place / f"cores-kafka-{wire}", int(readings * share), 1, wire, environment)
            _in_turns(f"Kafka, {wire}, one device", place, told, environment, say)


def _in_turns(
    name: str, place: Path, told: argparse.Namespace, environment: Mapping[str, str], say: Any, log: Path | None = None
) -> None:
    """Say the rates of one process and of workers, of each round, and the median of their ratios."""
    ratios = []
    for number in range(told.rounds):
        rates = {}
        for workers in (1, told.workers):
            home = place / f"turn-{number}-{workers}"
            if log is not None:
                shutil.copytree(log, home / "streams")
            figures = throughputs(home, "here", environment, workers)
            rates[workers] = figures["at_work_readings_per_s"]
            say(f"{name}, round {number + 1}, workers {workers}", figures)
            shutil.rmtree(home)
        ratios.append(round(rates[told.workers] / rates[1], 2))
    say(f"{name}: {told.workers} workers, times one process, by round", ratios)


def _peers(place: Path, told: argparse.Namespace) -> list[dict[str, Any]]:
    rows = compare.compared(place / "peers", told.readings or 8_000_000, told.seconds, told.rounds, told.engines)
    print(compare.table(rows), flush=True)
    if told.home is not None:
        compare.publish(rows, told.home, told.product)
    return rows


if __name__ == "__main__":
    main()
