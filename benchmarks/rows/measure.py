"""Latency of a stream of rows: messages are sent by the clock, and each commit of the tables tells, by its time, which of them it made visible."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from caudal.messaging.broker import Broker
from caudal.storage import delta, delta_log
from caudal.tables.home import Home

TAXI = Path(__file__).parents[2] / "products" / "taxi"
ORDERS = """\
import caudal as cd
from caudal import expect as ex

product = cd.Product("orders")
ORDERS = cd.schema(
    id=cd.column("long", nullable=False), at=cd.column("timestamp_utc", nullable=False), item="string", amount="decimal(10,2)"
)
product.source(
    "orders", cd.events("orders", schema=ORDERS), event_time="at", partition="day", expect=[ex.between("amount", 0, 1000).quarantine()]
)


@product.table(event_time="window_start", partition="day")
def orders_hour(orders):
    return cd.tumble(orders, "1 hour").agg(orders="count", amount="sum")
"""


@dataclass(frozen=True)
class Case:
    """A product with its messages.

    Parameters
    ----------
    source : the source of the topic, and ``topic``
    tables : those whose latency is told, in the order of the steps
    before : number of messages that are there when the stream starts
    """

    name: str
    source: str
    topic: str
    tables: tuple[str, ...]
    before: int = 2000


CASES = (
    Case("orders", "orders", "orders", ("orders", "orders_hour")),
    Case("taxi", "trips_raw", "trips", ("trips_raw", "trips", "pickups_hour", "demand"), 5000),
)


def measure(case: Case, folder: Path, *, rate: float, seconds: float, warm_s: float) -> dict[str, Any]:
    """Return quantiles of the seconds from a message's time to the commit that made it visible, by table; of messages after ``warm_s``."""
    product, messages = _taxi(folder) if case.name == "taxi" else _orders(folder)
    with Broker(folder / "broker", heap="256m") as broker:
        _send(broker, case.topic, messages[: case.before])
        command = [
            sys.executable,
            "-m",
            "caudal",
            "stream",
            str(product),
            "--home",
            str(folder / "home"),
            "--data",
            str(folder / "data"),
        ]
        environment = {**os.environ, "CAUDAL_KAFKA": broker.address}
        home = Home(folder / "home")
        with (folder / "stream.log").open("wb") as log:
            stream = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            while delta.version_of(home.table(case.name, case.tables[-1])) is None:
                if stream.poll() is not None:
                    raise SystemExit((folder / "stream.log").read_text())
                time.sleep(0.2)
            began, sent = time.time(), case.before
            while time.time() < began + seconds:
                _send(broker, case.topic, messages[sent : sent + 1])
                sent += 1
                time.sleep(max(0.0, began + (sent - case.before) / rate - time.time()))
            time.sleep(15)
            load = os.getloadavg()[0]
            stream.send_signal(signal.SIGTERM)
            stream.wait(120)
    return {"case": case.name, "load": round(load, 1), **_latencies(case, home, began + warm_s)}


def _latencies(case: Case, home: Home, since: float) -> dict[str, Any]:
    source = home.table(case.name, case.source)
    known: set[str] = set()
    batches: list[tuple[float, np.ndarray[Any, Any]]] = []
    for number in range((delta.version_of(source) or 0) + 1):
        files = {file.path for file in delta.read_version(source, number).files}
        times = [
            pq.read_table(source / path, columns=["kafka_time"], partitioning=None)["kafka_time"].cast("int64").to_numpy() / 1e6
            for path in files - known
        ]
        batches.append((_committed_at(source, number), np.concatenate(times) if times else np.empty(0)))
        known |= files
    result: dict[str, Any] = {"micro_batches": sum(bool((times > since).any()) for _, times in batches)}
    for table in case.tables:
        folder = home.table(case.name, table)
        commits = np.array([_committed_at(folder, number) for number in range((delta.version_of(folder) or 0) + 1)])
        waited: list[float] = []
        for at, times in batches:
            later = commits[commits >= at]
            if len(later):
                waited.extend(later[0] - times[times > since])
        result[table] = {f"p{share}_s": round(float(np.percentile(waited, share)), 2) for share in (50, 95)} | {"rows": len(waited)}
    return result


def _committed_at(folder: Path, number: int) -> float:
    return delta_log.entry_of(folder / "_delta_log", number).stat().st_mtime


def _orders(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    product = folder / "product"
    product.mkdir(parents=True)
    (folder / "data").mkdir()
    (product / "product.py").write_text(ORDERS)
    start = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    return product, [
        {"id": n, "at": (start + dt.timedelta(seconds=10 * n)).isoformat(), "item": "tea", "amount": f"{n % 90}.50"}
        for n in range(20_000)
    ]


def _taxi(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    """Write the taxi product without its models, its trips from a topic, and return it with a week of simulated trips."""
    product, data = folder / "product", folder / "data"
    product.mkdir(parents=True)
    data.mkdir()
    code = (TAXI / "product.py").read_text()
    code = code.replace('cd.files("green_*"), schema=TRIPS', 'cd.events("trips", schema=TRIPS)').replace(
        " trigger=cd.on_arrival(),", ""
    )
    (product / "product.py").write_text(code[: code.index("duration = product.model(")])
    spec = spec_from_file_location("taxi_simulation", TAXI / "simulate.py")
    assert spec is not None
    assert spec.loader is not None
    simulation = module_from_spec(spec)
    spec.loader.exec_module(simulation)
    simulation.write(data, days=7, rows=8000)
    rows = [row for file in sorted(data.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    return product, [json.loads(json.dumps(row, default=dt.datetime.isoformat)) for row in rows]


def _send(broker: Broker, topic: str, messages: list[dict[str, Any]]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 0})
    for message in messages:
        producer.produce(topic, json.dumps(message).encode())
    assert producer.flush(60) == 0
