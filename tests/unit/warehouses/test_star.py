"""Stars equal a naive model, in pieces and at once; facts point to what held when they happened."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from tests.lakes import write

from caudal.declarations.star import Dates, Dimension, Fact, Star
from caudal.declarations.warehouse import Warehouse
from caudal.errors import StepFailed
from caudal.warehouses.connect import connected
from caudal.warehouses.star.history import END, FIRST, Span, add_observation, replace_states, surrogate
from caudal.warehouses.star.publish import LakeTable, publish_star

DAY = dt.timedelta(days=1)
START = dt.datetime(2024, 1, 1)
HISTORY = st.lists(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc")), max_size=4, unique_by=lambda one: one[0]), min_size=1, max_size=6
)


def intervals(frame: pd.DataFrame) -> list[tuple]:
    """Return start, end and value of a member's states: equal neighbours are one."""
    frame = frame.sort_values("since")
    frame = frame[frame["value"] != frame["value"].shift()]
    until = frame["since"].shift(-1).fillna(pd.Timestamp(END).as_unit("us").to_pydatetime()) if len(frame) else frame["since"]
    return list(zip(frame["since"], until, frame["value"], strict=True))


@given(HISTORY)
def test_by_event_time_as_a_naive_model_has_it(versions):
    """The model keeps all states ever told, and forgets those that a later version tells otherwise."""
    spans, known = [], pd.DataFrame({"since": [], "value": []})
    for version in versions:
        if not version:  # the member is not in this version: nothing is told of it
            continue
        states = pd.DataFrame({"since": [float(n) for n, _ in version], "value": [value for _, value in version]})
        known = pd.concat([known[known["since"] < states["since"].min()], states])
        seen = [Span(START + n * DAY, END, ord(value)) for n, value in version]
        spans = replace_states(spans, seen)
    model = known.sort_values("since")
    model = model[model["value"] != model["value"].shift()]
    starts = [START + n * DAY for n in model["since"]]
    expected = list(zip(starts, [*starts[1:], END], map(ord, model["value"]), strict=True)) if starts else []
    assert [(one.start, one.until, one.content) for one in spans] == expected


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=8))
def test_by_the_time_of_versions_as_a_naive_model_has_it(states):
    spans = []
    for n, value in enumerate(states):
        spans = add_observation(spans, None if value is None else ord(value), START + n * DAY)
    frame = pd.DataFrame({"n": range(len(states)), "value": pd.Series(states, dtype=object)})
    frame["run"] = (frame["value"].fillna("") != frame["value"].fillna("").shift()).cumsum()
    runs = frame.groupby("run").agg(first=("n", "min"), value=("value", "first")).reset_index(drop=True)
    runs["next"] = runs["first"].shift(-1)
    expected = [
        (START + int(one.first) * DAY, END if pd.isna(one.next) else START + int(one.next) * DAY, ord(one.value))
        for one in runs.itertuples()
        if isinstance(one.value, str)
    ]
    if expected:
        expected[0] = (FIRST, *expected[0][1:])
    assert [(one.start, one.until, one.content) for one in spans] == expected


@pytest.fixture
def url(postgres_url):
    return postgres_url.replace("+psycopg", "")


@pytest.fixture
def reader(url):
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        yield connection


STAR = Star(
    "sales", Warehouse(), "sales", (Fact("sale", "sales", "at", {}, ("at",), ("amount",), ("id",)),),
    (Dimension("customer", "customers", "customer_id", "keep", "since"), Dimension("shop", "shops", "shop_id")), Dates(), "readers",
)  # fmt: skip
BY_VERSION = replace(STAR, dimensions=(replace(STAR.dimensions[0], since=None, columns=("city",)), STAR.dimensions[1]))


def customers(*rows):
    return pa.table({
        "customer_id": pa.array([row[0] for row in rows], pa.int64()), "city": [row[1] for row in rows],
        "since": pa.array([dt.datetime(2024, 1, row[2]) for row in rows], pa.timestamp("us")),
    })  # fmt: skip


def shops(**named):
    return pa.table({"shop_id": list(named), "label": list(named.values())})


def sales(*rows):
    return pa.table({
        "id": [row[0] for row in rows], "customer_id": pa.array([row[1] for row in rows], pa.int64()), "shop_id": pa.array([row[2] for row in rows], pa.string()),
        "at": pa.array([dt.datetime(2024, 1, row[3], 12) if row[3] else None for row in rows], pa.timestamp("us")), "amount": [1.0] * len(rows),
    })  # fmt: skip


def published(url, folder, star=STAR, run="run"):
    from caudal.storage import delta

    given = {
        name: LakeTable(folder / name, delta.version_of(folder / name), f"Table {name}.", {"city": "Where."})
        for name in star.tables
    }
    with connected(url, "America/New_York") as connection:
        return publish_star(connection, star, "shop", given, run)


def seen(connection):
    """Return each sale with the city and the label that it points to."""
    asked = connection.execute(
        "SELECT s.id, c.city, h.label, d.day FROM sales.sale s JOIN sales.customer c USING (customer_key)"
        " JOIN sales.shop h USING (shop_key) JOIN sales.date d ON d.date_key = s.at_date_key ORDER BY id"
    )
    return {row[0]: (row[1], row[2], row[3].day if row[3] else None) for row in asked}


def whole(connection):
    """Return all that a reader can see of the star."""
    tables = {name: connection.execute(f"SELECT * FROM sales.{name}").fetchall() for name in ("customer", "shop", "date", "sale")}
    return {name: sorted(map(repr, rows)) for name, rows in tables.items()}


def test_facts_point_to_what_held_when_they_happened(tmp_path, url, reader):
    write(tmp_path / "customers", customers((1, "Rome", 1), (1, "Oslo", 10), (2, "Bonn", 1)))
    write(tmp_path / "shops", shops(a="A", b="B"))
    write(tmp_path / "sales", sales((1, 1, "a", 5), (2, 1, "a", 10), (3, 2, "b", 12), (4, 9, "z", 12), (5, None, None, None)), "at")
    published(url, tmp_path)
    assert seen(reader) == {
        1: ("Rome", "A", 5),
        2: ("Oslo", "A", 10),
        3: ("Bonn", "B", 12),
        4: (None, None, 12),
        5: (None, None, None),
    }
    assert published(url, tmp_path).note == "was there already"

    write(
        tmp_path / "customers", customers((1, "Rome", 1), (1, "Kiel", 4), (1, "Oslo", 10), (2, "Bonn", 1), (9, "Graz", 1))
    )  # late
    write(tmp_path / "shops", shops(a="A+", z="Z"))
    outcome = published(url, tmp_path)
    assert (outcome.rows, outcome.note) == (0, "0 days of facts, 6 rows of dimensions, 4 pointers set anew")
    assert seen(reader) == {
        1: ("Kiel", "A+", 5),
        2: ("Oslo", "A+", 10),
        3: ("Bonn", None, 12),
        4: ("Graz", "Z", 12),
        5: (None, None, None),
    }

    write(tmp_path / "sales", sales((6, 1, "a", 2), (7, 1, "a", 3)), "at", replace={"2024-01-02", "2024-01-03"})  # late facts
    assert published(url, tmp_path).rows == 2
    assert [seen(reader)[n] for n in (6, 7)] == [("Rome", "A+", 2), ("Rome", "A+", 3)]

    in_pieces = whole(reader)
    reader.execute("DROP SCHEMA sales CASCADE; TRUNCATE caudal.published")
    published(url, tmp_path)
    assert whole(reader) == in_pieces
    spans = reader.execute(
        "SELECT city, valid_from, valid_until, is_current FROM sales.customer WHERE customer_id = 1 ORDER BY valid_from"
    ).fetchall()
    assert [(one[0], one[1].day, one[2].day, one[3]) for one in spans] == [
        ("Rome", 1, 4, False),
        ("Kiel", 4, 10, False),
        ("Oslo", 10, 31, True),
    ]


def test_what_postgresql_knows_of_it(tmp_path, url, reader):
    write(tmp_path / "customers", customers((1, "Rome", 1)))
    write(tmp_path / "shops", shops(a="A"))
    write(tmp_path / "sales", sales((1, 1, "a", 5)), "at")
    published(url, tmp_path)
    keys = "SELECT conrelid::regclass::text, contype FROM pg_constraint WHERE connamespace = 'sales'::regnamespace AND contype IN ('p', 'f') ORDER BY 1, 2"
    assert reader.execute(keys).fetchall() == [
        ("sales.customer", "p"), ("sales.date", "p"), ("sales.sale", "f"), ("sales.sale", "f"), ("sales.sale", "f"), ("sales.sale", "p"), ("sales.shop", "p"),
    ]  # fmt: skip
    said = "SELECT obj_description('sales.customer'::regclass), col_description('sales.customer'::regclass, 3)"
    assert reader.execute(said).fetchone() == ("Table customers.", "Where.")
    assert reader.execute("SELECT count(*), min(day)::text, max(day)::text FROM sales.date").fetchone() == (
        367,
        "2024-01-01",
        "2024-12-31",
    )
    assert reader.execute("SELECT weekday_name, iso_week, is_weekend FROM sales.date WHERE date_key = 20240106").fetchone() == (
        "Saturday",
        1,
        True,
    )
    reader.execute("SET ROLE readers")
    assert len(seen(reader)) == 1


def test_by_the_time_of_versions(tmp_path, url, reader):
    """The second state holds from when it was published; a member that is gone ends then, and may come back."""
    noon = [dt.datetime(2024, 1, day, 17, tzinfo=dt.UTC).timestamp() for day in (1, 10, 20, 25)]
    write(tmp_path / "shops", shops(a="A"))
    write(tmp_path / "sales", sales(*((n, n % 2 + 1, "a", n) for n in range(1, 29))), "at")
    states = [
        customers((1, "Rome", 1), (2, "Bonn", 1)),
        customers((1, "Rome", 2), (2, "Kiel", 1)),
        customers((1, "Oslo", 1)),
        customers((1, "Oslo", 1), (2, "Kiel", 1)),
    ]
    for table, at in zip(states, noon, strict=True):
        write(tmp_path / "customers", table, at=at)
        published(url, tmp_path, BY_VERSION)
    in_pieces = whole(reader)
    found = seen(reader)
    for n in range(1, 29):  # sales are at noon in New York, as the versions are: from that moment on
        expected = ("Rome" if n < 20 else "Oslo") if n % 2 == 0 else "Bonn" if n < 10 else "Kiel" if n < 20 or n >= 25 else None
        assert found[n][0] == expected, n
    reader.execute("DROP SCHEMA sales CASCADE; TRUNCATE caudal.published")
    published(url, tmp_path, BY_VERSION)
    assert whole(reader) == in_pieces


@pytest.mark.slow
@given(st.data())
@settings(max_examples=12)
def test_in_pieces_equals_at_once(postgres, tmp_path_factory, data):
    """Whatever changes, in whatever order: pointers are those of a naive join, and a rebuild gives the same rows."""
    tmp_path = tmp_path_factory.mktemp("star")
    state = st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from("xyz"), st.integers(1, 28)), max_size=6, unique_by=lambda one: (one[0], one[2])
    )
    happened = st.lists(st.tuples(st.integers(1, 5), st.sampled_from("abc"), st.integers(1, 28)), max_size=8)
    with postgres.database() as one:
        url = one.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as reader:
            states: dict[int, dict] = {}
            for step in range(data.draw(st.integers(1, 4))):
                rows = data.draw(state)
                for member in {row[0] for row in rows}:
                    mine = {row[2]: row[1] for row in rows if row[0] == member}
                    states[member] = {**{n: v for n, v in states.get(member, {}).items() if n < min(mine)}, **mine}
                write(tmp_path / "customers", customers(*rows))
                labels = data.draw(st.dictionaries(st.sampled_from("ab"), st.sampled_from("pq")))
                write(
                    tmp_path / "shops",
                    pa.table(
                        {"shop_id": pa.array(list(labels), pa.string()), "label": pa.array(list(labels.values()), pa.string())}
                    ),
                )
                facts = [(n, *row) for n, row in enumerate(data.draw(happened))]
                write(tmp_path / "sales", sales(*facts), "at")
                if step == 0 or data.draw(st.booleans()):
                    published(url, tmp_path)
            published(url, tmp_path)
            expected = {}
            for n, member, shop, day in facts:
                held = [value for since, value in sorted(states.get(member, {}).items()) if since <= day]
                expected[n] = (held[-1] if held else None, labels.get(shop), day)
            assert seen(reader) == expected
            before = whole(reader)
            reader.execute("DROP SCHEMA sales CASCADE; TRUNCATE caudal.published")
            published(url, tmp_path)
            assert whole(reader) == before


def test_what_is_declared_otherwise_is_made_anew(tmp_path, url, reader):
    write(tmp_path / "customers", customers((1, "Rome", 1), (1, "Oslo", 10)))
    write(tmp_path / "shops", shops(a="A"))
    write(tmp_path / "sales", sales((1, 1, "a", 5), (2, 1, "a", 15)), "at")
    published(url, tmp_path)
    reader.execute("CREATE VIEW cities AS SELECT city FROM sales.customer")
    with pytest.raises(StepFailed, match="'cities' uses 'city'"):
        published(url, tmp_path, replace(STAR, dimensions=(replace(STAR.dimensions[0], columns=("since",)), STAR.dimensions[1])))
    wider = customers((1, "Rome", 1), (1, "Oslo", 10)).append_column("age", pa.array([7, 8]))
    write(tmp_path / "customers", wider)
    write(tmp_path / "sales", sales((1, 1, "a", 5), (2, 1, "a", 15)).append_column("tip", pa.array([1, 2])), "at")
    star = replace(
        STAR, facts=(replace(STAR.facts[0], measures=("amount", "tip"), links={"customer_id": "customer", "shop_id": "shop"}),)
    )
    published(url, tmp_path, star)
    assert [row[0] for row in seen(reader).values()] == ["Rome", "Oslo"]
    assert reader.execute("SELECT sum(tip), sum(age) FROM sales.sale JOIN sales.customer USING (customer_key)").fetchone() == (
        3,
        15,
    )
    assert reader.execute("SELECT count(*) FROM cities").fetchone() == (3,)
    keys = "SELECT count(*) FROM pg_constraint WHERE connamespace = 'sales'::regnamespace AND contype = 'f'"
    assert reader.execute(keys).fetchone() == (3,)


def test_members_and_facts_whose_key_repeats(tmp_path, url):
    write(tmp_path / "customers", customers((1, "Rome", 1), (1, "Oslo", 1)))
    write(tmp_path / "shops", shops(a="A"))
    write(tmp_path / "sales", sales((1, 1, "a", 5)), "at")
    with pytest.raises(StepFailed, match=r"several rows of \(1, 2024-01-01 00:00:00\)\."):
        published(url, tmp_path)
    write(tmp_path / "customers", customers((1, "Rome", 1)))
    write(tmp_path / "sales", sales((1, 1, "a", 5), (1, 1, "a", 6)), "at")
    fresh = Dimension("customer", "customers", "customer_id")
    with pytest.raises(StepFailed, match=r"key \(id\): id=1 \(2 rows\)"):
        published(url, tmp_path, replace(STAR, dimensions=(fresh, STAR.dimensions[1])))


def test_surrogate_keys_are_what_they_were():
    """They are in fact tables of others by now."""
    assert (surrogate(1), surrogate("a", START)) == (surrogate(1), surrogate("a", START))
    assert surrogate(17) == 4364865214064708292
    assert surrogate("BN", dt.datetime(2024, 2, 29)) == 7063466583972343486


KILLED = """
import os, signal, sys
from pathlib import Path
import deltalake.transaction, psycopg, psycopg.errors, pyarrow.compute, pyarrow.csv, pyarrow.dataset, pyarrow.parquet
from tests.unit.warehouses import test_star

url, folder = sys.argv[1], Path(sys.argv[2])
real = psycopg.Connection.execute

for line in sys.stdin:  # a child a line: what is imported is imported once
    if (child := os.fork()) == 0:
        at, count = int(line), 0

        def execute(self, *args, **more):
            global count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, *args, **more)

        psycopg.Connection.execute = execute
        test_star.published(url, folder)
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.faults
def test_killed_on_the_way(tmp_path, url, reader):
    """Killed before every third statement, of the first publication and of a later one: all of a star is as before, or as after."""
    write(tmp_path / "customers", customers((1, "Rome", 1), (1, "Oslo", 10), (2, "Bonn", 1)))
    write(tmp_path / "shops", shops(a="A", b="B"))
    write(tmp_path / "sales", sales((1, 1, "a", 5), (2, 1, "a", 10), (3, 2, "b", 12), (4, 9, "z", 12)), "at")
    kills = 0
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, url, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as forker:
        before = None
        for round in range(2):
            states = [before]
            for at in range(2 + round, 400, 3):
                forker.stdin.write(f"{at}\n")
                forker.stdin.flush()
                ended = os.waitstatus_to_exitcode(int(forker.stdout.readline()))
                exists = reader.execute("SELECT to_regclass('sales.sale')").fetchone() != (None,)
                if (state := whole(reader) if exists else None) not in states:
                    states.append(state)
                if ended == 0:
                    break
                assert ended == -signal.SIGKILL
                kills += 1
            assert len(states) == 2
            before = states[1]
            if round == 0:
                write(tmp_path / "customers", customers((1, "Rome", 1), (1, "Kiel", 4), (2, "Bonn", 1), (9, "Graz", 1)))
                write(tmp_path / "sales", sales((6, 1, "a", 2)), "at", replace={"2024-01-02"})
        forker.stdin.close()
    assert kills > 20
    assert seen(reader) == {
        1: ("Kiel", "A", 5),
        2: ("Kiel", "A", 10),
        3: ("Bonn", "B", 12),
        4: ("Graz", None, 12),
        6: ("Rome", "A", 2),
    }
    reader.execute("DROP SCHEMA sales CASCADE; TRUNCATE caudal.published")
    published(url, tmp_path)
    assert whole(reader) == before
