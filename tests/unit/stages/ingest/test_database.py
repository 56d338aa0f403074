"""Rows of a database: types, ranges, what has changed, and what is said when it does not go."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import caudal as cd
from caudal.declarations.database import Database
from caudal.errors import DeclarationProblem, EnvironmentProblem, SourceProblem
from caudal.secret import shown
from caudal.stages.ingest import Arrival, KnownFile, arrivals, database as fetching
from caudal.stages.ingest.sql import copy as copying, extract as extracting

NOW = 1_700_000_000.0


class Lake:
    """What landing does with arrivals, and no more: bytes kept, and what was noted of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen, self.at = folder, dict[str, KnownFile](), NOW

    def look(self, source: Database) -> list[Arrival]:
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        self.at += 60
        return arrivals(source, data=self.folder, scratch=scratch, landed=self.seen, clock=lambda: self.at)

    def land(self, source: Database) -> list[pa.Table]:
        tables = []
        for one in self.look(source):
            content = one.local.read_bytes()
            stored = self.folder / f"{hashlib.sha256(content).hexdigest()}.parquet"
            stored.write_bytes(content)
            self.seen[one.path] = KnownFile(one.etag, one.modified_ns, one.bytes, stored.stem, stored)
            tables.append(pq.read_table(stored))
        return tables


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.fixture
def shop(postgres_url: str) -> Iterator[tuple[str, psycopg.Connection]]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE sale (id int PRIMARY KEY, what text, at timestamp(0))")
        connection.execute(
            "INSERT INTO sale SELECT n, 'sale ' || n, timestamp '2024-05-01' + n * interval '1 minute' FROM generate_series(1, 100) n"
        )
        yield postgres_url, connection


# Types


@pytest.mark.slow
def test_every_table_of_sakila_is_the_same_row_for_row(sakila: str, lake: Lake) -> None:
    with psycopg.connect(sakila.replace("+psycopg", "")) as connection:
        names = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]
        assert len(names) >= 15
        total = 0
        for name in names:
            (table,) = lake.land(cd.database(sakila, table=name))
            asked = connection.execute(f"SELECT * FROM {name}".encode())
            columns = [one.name for one in asked.description or ()]
            text = {"fulltext"}
            expected = [{key: value for key, value in zip(columns, row, strict=True) if key not in text} for row in asked]
            assert table.column_names == columns
            assert sorted(map(repr, table.drop_columns(sorted(text & set(columns))).to_pylist())) == sorted(map(repr, expected)), (
                name
            )
            total += table.num_rows
    assert total >= 46_273


def test_sakila_s_enum_array_domain_and_bytes_have_types_of_arrow(sakila: str, lake: Lake) -> None:
    (film,) = lake.land(cd.database(sakila, table="film"))
    assert film.schema.field("rating").type == pa.string()
    assert film.schema.field("special_features").type == pa.list_(pa.field("element", pa.string()))
    assert film.schema.field("release_year").type == pa.int32()
    assert film.schema.field("rental_rate").type == pa.decimal128(4, 2)
    assert film.schema.field("last_update").type == pa.timestamp("us")
    assert json.loads(film.schema.metadata[b"caudal.notes"]) == [
        "'fulltext' of 'film' is kept as text: tsvector has no type of a table."
    ]
    (staff,) = lake.land(cd.database(sakila, table="public.staff"))
    assert staff.schema.field("picture").type == pa.binary()


def test_the_other_types_of_postgresql(postgres_url: str, lake: Lake) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN price AS numeric(8,3); CREATE DOMAIN prices AS price[]"
        )
        connection.execute(
            """CREATE TABLE every (small smallint, big bigint, yes boolean, single real, double double precision, plain numeric, cost price,
            day date, at_s timestamp(0), at timestamptz, blob bytea, doc jsonb, id uuid, span tstzrange, clock time, mood mood, moods mood[],
            whole int[], costs numeric(8,3)[], kind "char", "Odd "" name: x%" text)"""
        )
        connection.execute(
            """INSERT INTO every VALUES (-7, 9007199254740993, true, 1.5, 0.1, 1234567890123456789.000000001, 12345.678,
            '2024-02-29', '2024-05-01 12:34:56.7', '2024-05-01 12:00:00.000001+02', '\\xdeadbeef', '{"a": 1}',
            '00000000-0000-0000-0000-000000000001', '[2024-05-01 00:00+00,)', '10:00', 'glad', '{sad,NULL,glad}', '{1,NULL,3}', '{1.5,2.250}',
            'x', 'it''s')"""
        )
        connection.execute("INSERT INTO every DEFAULT VALUES")
    (table,) = lake.land(cd.database(postgres_url, table="every"))
    full, empty = table.to_pylist()
    assert full == {
        "small": -7, "big": 9007199254740993, "yes": True, "single": 1.5, "double": 0.1, "plain": "1234567890123456789.000000001",
        "cost": Decimal("12345.678"), "day": date(2024, 2, 29), "at_s": datetime(2024, 5, 1, 12, 34, 57),
        "at": datetime(2024, 5, 1, 10, 0, 0, 1, UTC), "blob": b"\xde\xad\xbe\xef", "doc": '{"a": 1}',
        "id": "00000000-0000-0000-0000-000000000001", "span": '["2024-05-01 00:00:00+00",)', "clock": "10:00:00", "mood": "glad",
        "moods": ["sad", None, "glad"], "whole": [1, None, 3], "costs": [Decimal("1.500"), Decimal("2.250")], "kind": "x", 'Odd " name: x%': "it's",
    }  # fmt: skip
    assert set(empty.values()) == {None}
    notes = json.loads(table.schema.metadata[b"caudal.notes"])
    assert [note.split("'")[1] for note in notes] == ["plain", "span", "clock"]


@pytest.mark.parametrize("by_copy", [True, False])
def test_texts_and_numbers_are_the_same_by_copy_and_by_cursor(
    postgres_url: str, lake: Lake, monkeypatch: pytest.MonkeyPatch, by_copy: bool
) -> None:
    taken: list[bool] = []
    able = extracting.can_copy
    monkeypatch.setattr(extracting, "can_copy", lambda *said: taken.append(able(*said)) or (by_copy and taken[-1]))
    texts = [
        "",
        None,
        "NULL",
        "\\N",
        "\\.",
        '"',
        "a,b",
        "two\nlines",
        "\r\n",
        " blank ",
        "ünïcødé 🦊",
        "''",
        "%s",
        "t",
        "x" * 100_000,
    ]
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE plain (n serial, text text, fixed char(8), yes bool, single real, double float8, cost numeric(20,6), day date,"
            " at timestamp, at_z timestamptz)"
        )
        rows = [(text, (text or "")[:5], n % 2 == 0, n / 3, 10.0**n / 7, Decimal(n) / 8, date(1900, 1, n + 1),
                 datetime(1969, 12, 31, 23, 59, 59, 10**n % 10**6), datetime(2024, 3, 31, 1, 2, 3, n, UTC)) for n, text in enumerate(texts)]  # fmt: skip
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO plain (text, fixed, yes, single, double, cost, day, at, at_z) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                rows,
            )
            cursor.execute("INSERT INTO plain (single, double) VALUES ('Infinity', '-Infinity'), (NULL, NULL)")
            expected = cursor.execute("SELECT * FROM plain ORDER BY n").fetchall()
    (table,) = lake.land(cd.database(postgres_url, table="plain", key="n"))
    assert taken == [True]
    found = [tuple(row.values()) for row in table.to_pylist()]
    # The driver gives a real the digits that it needs, Arrow those of the double that it is.
    single = [None if row[4] is None else np.float32(row[4]) for row in expected]
    assert [None if row[4] is None else np.float32(row[4]) for row in found] == single
    assert [(*row[:4], *row[5:]) for row in found] == [(*row[:4], *row[5:]) for row in expected]


def test_what_copy_cannot_say_comes_by_cursor(postgres_url: str, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BLOCK", 1000)
    long = "SELECT n AS id, repeat('x', n) AS what FROM generate_series(1, 3000) n"
    (table,) = lake.land(cd.database(postgres_url, query=long, key="id", watermark="id"))
    assert [len(row["what"]) for row in table.to_pylist()] == list(range(1, 3001))


def test_a_query_with_colons_and_percents_is_asked_as_it_stands(shop: tuple[str, object], lake: Lake) -> None:
    (table,) = lake.land(
        cd.database(
            shop[0], query="SELECT id::bigint, what LIKE '%9' AS nine, ':id' AS colon, 'a\\b' AS back FROM sale WHERE id % 50 = 0;"
        )
    )
    assert table.to_pylist() == [{"id": n, "nine": False, "colon": ":id", "back": "a\\b"} for n in (50, 100)]


def test_values_that_no_type_holds_are_named(postgres_url: str, lake: Lake) -> None:
    source = cd.database(postgres_url, query="SELECT 'NaN'::numeric(5,2) AS cost")
    with pytest.raises(SourceProblem, match=r"Column 'cost' of 'query'.*NULLIF"):
        lake.look(source)
    with pytest.raises(SourceProblem, match=r"'query' at .* cannot be read"):
        lake.look(cd.database(postgres_url, query="SELECT 'infinity'::timestamp AS at"))


def test_sqlite_s_columns_and_its_values(lake: Lake) -> None:
    with sqlite3.connect(lake.folder / "shop.db") as connection:
        connection.execute(
            "CREATE TABLE sale (id INTEGER PRIMARY KEY, what VARCHAR(20), cost DECIMAL(6,2), at DATETIME, day DATE, data BLOB, open BOOLEAN, free)"
        )
        connection.execute("INSERT INTO sale VALUES (1, 'a', 12.5, '2024-05-01 10:00:00', '2024-05-01', x'00ff', 1, 'any')")
        connection.execute("INSERT INTO sale DEFAULT VALUES")
    (table,) = lake.land(cd.database("sqlite:///shop.db", table="sale"))
    assert table.to_pylist() == [
        {"id": 1, "what": "a", "cost": Decimal("12.50"), "at": datetime(2024, 5, 1, 10), "day": date(2024, 5, 1), "data": b"\x00\xff",
         "open": True, "free": "any"},
        {"id": 2, "what": None, "cost": None, "at": None, "day": None, "data": None, "open": None, "free": None},
    ]  # fmt: skip
    (asked,) = lake.land(cd.database("sqlite:///shop.db", query="SELECT count(*) AS n, max(cost) AS most FROM sale"))
    assert asked.to_pylist() == [{"n": 2, "most": 12.5}]
    with sqlite3.connect(lake.folder / "shop.db") as connection:
        connection.execute("INSERT INTO sale (id, cost) VALUES (3, 'dear')")
    with pytest.raises(SourceProblem, match=r"'sale' at .* in column 'cost' that is not of its column's type: 'dear'"):
        lake.look(cd.database("sqlite:///shop.db", table="sale"))


# Whole, and what has changed


@pytest.mark.parametrize("parallel", [1, 3, 8, 200])
def test_ranges_hold_every_row_once(shop: tuple[str, psycopg.Connection], lake: Lake, parallel: int) -> None:
    tables = lake.land(cd.database(shop[0], table="sale", key="id", parallel=parallel))
    assert len(tables) == min(parallel, 100)
    assert sorted(row["id"] for table in tables for row in table.to_pylist()) == list(range(1, 101))


def test_a_whole_table_that_did_not_change_brings_nothing(shop: tuple[str, psycopg.Connection], lake: Lake) -> None:
    source = cd.database(shop[0], table="sale", key="id", parallel=3)
    assert len(lake.land(source)) == 3
    assert lake.look(source) == []
    shop[1].execute("DELETE FROM sale WHERE id = 7")
    assert sum(table.num_rows for table in lake.land(source)) == 99
    assert len({path.rpartition("/")[0] for path in lake.seen}) == 2
    shop[1].execute("DELETE FROM sale")
    (empty,) = lake.land(source)
    assert (empty.num_rows, empty.column_names) == (0, ["id", "what", "at"])


def changes(shop: tuple[str, psycopg.Connection], **more: object) -> Database:
    return cd.database(shop[0], table="sale", watermark="at", key="id", **more)  # type: ignore[arg-type]


def test_only_what_changed_is_brought_again(shop: tuple[str, psycopg.Connection], lake: Lake) -> None:
    source = changes(shop, overlap="10 minutes")
    assert [table.num_rows for table in lake.land(source)] == [100]
    assert lake.look(source) == []  # the overlap's rows are known
    shop[1].execute("UPDATE sale SET what = 'late', at = timestamp '2024-05-01 01:36' WHERE id = 3")  # within the overlap
    shop[1].execute("UPDATE sale SET what = 'too late', at = timestamp '2024-05-01 01:00' WHERE id = 4")
    shop[1].execute("INSERT INTO sale VALUES (101, 'new', '2024-05-02'), (102, 'timeless', NULL)")
    (table,) = lake.land(source)
    assert sorted(table.column("id").to_pylist()) == [3, 101, 102]
    assert len({path.rpartition("/")[0] for path in lake.seen}) == 1
    assert lake.look(source) == []


def test_a_row_that_goes_back_to_what_it_was_is_brought_again(shop: tuple[str, psycopg.Connection], lake: Lake) -> None:
    source = changes(shop, overlap="1 day")
    lake.land(source)
    seen = []
    for what in ("other", "sale 5", "other", "other"):
        shop[1].execute("UPDATE sale SET what = %s WHERE id = 5", [what])
        seen.append([row["what"] for table in lake.land(source) for row in table.to_pylist()])
    assert seen == [["other"], ["sale 5"], ["other"], []]
    assert len({one.sha256 for one in lake.seen.values()}) == 4


def test_without_a_key_rows_of_the_overlap_are_known_by_their_content(shop: tuple[str, psycopg.Connection], lake: Lake) -> None:
    source = cd.database(shop[0], table="sale", watermark="id", overlap=50)
    lake.land(source)
    assert lake.look(source) == []
    shop[1].execute("INSERT INTO sale VALUES (0, 'lost', NULL), (200, 'new', NULL)")
    (table,) = lake.land(source)
    assert table.column("id").to_pylist() == [200]


def test_asking_otherwise_begins_anew(shop: tuple[str, psycopg.Connection], lake: Lake) -> None:
    lake.land(changes(shop))
    (table,) = lake.land(cd.database(shop[0], query="SELECT id, at FROM sale", watermark="at", key="id"))
    assert (table.num_rows, table.column_names) == (100, ["id", "at"])


def test_a_column_that_is_added_makes_old_rows_no_news(shop: tuple[str, psycopg.Connection], lake: Lake) -> None:
    source = changes(shop, overlap="1 day")
    lake.land(source)
    shop[1].execute("ALTER TABLE sale ADD COLUMN shop int")
    assert lake.look(source) == []
    shop[1].execute("UPDATE sale SET shop = 3 WHERE id < 3")
    (table,) = lake.land(source)
    assert table.column("shop").to_pylist() == [3, 3]


def test_sqlite_brings_what_changed(lake: Lake) -> None:
    with sqlite3.connect(lake.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE sale (id INTEGER, at DATETIME)")
        connection.executemany("INSERT INTO sale VALUES (?, ?)", [(n, f"2024-05-01 10:00:{n:02}") for n in range(10)])
    source = cd.database("sqlite:///shop.db", table="sale", watermark="at", key="id", parallel=2)
    assert [table.num_rows for table in lake.land(source)] == [5, 5]
    assert lake.look(source) == []
    with sqlite3.connect(lake.folder / "shop.db") as connection:
        connection.execute("INSERT INTO sale VALUES (10, '2024-05-01 10:00:09'), (11, '2024-05-01 10:00:09.500')")
    assert [row["id"] for table in lake.land(source) for row in table.to_pylist()] == [10, 11]


@pytest.mark.parametrize("type", ["TEXT", "DATETIME", ""])
@pytest.mark.parametrize("form", ["{} {}", "{}T{}", "{}T{}Z"])
def test_text_that_is_a_time_is_a_watermark_with_its_overlap(lake: Lake, type: str, form: str) -> None:
    if type == "DATETIME" and form.endswith("Z"):
        pytest.skip("a time without a zone, by its declaration")

    def add(*rows: tuple[int, str]) -> None:
        with sqlite3.connect(lake.folder / "shop.db") as connection:
            connection.executemany("INSERT INTO sale VALUES (?, ?)", [(id, form.format("2024-01-01", at)) for id, at in rows])

    with sqlite3.connect(lake.folder / "shop.db") as connection:
        connection.execute(f"CREATE TABLE sale (id INTEGER, at {type})")
    source = cd.database("sqlite:///shop.db", table="sale", watermark="at", overlap="10 seconds")
    add((1, "10:00:00"))
    lake.land(source)
    add((2, "09:59:59"), (3, "10:00:01"), (4, "09:59:00"))
    assert sorted(row["id"] for table in lake.land(source) for row in table.to_pylist()) == [2, 3]
    assert lake.look(source) == []


def test_text_whose_order_is_not_that_of_what_it_means_is_no_watermark(shop: tuple[str, psycopg.Connection], lake: Lake) -> None:
    url, connection = shop
    connection.execute("CREATE TABLE kept (id int, rev text, no text, at text, plain numeric, ok boolean)")
    connection.execute("INSERT INTO kept VALUES (1, '9', '07', '2024-01-01 10:00:00', 9, true)")
    fine = cd.database(url, table="kept", watermark="no", overlap=3)
    times = cd.database(url, table="kept", watermark="at", overlap="1 minute")
    assert [len(lake.land(source)) for source in (fine, times)] == [1, 1]
    connection.execute(
        "INSERT INTO kept VALUES (2, '10', '10', '2024-01-01 10:00:00.5', 10, false), (3, '8', '05', '2024-01-01 09:59:59', 8, null)"
    )
    assert sorted(row["id"] for table in lake.land(times) for row in table.to_pylist()) == [2, 3]
    with pytest.raises(SourceProblem, match=r"watermark 'rev'.*'10' is not written as '9' is.*CAST"):
        lake.look(cd.database(url, table="kept", watermark="rev"))
    with pytest.raises(SourceProblem, match=r"watermark 'plain'"):
        lake.look(cd.database(url, table="kept", watermark="plain"))
    with pytest.raises(SourceProblem, match=r"watermark 'ok', which is bool"):
        lake.look(cd.database(url, table="kept", watermark="ok"))
    connection.execute("INSERT INTO kept VALUES (4, '1', '100', '2024-01-01T11:00:00', 1, true)")
    for name, odd in (("no", "'100'"), ("at", "'2024-01-01 10:00:00.5' is not written as '2024-01-01T11:00:00'")):
        with pytest.raises(SourceProblem, match=f"watermark '{name}'.*{odd}"):
            lake.look(cd.database(url, table="kept", watermark=name))


def test_ranges_are_of_one_state_of_the_database(
    shop: tuple[str, psycopg.Connection], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Money moves between rows all the while; its sum is the same in every extraction."""
    url, connection = shop
    connection.execute(
        "CREATE TABLE account (id int PRIMARY KEY, cents bigint); INSERT INTO account SELECT n, 1000 FROM generate_series(1, 2000) n"
    )
    stop = threading.Event()

    def move() -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as own:
            n = 0
            while not stop.is_set():
                n += 1
                own.execute(
                    "UPDATE account SET cents = cents + CASE WHEN id < 1000 THEN 1 ELSE -1 END WHERE id IN (%s, %s)",
                    [n % 999 + 1, n % 999 + 1000],
                )

    mover = threading.Thread(target=move)
    mover.start()
    try:
        source = cd.database(url, table="account", key="id", parallel=4)
        sums = []
        for _ in range(5):
            tables = [pq.read_table(one.local) for one in lake.look(source)]
            assert len(tables) == 4
            sums.append(sum(sum(table.column("cents").to_pylist()) for table in tables))
    finally:
        stop.set()
        mover.join()
    assert sums == [2_000_000] * 5


# What is said when it does not go


def test_tables_and_columns_are_named(shop: tuple[str, object], lake: Lake) -> None:
    for source, said in (
        (cd.database(shop[0], table="sales"), r"has no table 'sales'. Did you mean 'sale'\?"),
        (
            cd.database(shop[0], table="sale", watermark="whta"),
            r"has no column 'whta', its declared watermark. Did you mean 'what'\?",
        ),
        (cd.database(shop[0], table="sale", key="idd"), r"has no column 'idd', its declared key. Did you mean 'id'\?"),
        (cd.database(shop[0], table="pubic.sale"), r"has no schema 'pubic', .* Did you mean 'public'\?"),
        (cd.database(shop[0], query="SELEC 1"), "'query' at .* cannot be read: syntax error"),
        (cd.database(shop[0], table="sale", key="what", parallel=2), "its key 'what' is no number"),
        (cd.database("sqlite:///none.db", table="a"), "There is no database '.*none.db'"),
        (cd.database(shop[0].replace("/test_", "/tset_"), table="sale"), "cannot be opened: .*does not exist"),
        (cd.database(shop[0].replace("postgres@", "nobody:hunter2@"), table="sale"), "cannot be opened: .*role"),
    ):
        with pytest.raises(SourceProblem, match=said) as raised:
            lake.look(source)
        assert "hunter2" not in str(raised.value)


def test_a_wrong_password_is_told_and_not_tried_again(
    shop: tuple[str, psycopg.Connection], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, connection = shop
    connection.execute("DROP ROLE IF EXISTS guarded; CREATE ROLE guarded LOGIN PASSWORD 'right'")
    connection.execute("DROP OWNED BY guarded; GRANT SELECT ON sale TO guarded; CREATE TABLE secret (a int)")
    monkeypatch.setattr(fetching, "time", SimpleNamespace(sleep=lambda _: pytest.fail("it was tried again")))
    with pytest.raises(SourceProblem, match=r"refuses this user.*Check user and password") as raised:
        lake.look(cd.database(url.replace("postgres@", "guarded:hunter2@"), table="sale"))
    assert "hunter2" not in str(raised.value)
    right = url.replace("postgres@", "guarded:right@")
    assert lake.land(cd.database(right, table="sale"))[0].num_rows == 100
    assert not any("right" in path for path in lake.seen)
    with pytest.raises(SourceProblem, match=r"'secret' at .* may not be read.*Grant the user"):
        lake.look(cd.database(right, table="secret"))
    connection.execute("DROP OWNED BY guarded; DROP ROLE guarded")


def test_a_server_that_is_away_is_asked_again_and_then_told(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(fetching.time, "sleep", waits.append)
    monkeypatch.setenv("SHOP_DB", "postgresql://anna:hunter2@127.0.0.1:1/shop")
    with pytest.raises(EnvironmentProblem, match=r"The database env:SHOP_DB does not answer") as raised:
        lake.look(cd.database(env="SHOP_DB", table="sale"))
    assert waits == [0.5, 1.0, 2.0]
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("by_copy", [True, False])
def test_a_connection_that_breaks_in_the_middle_is_taken_up_with_nothing_doubled(
    shop: tuple[str, psycopg.Connection], lake: Lake, monkeypatch: pytest.MonkeyPatch, by_copy: bool
) -> None:
    shop[1].execute("INSERT INTO sale SELECT n, repeat('x', 500), NULL FROM generate_series(101, 30000) n")
    cut: list[bool] = []

    def cutting(way: Callable[..., Iterator[pa.RecordBatch]]) -> Callable[..., Iterator[pa.RecordBatch]]:
        def batches(*said: object) -> Iterator[pa.RecordBatch]:
            for batch in way(*said):
                yield batch
                if not cut:
                    cut.append(True)
                    shop[1].execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'caudal'")

        return batches

    for name in ("copy_batches", "_fetch"):
        monkeypatch.setattr(extracting, name, cutting(getattr(extracting, name)))
    monkeypatch.setattr(extracting, "ROWS", 1000)
    monkeypatch.setattr(copying, "BLOCK", 50_000)
    monkeypatch.setattr(extracting, "can_copy", lambda *_: by_copy)
    monkeypatch.setattr(fetching, "BACKOFF_S", 0.01)
    tables = lake.land(cd.database(shop[0], table="sale", key="id", parallel=2))
    assert cut == [True]
    assert sorted(row for table in tables for row in table.column("id").to_pylist()) == list(range(1, 30001))


def test_a_variable_that_is_not_set_is_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "x")
    with pytest.raises(EnvironmentProblem, match=r"SHOP_DATABAS, .*is not set. Did you mean 'SHOP_DATABASE'"):
        lake.look(cd.database(env="SHOP_DATABAS", table="sale"))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"table": "a"}, "needs a URL"),
        ({"url": "sqlite:///a", "env": "B", "table": "a"}, "one of them"),
        ({"url": "shop.db", "table": "a"}, "no database URL"),
        ({"url": "sqlite:///a"}, "a table or a query"),
        ({"url": "sqlite:///a", "table": "a", "parallel": 4}, "parallel=4, but no key"),
        ({"url": "sqlite:///a", "table": "a", "parallel": 0, "key": "b"}, "reads nothing"),
        ({"url": "sqlite:///a", "table": "a", "overlap": "1 hour"}, "an overlap and no watermark"),
        ({"url": "sqlite:///a", "table": "a", "watermark": "b", "overlap": -1}, "cannot be negative"),
        ({"url": "sqlite:///a", "table": "a", "watermark": "b", "history": True}, "history=True, but no key"),
    ],
)
def test_declarations_that_cannot_work_say_so(said: dict[str, object], problem: str) -> None:
    with pytest.raises(DeclarationProblem, match=problem) as raised:
        cd.database(**said)  # type: ignore[arg-type]
    assert raised.value.where is not None
    assert "test_database.py" in raised.value.where


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:hunter2@db/shop", "postgresql://anna:hun@ter2@db/shop", "postgresql://anna:hunter2%2F@db/shop",
        "postgresql+psycopg://anna@db/shop?password=hunter2", "mysql://:hunter2@db/shop", "postgresql://anna:a%3Fhunter2@db/shop",
    ],
)  # fmt: skip
def test_a_password_is_nowhere_to_be_read(url: str) -> None:
    from caudal.graph.fingerprint import describe

    source = cd.database(url, table="sale")
    for text in (shown(url), repr(source), str(source.address), json.dumps(describe(source))):
        assert "ter2" not in text
    assert source.address.url() == url.replace("n@t", "n%40t")  # as every driver reads it
