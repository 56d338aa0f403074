"""``caudal stream`` of topics of rows: the tables of a run over all messages, though they come in pieces and the process is killed; by a real broker."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import zygote
from tests.flow.test_events import Topic, order, written

from caudal.errors import EnvironmentProblem, LeaseHeld, SourceProblem
from caudal.ledger.records import checks, measurements, profiles, runs, steps
from caudal.messaging.broker import Broker
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytest.importorskip("confluent_kafka")
pytestmark = pytest.mark.timeout(900)

TAXI = Path(__file__).parents[2] / "products" / "taxi"
KILLER = Path(__file__).parents[1] / "faults" / "killed.py"
TABLES = ("trips_raw", "trips", "pickups_quarter_hour", "pickups_hour", "pickups_day", "busiest_zones", "trip_start", "demand")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), heap="256m") as running:
        yield running


def environment(broker: Broker) -> dict[str, str]:
    return {**os.environ, "CAUDAL_KAFKA": broker.address}


def caudal(broker: Broker, *arguments: object, code: int = 0, killed_at: str | None = None, log: Path | None = None) -> Any:
    """Run a command to its end and return what it printed: a document, or an error's text."""
    command = [sys.executable, "-m", "caudal", *map(str, arguments), "--json"]
    if killed_at is not None:
        command = [sys.executable, str(KILLER), f"at:{killed_at}", str(log), "--", *map(str, arguments)]
    done = zygote.run(command, capture_output=True, text=True, env=environment(broker), timeout=600)
    assert done.returncode == code, done.stderr[-3000:] + done.stdout[-2000:]
    return json.loads(done.stdout) if code == 0 else done.stderr


def rows_of(home: Path, product: str, table: str, *, quarantine: bool = False) -> list[dict[str, Any]]:
    """Return a table's rows in an order of their own, without the name of the file that they came in."""
    folder = Home(home).quarantine(product, table) if quarantine else Home(home).table(product, table)
    if delta.version_of(folder) is None:
        return []
    rows: pa.Table = arrow(delta.read_version(folder))
    return sorted(rows.drop_columns([name for name in ("_file",) if name in rows.column_names]).to_pylist(), key=str)


# The taxi product: trips by Kafka


def messages_of(folder: Path) -> list[dict[str, Any]]:
    """Write the zones of a simulated city into a folder, and return its trips as messages, the late ones last."""
    spec = importlib.util.spec_from_file_location("taxi_simulation", TAXI / "simulate.py")
    assert spec is not None
    assert spec.loader is not None
    simulation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(simulation)
    folder.mkdir()
    simulation.write(folder, days=3, rows=1500)
    trips = [row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    return [json.loads(json.dumps(row, default=dt.datetime.isoformat)) for row in trips]


def taxi(folder: Path, topic: str) -> Path:
    """Write the taxi product without its models, with its trips from a topic."""
    code = (TAXI / "product.py").read_text()
    source = 'cd.files("green_*"), schema=TRIPS'
    assert code.count(source) == 1
    code = code.replace(source, f'cd.events("{topic}", schema=TRIPS)').replace(" trigger=cd.on_arrival(),", "")
    folder.mkdir()
    (folder / "product.py").write_text(code[: code.index("duration = product.model(")])
    return folder


@pytest.mark.slow(minutes=3)
def test_trips_streamed_in_pieces_through_a_kill_give_the_tables_of_one_run(tmp_path: Path, broker: Broker) -> None:
    data = tmp_path / "data"
    messages = messages_of(data)
    topic = Topic(broker, "trips")
    product = taxi(tmp_path / "taxi", "trips")
    streamed, whole = tmp_path / "streamed", tmp_path / "whole"
    stream = ("stream", product, "--data", data, "--home", streamed, "--once")
    # Poison, a key that no message had before, and a message again at another offset, between the pieces.
    pieces = (
        messages[:500],
        [b"{broken", *messages[500:900]],
        [{**messages[900], "note": "new"}, *messages[901:]],
        messages[100:140],
    )
    for number, piece in enumerate(pieces):
        topic.send(*piece)
        if number == 1:
            for act in (
                "before write_step land:trips_raw",
                "after commit trips",
                "before write_step table:pickups_hour",
                "before commit demand",
            ):
                caudal(broker, *stream, code=-signal.SIGKILL, killed_at=act, log=tmp_path / "log")
        caudal(broker, *stream)
    caudal(broker, "run", product, "--data", data, "--home", whole)
    for table in TABLES:
        assert rows_of(streamed, "taxi", table) == rows_of(whole, "taxi", table), table
        assert rows_of(streamed, "taxi", table, quarantine=True) == rows_of(whole, "taxi", table, quarantine=True), table
    assert len(rows_of(whole, "taxi", "trips")) > 1300
    assert len(rows_of(whole, "taxi", "trips", quarantine=True)) > 40
    again = caudal(broker, "run", product, "--data", data, "--home", streamed)
    assert {step["state"] for step in again["steps"]} == {"skipped"}


# A stream at work


class Streaming:
    """``caudal stream`` of a product in a process of its own."""

    def __init__(self, product: Path, broker: Broker, *more: str) -> None:
        command = [sys.executable, "-m", "caudal", "stream", str(product), "--home", str(product / "home"), "--json", *more]
        self.process = zygote.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(broker))

    def end(self, code: int = 0, by: int | None = signal.SIGTERM) -> Any:
        """Ask it to stop, or wait until it has stopped by itself; return its document, or what it said of an error."""
        if by is not None:
            self.process.send_signal(by)
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == code, err[-3000:]
        return json.loads(out) if code == 0 else out + err


def counted(product: Path, table: str = "orders_hour") -> int:
    """Return how many orders a table of windows has counted so far."""
    folder = Home(product / "home").table("shop", table)
    return sum(arrow(delta.read_version(folder))["orders"].to_pylist()) if delta.version_of(folder) is not None else 0


def wait_for(orders: int, product: Path, streaming: Streaming) -> None:
    until = time.monotonic() + 120
    while counted(product) < orders:
        assert streaming.process.poll() is None, streaming.process.communicate()
        assert time.monotonic() < until, f"{counted(product)} of {orders} orders"
        time.sleep(0.1)


def test_a_stream_at_work_leaves_one_run_and_lets_others_in_between(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "at_work")
    product = written(tmp_path / "shop", "at_work")
    topic.send(*(order(n) for n in range(10)))
    streaming = Streaming(product, broker)
    wait_for(10, product, streaming)
    second = caudal(broker, "stream", product, "--home", product / "home", code=LeaseHeld.exit_code)
    assert "'shop (stream)' is at work" in second
    for number in range(5):  # micro-batches of their own, with what is no row, a new key and a value of another type
        topic.send(order(10 + number, note="new"), b"\xff", {**order(90), "id": "x"})
        wait_for(11 + number, product, streaming)
    beside = caudal(broker, "run", product, "--home", product / "home", "--wait", "60")
    assert {step["state"] for step in beside["steps"]} == {"skipped"}
    document = streaming.end()
    assert document["topics"]["orders"] == {"topic": "at_work", "micro_batches": 6, "rows": 15, "set_aside": 10}
    home = Home(product / "home")
    ledger = home.ledger()
    (run,) = ledger.find(runs, command="stream")
    assert run["state"] == "succeeded"
    assert home.page("shop", run["run_id"]).exists()
    of_run = ledger.find(steps, run_id=run["run_id"])
    assert len(of_run) <= 3 * 3  # three steps, a row each of a minute
    by_step = {step["step"]: step for step in run["summary"]["steps"]}
    assert list(by_step) == ["land:orders", "read:orders", "table:orders_hour"]
    written_rows = run["summary"]["tables"]["orders"]
    assert (written_rows["rows_written"], written_rows["rows_quarantined"]) == (15, 10)
    assert run["summary"]["landed"]["orders"]["files"] == 6
    assert len(ledger.find(profiles, run_id=run["run_id"], table="orders")) == 1
    (check,) = ledger.find(checks, run_id=run["run_id"], table="orders")
    assert check["rows"] >= 15
    figures = ledger.find(measurements, run_id=run["run_id"], subject="orders", metric="rows_written")
    assert sum(figure["value"] for figure in figures) == 15
    assert len(figures) <= 3


def test_a_topic_made_anew_under_a_stream_ends_it_with_one_sentence(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "made_anew")
    product = written(tmp_path / "shop", "made_anew")
    topic.send(*(order(n) for n in range(4)))
    streaming = Streaming(product, broker)
    wait_for(4, product, streaming)
    topic.delete()
    topic.create()
    topic.send(*(order(n) for n in range(100, 130)))
    said = streaming.end(SourceProblem.exit_code, by=None)
    assert "was deleted and made anew" in said
    assert "epoch=" in said
    assert counted(product) == 4
    written(product, "made_anew", ", epoch=1")
    caudal(broker, "stream", product, "--home", product / "home", "--once")
    assert counted(product) == 30


def test_messages_that_are_gone_before_a_stream_landed_them_are_told(tmp_path: Path, broker: Broker) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    topic = Topic(broker, "gone_early")
    product = written(tmp_path / "shop", "gone_early")
    topic.send(*(order(n) for n in range(4)))
    stream = ("stream", product, "--home", product / "home", "--once")
    caudal(broker, *stream)
    topic.send(*(order(n) for n in range(10)))
    admin = AdminClient({"bootstrap.servers": broker.address})
    for future in admin.delete_records([TopicPartition("gone_early", 0, 5)]).values():
        future.result(30)
    said = caudal(broker, *stream, code=SourceProblem.exit_code)
    assert "the next one to read is 2" in said
    assert "retain them longer" in said
    assert counted(product) == 4


def test_no_broker_and_no_topic_are_one_sentence_at_the_start(tmp_path: Path, broker: Broker) -> None:
    product = written(tmp_path / "shop", "not_there")
    said = caudal(broker, "stream", product, "--home", product / "home", "--once", code=EnvironmentProblem.exit_code)
    assert "has no topic 'not_there'" in said


MIXED = """

WEATHER = ("temperature_c", "humidity_percent", "pressure_hpa", "wind_m_s", "rain_mm_h")
samples = product.source("samples", cd.stream(channels=WEATHER, partitions=1), late="1 second", partition="day")
product.statistics("seconds", of=samples, window="1 second", partition="day")


@product.table
def both(orders_hour: DataFrame, seconds: DataFrame) -> DataFrame:
    return orders_hour.selectExpr("sum(orders) AS orders").crossJoin(seconds.selectExpr("sum(readings) AS readings"))
"""


def test_channels_and_rows_of_one_product_stream_together(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "mixed")
    product = written(tmp_path / "shop", "mixed")
    (product / "product.py").write_text((product / "product.py").read_text() + MIXED)
    home = product / "home"
    topic.send(*(order(n) for n in range(12)))
    caudal(broker, "replay", product, "--home", home, "--rate", "0", "--seconds", "10")
    first = caudal(broker, "stream", product, "--home", home, "--once", "--end")
    assert first["sources"]["samples"]["samples"] > 0
    assert first["topics"]["orders"]["rows"] == 12
    topic.send(*(order(n) for n in range(12, 20)))
    caudal(broker, "stream", product, "--home", home, "--once")
    readings = sum(arrow(delta.read_version(Home(home).table("shop", "seconds")))["readings"].to_pylist())
    assert rows_of(home, "shop", "both") == [{"orders": 20, "readings": readings}]
    assert readings > 0
