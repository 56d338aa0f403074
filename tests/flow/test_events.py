"""Messages of Kafka topics as rows: landed once each, judged, set aside with their reason, continued by the next run; by a real broker."""

from __future__ import annotations

import datetime as dt
import json
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests import here

import caudal as cd
from caudal.errors import SourceProblem
from caudal.messaging.broker import Broker
from caudal.stages.ingest import Arrival, KnownFile, arrivals

pytest.importorskip("confluent_kafka")

ORDERS = """\
import caudal as cd
from caudal import expect as ex
from pyspark.sql import DataFrame

product = cd.Product("shop", tz="Europe/Berlin")
ORDERS = cd.schema(
    id=cd.column("long", nullable=False), at=cd.column("timestamp_utc", nullable=False), item="string", amount="decimal(10,2)"
)
product.source(
    "orders", cd.events("orders", schema=ORDERS{more}), event_time="at", partition="day",
    expect=[ex.between("amount", 0, 1000).quarantine()],
)


@product.table(event_time="window_start", partition="day")
def orders_hour(orders: DataFrame) -> DataFrame:
    return cd.tumble(orders, "1 hour").agg(orders="count", amount="sum")
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), heap="256m") as running:
        yield running


class Topic:
    """A topic of a broker."""

    def __init__(self, broker: Broker, name: str) -> None:
        from confluent_kafka.admin import AdminClient

        self.name, self._address = name, broker.address
        self._admin = AdminClient({"bootstrap.servers": broker.address})
        self.create()

    def create(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import NewTopic

        for attempt in range(100):
            try:
                self._admin.create_topics([NewTopic(self.name, 2)])[self.name].result(30)
                return
            except KafkaException:  # it is still being deleted
                if attempt == 99:
                    raise
                time.sleep(0.1)

    def delete(self) -> None:
        self._admin.delete_topics([self.name])[self.name].result(30)

    def send(self, *bodies: bytes | Mapping[str, object] | None, key: bytes | None = None) -> None:
        """Send messages to the partitions in turn."""
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self._address})
        for place, body in enumerate(bodies):
            value = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            producer.produce(self.name, value, key=key, partition=place % 2)
        assert producer.flush(60) == 0


def order(id: int, amount: object = "12.50", **more: object) -> dict[str, object]:
    return {"id": id, "at": f"2024-03-0{1 + id % 3}T10:{id % 60:02d}:00Z", "item": "tea", "amount": amount, **more}


def written(folder: Path, topic: str, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "product.py").write_text(ORDERS.replace('cd.events("orders"', f'cd.events("{topic}"').replace("{more}", more))
    return folder


def run(product: Path, broker: Broker, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "caudal", "run", str(product), "--home", str(product / "home"), *more]
    return here.run(command, env={**os.environ, "CAUDAL_KAFKA": broker.address})


def caudal(product: Path, broker: Broker, *more: str) -> dict[str, Any]:
    done = run(product, broker, "--json", *more)
    assert done.returncode == 0, done.stderr
    if find_spec("pysail") is not None:
        assert "done on Spark" not in done.stderr  # times with an offset, decimals and what is no row are read by Sail
    return dict(json.loads(done.stdout))


def test_each_message_is_a_row_once_and_what_is_none_is_set_aside(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "each")
    product = written(tmp_path / "shop", "each")
    poison = [
        b"broken\n{",
        b"\xff\xfe",
        b"[1]",
        b'{"ID": 1}',
        b'{"id": 1, "id": 2}',
        {"item": "no id"},
        order(3, amount=5000),
        None,
    ]
    topic.send(*(order(n) for n in range(40)), *poison, order(7), order(7))  # an equal message at another offset is another row
    first = caudal(product, broker)["tables"]
    assert first["orders"]["rows_written"] == 42
    assert first["orders"]["rows_quarantined"] == 8
    assert sum(first["orders"]["reasons"].values()) >= 8
    assert {step["state"] for step in caudal(product, broker)["steps"]} == {"skipped"}
    topic.send(*(order(n, note="new") for n in range(40, 50)))  # with a key that no message had before
    caudal(product, broker)
    home = cd.open(product / "home")
    rows = home["shop"]["orders"].to_pandas()
    assert len(rows) == 52
    assert sorted(rows["id"]) == sorted([*range(50), 7, 7])
    assert rows["amount"].iloc[0] == Decimal("12.50")
    assert rows["note"].notna().sum() == 10
    assert len(rows[["kafka_partition", "kafka_offset"]].drop_duplicates()) == 52
    assert int(home["shop"]["orders_hour"].to_pandas()["orders"].sum()) == 52
    aside = home["shop"]["orders"].quarantine()
    assert any("broken" in text and "kafka_offset=" in text for text in aside["_raw"])


def test_rows_that_come_by_kafka_give_the_tables_that_a_file_of_them_gives(tmp_path: Path, broker: Broker) -> None:
    rows = [order(n, amount=f"{n / 8:.2f}") for n in range(300)]
    topic = Topic(broker, "same")
    by_kafka = written(tmp_path / "kafka", "same")
    for part in (rows[:100], rows[100:101], rows[101:]):  # as they come
        topic.send(*part)
        caudal(by_kafka, broker)
    by_file = written(tmp_path / "file", "same")
    code = (by_file / "product.py").read_text().replace('cd.events("same", schema=ORDERS)', 'cd.files("*.ndjson"), schema=ORDERS')
    (by_file / "product.py").write_text(code)
    (by_file / "orders.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    caudal(by_file, broker)
    tables = [cd.open(folder / "home")["shop"]["orders_hour"].to_pandas() for folder in (by_kafka, by_file)]
    first, second = (table.sort_values("window_start").reset_index(drop=True) for table in tables)
    assert len(first) >= 3
    assert first.equals(second)


def test_a_topic_made_anew_is_told_and_begins_again_by_its_epoch(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "anew")
    product = written(tmp_path / "shop", "anew")
    topic.send(*(order(n) for n in range(10)))
    caudal(product, broker)
    topic.delete()
    topic.create()
    topic.send(*(order(n) for n in range(100, 130)))
    done = run(product, broker)
    assert done.returncode == SourceProblem.exit_code
    assert "was deleted and made anew" in done.stderr
    assert "epoch=" in done.stderr
    written(product, "anew", ", epoch=1")
    caudal(product, broker)
    assert sorted(cd.open(product / "home")["shop"]["orders"].to_pandas()["id"]) == [*range(100, 130)]


def test_messages_that_are_gone_before_they_were_landed_are_told(tmp_path: Path, broker: Broker) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    topic = Topic(broker, "gone")
    connection = cd.events("gone", servers=broker.address)
    topic.send(*(order(n) for n in range(10)))
    landed = landed_files(connection, tmp_path)
    topic.send(*(order(n) for n in range(10)))
    admin = AdminClient({"bootstrap.servers": broker.address})
    for future in admin.delete_records([TopicPartition("gone", 0, 8)]).values():
        future.result(30)
    with pytest.raises(
        SourceProblem, match=r"holds offsets 8 to 10 of partition 0; the next one to read is 5.*retain them longer.*epoch="
    ):
        arrivals(connection, data=None, scratch=tmp_path, landed=landed)


def test_older_messages_are_left_out_at_each_look_until_some_have_landed(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "since")
    topic.send(*(order(n) for n in range(10)))
    time.sleep(0.01)
    since = dt.datetime.now(dt.UTC)
    connection = cd.events("since", servers=broker.address, since=since)
    for _ in range(2):
        assert arrivals(connection, data=None, scratch=tmp_path, landed={}) == []
    topic.send(*(order(n) for n in range(10, 15)))
    (file,) = arrivals(connection, data=None, scratch=tmp_path, landed={})
    assert sorted(ids_of([file])) == [*range(10, 15)]


def test_another_address_of_the_same_brokers_goes_on_where_it_was(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "moved")
    topic.send(*(order(n) for n in range(10)))
    landed = landed_files(cd.events("moved", servers=broker.address), tmp_path)
    topic.send(order(10))
    elsewhere = cd.events("moved", servers=broker.address.replace("127.0.0.1", "localhost"))
    (file,) = arrivals(elsewhere, data=None, scratch=tmp_path, landed=landed)
    assert ids_of([file]) == [10]


def test_an_erased_person_does_not_come_back(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "erased")
    product = written(tmp_path / "shop", "erased")
    code = (product / "product.py").read_text()
    (product / "product.py").write_text(code + '\nproduct.subject("item")\n')
    topic.send(*(order(n, item="anna" if n % 3 else "berta") for n in range(30)))
    caudal(product, broker)
    command = [
        sys.executable,
        "-m",
        "caudal",
        "erase",
        str(product),
        "--subject",
        "item=anna",
        "--home",
        str(product / "home"),
        "--yes",
    ]
    done = here.run(command, env={**os.environ, "CAUDAL_KAFKA": broker.address})
    assert done.returncode == 0, done.stderr
    topic.send(order(30, item="berta"))
    caudal(product, broker)
    assert sorted(cd.open(product / "home")["shop"]["orders"].to_pandas()["id"]) == [*range(0, 30, 3), 30]


def landed_files(connection: Any, scratch: Path) -> dict[str, KnownFile]:
    return known(arrivals(connection, data=None, scratch=scratch, landed={}))


def known(files: Sequence[Arrival]) -> dict[str, KnownFile]:
    return {file.path: KnownFile(file.etag, file.modified_ns, file.bytes, "0" * 64) for file in files}


def ids_of(files: Sequence[Arrival]) -> list[int]:
    return [json.loads(line)["id"] for file in files for line in file.local.read_text().splitlines()]


def test_no_broker_and_no_topic_are_one_sentence_each(tmp_path: Path, broker: Broker) -> None:
    with pytest.raises(SourceProblem, match="does not answer") as problem:
        arrivals(cd.events("orders", servers="127.0.0.1:1"), data=None, scratch=tmp_path, landed={})
    assert problem.value.facts["transient"]
    with pytest.raises(SourceProblem, match="has no topic 'nothing'") as problem:
        arrivals(cd.events("nothing", servers=broker.address), data=None, scratch=tmp_path, landed={})
    assert not problem.value.facts["transient"]


def test_many_messages_come_in_files_each_of_which_can_be_the_last(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caudal.stages.ingest.events.FILE_BYTES", 1 << 18)
    topic = Topic(broker, "many")
    topic.send(*(order(n, item="x" * 200) for n in range(8000)))
    connection = cd.events("many", servers=broker.address)
    (tmp_path / "again").mkdir()
    files = arrivals(connection, data=None, scratch=tmp_path, landed={})
    assert len(files) > 3
    assert sorted(ids_of(files)) == [*range(8000)]
    for cut in (1, 2, len(files) - 1):  # landing stopped after some of them
        rest = arrivals(connection, data=None, scratch=tmp_path / "again", landed=known(files[:cut]))
        assert sorted(ids_of(files[:cut]) + ids_of(rest)) == [*range(8000)]


ORDER = {
    "type": "record", "name": "Order",
    "fields": [
        {"name": "id", "type": "long"}, {"name": "item", "type": ["null", "string"]},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}  # fmt: skip
WIDER = {**ORDER, "fields": [*ORDER["fields"], {"name": "note", "type": "string", "default": ""}]}


@pytest.fixture
def registry() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a server that answers as a Schema Registry does for the schemas 1 and 2, and the paths that were requested."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            schema = {"/schemas/ids/1": ORDER, "/schemas/ids/2": WIDER}.get(self.path)
            body = json.dumps(
                {"schema": json.dumps(schema)} if schema else {"error_code": 40403, "message": "Schema not found"}
            ).encode()
            self.send_response(200 if schema else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def avro(number: int, schema: Mapping[str, Any], row: Mapping[str, object]) -> bytes:
    import io

    import fastavro

    record = io.BytesIO()
    fastavro.schemaless_writer(record, fastavro.parse_schema(dict(schema)), dict(row))
    return struct.pack(">bI", 0, number) + record.getvalue()


def test_avro_of_a_registry_whose_schema_changes_between_two_messages(
    tmp_path: Path, broker: Broker, registry: tuple[str, list[str]]
) -> None:
    pytest.importorskip("fastavro")
    address, asked = registry
    row = {"id": 1, "item": None, "amount": Decimal("3.10"), "at": dt.datetime(2024, 3, 1, 9, 0, 0, 5, tzinfo=dt.UTC)}
    topic = Topic(broker, "avro")
    good = avro(1, ORDER, row)
    topic.send(good, avro(2, WIDER, {**row, "id": 2, "note": "ä"}), avro(9, ORDER, row), good[:-2], b"{}", good + b"x")
    product = written(tmp_path / "shop", "avro", f', encoding="avro", registry="{address}"')
    orders = caudal(product, broker)["tables"]["orders"]
    assert (orders["rows_written"], orders["rows_quarantined"]) == (2, 4)
    assert sorted(asked) == ["/schemas/ids/1", "/schemas/ids/2", "/schemas/ids/9"]
    rows = cd.open(product / "home")["shop"]["orders"].to_pandas().sort_values("id")
    assert list(rows["amount"]) == [Decimal("3.10")] * 2
    assert [moment.isoformat() for moment in rows["at"].dt.tz_convert("UTC")] == ["2024-03-01T09:00:00.000005+00:00"] * 2
    assert list(rows["note"].fillna("none")) == ["none", "ä"]


def test_changes_of_debezium_are_rows_with_what_changed_them(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "changes")
    after = order(1)
    topic.send(
        {"schema": {"type": "struct"}, "payload": {"before": None, "after": after, "op": "c", "ts_ms": 1709287200123}},
        {"before": after, "after": {**after, "amount": "13.00"}, "op": "u", "ts_ms": 1709287201000},
        {"before": after, "after": None, "op": "d", "ts_ms": 1709287202000}, None, {"id": 4},
    )  # fmt: skip
    product = written(tmp_path / "shop", "changes", ', encoding="debezium"')
    orders = caudal(product, broker)["tables"]["orders"]
    assert (orders["rows_written"], orders["rows_quarantined"]) == (3, 1)
    rows = cd.open(product / "home")["shop"]["orders"].to_pandas().sort_values("changed_at")
    assert list(rows["change"]) == ["c", "u", "d"]
    assert list(rows["amount"]) == [Decimal("12.50"), Decimal("13.00"), Decimal("12.50")]
