"""Tables in PostgreSQL equal those of the lake, whatever is in them and whatever happens meanwhile."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import os
import signal
import subprocess
import sys
import threading

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from tests.lakes import write

from caudal.errors import EnvironmentProblem, StepFailed
from caudal.tables.frames import arrow
from caudal.warehouses import known, swap
from caudal.warehouses.connect import connected
from caudal.warehouses.load import as_csv
from caudal.warehouses.target import Target, WarehouseColumn, warehouse_columns
from caudal.warehouses.types import type_of


@pytest.fixture
def url(postgres_url):
    return postgres_url.replace("+psycopg", "")


@pytest.fixture
def reader(url):
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        yield connection


def published(url, version, **more):
    options = {"schema": "taxi", "table": "trips", **more}
    columns = warehouse_columns(version, options.pop("columns", None), options.pop("comments", {}), "taxi.trips")
    target = Target(columns=columns, day="_day" if version.partitioned else None, **options)
    with connected(url, "UTC") as connection:
        return swap.publish_table(connection, target, version, "taxi", "trips", "run-1")


def rows(days, each=3, column="fare", start=0):
    at = [dt.datetime(2024, 1, day, hour) for day in days for hour in range(each)]
    return pa.table(
        {
            "id": pa.array(range(start, start + len(at))),
            "at": pa.array(at, pa.timestamp("us")),
            column: [float(one.day) for one in at],
        }
    )


def there(connection, table="taxi.trips", order="id"):
    asked = connection.execute(f"SELECT * FROM {table} ORDER BY {order}")
    return [dict(zip([one.name for one in asked.description], row, strict=True)) for row in asked]


def test_every_type_arrives_as_it_is(tmp_path, url, reader):
    moment = dt.datetime(2024, 2, 29, 23, 59, 59, 123456)
    columns = {
        "id": pa.array([1, 2]),
        "select": pa.array(["order by", ""]),
        "Größe in m": pa.array(['a"b,\n\\.', None]),
        "long": pa.array(["x" * 300_000, "\\."]),
        "small": pa.array([3, None], pa.int16()),
        "whole": pa.array([2**31 - 1, -(2**31)], pa.int32()),
        "ratio": pa.array([0.1, math.inf]),
        "none": pa.array([math.nan, -math.inf]),
        "short": pa.array([0.1, None], pa.float32()),
        "money": pa.array([decimal.Decimal("12345678901234567890.12"), decimal.Decimal("-0.01")], pa.decimal128(38, 2)),
        "yes": pa.array([True, False]),
        "day": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
        "local": pa.array([moment, None], pa.timestamp("us")),
        "instant": pa.array([moment, None], pa.timestamp("us", tz="UTC")),
        "bytes": pa.array([b"\x00\xff'\\", b""]),
        "numbers": pa.array([[1, None, -3], []], pa.list_(pa.int64())),
        "texts": pa.array([['a"b', "c,d{}", "\\", "NULL", "", None], None], pa.list_(pa.string())),
        "prices": pa.array([[decimal.Decimal("1.50")], None], pa.list_(pa.decimal128(6, 2))),
        "nested": pa.array([{"a": 1, "b": [{"c": "é\n"}]}, None], pa.struct([("a", pa.int64()), ("b", pa.list_(pa.struct([("c", pa.string())])))])),
        "mapped": pa.array([[("k", 1.5), ("n", math.nan)], []], pa.map_(pa.string(), pa.float64())),
    }  # fmt: skip
    table = pa.table(columns)
    published(url, write(tmp_path / "trips", table), key=("id",), indexes=(("select", "Größe in m"),))
    expected = table.to_pylist()
    expected[0]["mapped"], expected[1]["mapped"] = {"k": 1.5, "n": "nan"}, {}
    expected[0]["instant"] = moment.replace(tzinfo=dt.UTC)
    found = there(reader)
    for row in (*expected, *found):
        for name, value in row.items():
            if isinstance(value, float):
                row[name] = repr(pa.scalar(value, pa.float32()).as_py()) if name == "short" else repr(value)
    assert found == expected


@given(st.lists(st.tuples(st.text(max_size=20), st.lists(st.none() | st.text(max_size=5), max_size=4)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_any_text_and_list_of_texts(postgres, values):
    """By COPY alone; zero characters are the only thing that is lost."""
    from collections import Counter

    batch = pa.record_batch(
        {
            "text": pa.array([one for one, _ in values], pa.string()),
            "list": pa.array([one for _, one in values], pa.list_(pa.string())),
        }
    )
    counted = Counter()
    with psycopg.connect(postgres.url("postgres").replace("+psycopg", "")) as connection:
        connection.execute('CREATE TEMP TABLE t ("text" text, "list" text[])')
        with connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN (FORMAT csv)") as copy:
            copy.write(as_csv(batch, counted))
        found = connection.execute("SELECT * FROM t ORDER BY ctid").fetchall()
        connection.rollback()

    def kept(text):
        return text.replace("\0", "") if text is not None else None

    assert found == [(kept(text), [kept(one) for one in several]) for text, several in values]
    assert counted["text"] == sum("\0" in text for text, _ in values)


def test_only_the_days_that_changed_are_written(tmp_path, url, reader):
    first = rows([1, 2, 3])
    published(url, write(tmp_path / "trips", first, "at"), key=("id",), grant="readers", comments={"fare": "USD"}, comment="Trips.")
    reader.execute("CREATE VIEW dear AS SELECT id, fare FROM taxi.trips WHERE fare > 1")
    reader.execute("GRANT SELECT ON taxi.trips TO pg_monitor")
    before = dict(reader.execute("SELECT id, xmin::text FROM taxi.trips").fetchall())
    changed = pa.concat_tables([rows([2], each=2, start=100), rows([4], start=200)])
    version = write(tmp_path / "trips", changed, "at", replace={"2024-01-02", "2024-01-04"})
    outcome = published(url, version, key=("id",), grant="readers", comments={"fare": "USD"}, comment="Trips.")
    assert (outcome.note, outcome.rows, outcome.days) == ("2 days", 5, ("2024-01-02", "2024-01-04"))
    assert [row["id"] for row in there(reader)] == sorted(arrow(version).column("id").to_pylist())
    after = dict(reader.execute("SELECT id, xmin::text FROM taxi.trips").fetchall())
    assert {one for one in before if after.get(one) == before[one]} == {0, 1, 2, 6, 7, 8}
    assert len(there(reader, "dear")) == 8
    reader.execute("SET ROLE readers")
    assert len(there(reader)) == 11
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("DELETE FROM taxi.trips")
    reader.execute("RESET ROLE")
    told = "SELECT obj_description('taxi.trips'::regclass), col_description('taxi.trips'::regclass, 3), has_table_privilege('pg_monitor', 'taxi.trips', 'SELECT')"
    assert reader.execute(told).fetchone() == ("Trips.", "USD", True)
    assert (
        published(url, version, key=("id",), grant="readers", comments={"fare": "USD"}, comment="Trips.").note
        == "was there already"
    )
    assert published(url, version, key=("id",), indexes=(("fare",),)).note == "keys, indexes, comments, readers"
    indexed = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'taxi'"
    assert reader.execute(indexed).fetchone() == (3,)
    published(url, version, key=("at", "id"))
    assert reader.execute(indexed).fetchone() == (2,)
    assert len(there(reader, "dear")) == 8


def test_rows_without_a_day(tmp_path, url, reader):
    table = rows([1, 2])
    without = table.slice(0, 2).set_column(1, "at", pa.array([None, None], pa.timestamp("us")))
    published(url, write(tmp_path / "trips", pa.concat_tables([table.slice(2), without]), "at"))
    assert sum(row["_day"] is None for row in there(reader)) == 2
    version = write(tmp_path / "trips", without.slice(0, 1), "at", replace={None})
    assert published(url, version).days == ("",)
    assert sum(row["_day"] is None for row in there(reader)) == 1
    assert len(there(reader)) == 5


@pytest.mark.parametrize("isolation", [psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ])
def test_readers_see_whole_versions_and_do_not_wait(tmp_path, url, reader, isolation):
    """Each version is of one number; a reader that saw two of them, or none, saw half a version."""

    def numbered(number):
        table = rows([1, 2, 3], each=20)
        return table.set_column(2, "fare", pa.array([float(number)] * table.num_rows))

    published(url, write(tmp_path / "trips", numbered(0), "at"), key=("id",))
    done, seen = threading.Event(), []

    def read():
        with psycopg.connect(url) as connection:
            connection.isolation_level = isolation
            while not done.is_set():
                with connection.transaction():
                    connection.execute("SELECT 1")
                    first = connection.execute("SELECT count(*), min(fare), max(fare) FROM taxi.trips").fetchone()
                    again = connection.execute("SELECT count(*), min(fare), max(fare) FROM taxi.trips").fetchone()
                    seen.append((first, again))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(1, 8):
            published(url, write(tmp_path / "trips", numbered(number), "at"), key=("id",))
    finally:
        done.set()
        thread.join()
    assert len({first for first, _ in seen}) > 2
    for first, again in seen:
        assert (first[0], first[1]) == (60, first[2])
        assert isolation is psycopg.IsolationLevel.READ_COMMITTED or first == again


def test_keys_that_rows_do_not_keep_are_named_and_nothing_changes(tmp_path, url, reader):
    published(url, write(tmp_path / "trips", rows([1, 2]), "at"), key=("id",))
    before = there(reader)
    twice = pa.concat_tables([rows([2]), rows([3], start=1)])
    version = write(tmp_path / "trips", twice, "at", replace={"2024-01-02", "2024-01-03"})
    with pytest.raises(StepFailed, match=r"the key \(id\): id=0 \(2 rows\); id=1 \(3 rows\); id=2 \(3 rows\)\."):
        published(url, version, key=("id",))
    assert there(reader) == before
    holes = rows([4]).set_column(0, "id", pa.array([7, None, None]))
    with pytest.raises(StepFailed, match="there is no id in 2 rows"):
        published(url, write(tmp_path / "other", holes, "at"), table="other", key=("id",))
    assert reader.execute("SELECT to_regclass('taxi.other')").fetchone() == (None,)


def test_columns_come_go_and_change(tmp_path, url, reader):
    folder = tmp_path / "trips"
    published(url, write(folder, rows([1, 2]), "at"), key=("id",), indexes=(("fare",),), grant="readers")
    reader.execute("CREATE VIEW dear AS SELECT id, fare FROM taxi.trips; CREATE VIEW plain AS SELECT id FROM taxi.trips")
    wider = rows([1, 2, 3]).append_column("tip", pa.array([1.5] * 9))
    assert (
        published(url, write(folder, wider, "at"), key=("id",), indexes=(("fare",),), grant="readers").note
        == "every row: new columns tip"
    )
    assert [row["tip"] for row in there(reader)] == [1.5] * 9
    assert len(there(reader, "dear")) == 9
    other = wider.set_column(2, "fare", pa.array(["a"] * 9)).drop_columns(["tip"])
    with pytest.raises(StepFailed, match="'dear' uses 'fare'"):
        published(url, write(folder, other, "at"), key=("id",), indexes=(("fare",),), grant="readers")
    assert len(there(reader, "dear")) == 9
    reader.execute("DROP VIEW dear")
    outcome = published(url, write(folder, other, "at"), key=("id",), indexes=(("fare",),), grant="readers")
    assert outcome.note == "every row: changed or removed fare, tip"
    assert [(row["fare"], "tip" in row) for row in there(reader)] == [("a", False)] * 9
    assert len(there(reader, "plain")) == 9
    assert reader.execute("SELECT has_table_privilege('readers', 'taxi.trips', 'SELECT')").fetchone() == (True,)
    assert reader.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'caudal'").fetchone() == (1,)


def test_what_is_anothers_is_left_alone(tmp_path, url, reader):
    reader.execute("CREATE SCHEMA taxi; CREATE TABLE taxi.trips (id int)")
    version = write(tmp_path / "trips", rows([1]), "at")
    with pytest.raises(StepFailed, match="that caudal has not made"):
        published(url, version)
    reader.execute("DROP TABLE taxi.trips")
    published(url, version)
    with connected(url, "UTC") as connection, pytest.raises(StepFailed, match="where product 'taxi' publishes its 'trips'"):
        swap.publish_table(connection, Target("taxi", "trips", (WarehouseColumn("id", "bigint"),)), version, "shop", "trips", "run")
    reader.execute("DROP TABLE taxi.trips")  # somebody has; it comes back
    assert published(url, version).note == "made"


def test_two_homes_at_once(tmp_path, url, reader):
    """One after the other: what stays is whole, and what is told of it is true."""
    versions = [write(tmp_path / f"trips-{n}", rows([1, 2, 3], each=8, start=1000 * n), "at") for n in range(4)]
    threads = [threading.Thread(target=published, args=(url, one), kwargs={"key": ("id",)}) for one in versions]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    found = [row["id"] for row in there(reader)]
    last = known.last_publication(reader, "taxi.trips")
    assert last is not None
    assert [arrow(one).column("id").to_pylist() for one in versions if known.days_of(one) == last.days] == [found]


def test_a_user_who_may_not_is_told_what_an_administrator_has_to_run(tmp_path, postgres, url, reader):
    version = write(tmp_path / "trips", rows([1]), "at")
    name = reader.info.dbname
    reader.execute("DROP ROLE IF EXISTS loader; CREATE ROLE loader LOGIN")
    theirs = postgres.url(name, "loader").replace("+psycopg", "")
    try:
        for schema in ("caudal", "taxi"):
            with pytest.raises(StepFailed, match=f'CREATE SCHEMA "{schema}" AUTHORIZATION "loader"'):
                published(theirs, version)
            reader.execute(f"CREATE SCHEMA {schema} AUTHORIZATION loader")
        with pytest.raises(StepFailed, match='CREATE ROLE "curious" NOLOGIN'):
            published(theirs, version, grant="curious")
        published(theirs, version)
        assert len(there(reader)) == 3
    finally:
        reader.execute("DROP OWNED BY loader CASCADE; DROP ROLE loader")


def test_a_server_that_stops_while_rows_are_loaded(tmp_path, postgres, url, monkeypatch):
    published(url, write(tmp_path / "trips", rows([1, 2]), "at"), key=("id",))
    version = write(tmp_path / "trips", rows([2, 3], start=50), "at", replace={"2024-01-02", "2024-01-03"})
    real, calls = swap.copy_files, []

    def stopped(*args):
        if not calls:
            calls.append(1)
            postgres.stop()
        return real(*args)

    monkeypatch.setattr(swap, "copy_files", stopped)
    try:
        with pytest.raises(EnvironmentProblem, match="does not answer"):
            published(url, version, key=("id",))
        with pytest.raises(EnvironmentProblem, match="does not answer"):
            published(url, version, key=("id",))
    finally:
        postgres.start()
    assert published(url, version, key=("id",)).note == "2 days"
    with psycopg.connect(url) as connection:
        assert [row["id"] for row in there(connection)] == sorted(arrow(version).column("id").to_pylist())


KILLED = """
import os, signal, sys
from pathlib import Path
import deltalake.transaction, psycopg, psycopg.errors, pyarrow.compute, pyarrow.csv, pyarrow.dataset, pyarrow.parquet
from caudal.storage import delta
from caudal.warehouses import connect, swap
from caudal.warehouses.target import Target, warehouse_columns

url, folder = sys.argv[1], Path(sys.argv[2])
real = psycopg.Connection.execute

def publish(number, at):
    count = 0

    def execute(self, *args, **more):
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *args, **more)

    psycopg.Connection.execute = execute
    version = delta.read_version(folder, number)
    with connect.connected(url, "UTC") as connection:
        target = Target("taxi", "trips", warehouse_columns(version, None, {"id": "It."}, "t"), ("id",), (("fare",),), "Trips.", None, "_day")
        swap.publish_table(connection, target, version, "taxi", "trips", "run")

for line in sys.stdin:  # a child a line: what is imported is imported once
    if (child := os.fork()) == 0:
        publish(*map(int, line.split()))
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.faults
def test_killed_before_any_statement(tmp_path, url, reader):
    """Making, days, and other columns: killed before each statement in turn, a reader sees the version before or the one after."""
    folder = tmp_path / "trips"
    versions = [
        write(folder, rows([1, 2]), "at"),
        write(folder, rows([2, 3], start=50), "at", replace={"2024-01-02", "2024-01-03"}),
        write(folder, rows([1, 5], start=90).append_column("tip", pa.array([1] * 6)), "at"),
    ]
    wanted = [sorted(arrow(one).column("id").to_pylist()) for one in versions]
    kills, before = 0, None
    command = [sys.executable, "-c", KILLED, url, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forker:
        for number, expected in enumerate(wanted):
            for at in range(1, 200):
                forker.stdin.write(f"{number} {at}\n")
                forker.stdin.flush()
                ended = os.waitstatus_to_exitcode(int(forker.stdout.readline()))
                exists = reader.execute("SELECT to_regclass('taxi.trips')").fetchone() != (None,)
                seen = [row["id"] for row in there(reader)] if exists else None
                told = known.last_publication(reader, "taxi.trips") if exists else None
                assert seen in (before, expected)
                assert told is None or (told.version == number) == (seen == expected)
                if ended == 0:
                    break
                assert ended == -signal.SIGKILL
                kills += 1
            assert seen == expected
            before = expected
        forker.stdin.close()
    assert kills > 40


def test_types_have_the_catalogs_names(reader):
    kinds = [pa.bool_(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(9, 3), pa.string(), pa.binary(),
             pa.date32(), pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.list_(pa.decimal128(9, 3)), pa.struct([("a", pa.int8())]),
             pa.list_(pa.timestamp("us")), pa.list_(pa.list_(pa.int8()))]  # fmt: skip
    told = ", ".join(f"c{n} {type_of(kind)}" for n, kind in enumerate(kinds))
    reader.execute(f"CREATE TEMP TABLE t ({told})")
    found = reader.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert [one for (one,) in found] == [type_of(kind) for kind in kinds]
