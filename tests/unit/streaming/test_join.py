"""A join gives what a join over all rows at once gives, however rows come, are published, put together, and the process restarted."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.unit.streaming.world import LATE_S, Row, World, brute, product

import caudal as cd
from caudal.errors import CaudalError, StepFailed
from caudal.storage import delta
from caudal.streaming import join as join_module
from caudal.streaming.append import append
from caudal.tables.added import added_files, last_commit_with
from caudal.tables.frames import arrow

rows = st.lists(st.builds(Row, st.integers(0, 1), st.integers(0, 3), st.integers(0, 40)), max_size=40)
acts = st.lists(st.sampled_from(["a", "a", "b", "b", "step", "step", "restart", "together"]), min_size=4, max_size=16)


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember just what is declared, so that older rows have to be looked up; put two files together already."""
    monkeypatch.setattr(join_module, "_SLACK_US", 0)
    monkeypatch.setattr(join_module, "_ROWS", 3)
    monkeypatch.setattr("caudal.streaming.append._MANY", 4)
    monkeypatch.setattr("caudal.streaming.append._SELDOM", 1)


def played(world: World, left: list[Row], right: list[Row], doings: list[str], sizes: list[int]) -> None:
    """Publish rows bit by bit, with steps, restarts and compactions between."""
    left, right = list(left), list(right)
    for number, act in enumerate(doings):
        size = sizes[number % len(sizes)]
        if act in ("a", "b"):
            source = left if act == "a" else right
            world.publish(act, source[:size])
            del source[:size]
        elif act == "step":
            world.joining.step()
        elif act == "restart":
            world.restart()
        else:
            world.together("a")
            world.together("b")
    world.publish("a", left)
    world.publish("b", right)
    world.joining.end()


bounded = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@bounded
@given(
    rows,
    rows,
    acts,
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([("device", "seq"), ("device",)]),
)
def test_inner_joins_lose_and_double_nothing(left, right, doings, sizes, by_day, on) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder, product("inner", on, **({"partition": "day"} if by_day else {})))
        played(world, left, right, doings, sizes)
        assert Counter(world.rows()) == Counter(brute(left, right, on))
        assert world.joining.counts["late"] == 0


@bounded
@given(rows, rows, acts, st.lists(st.integers(0, 9), min_size=1, max_size=5), st.booleans())
def test_each_left_row_has_its_matches_or_is_given_without_once(left, right, doings, sizes, by_day) -> None:
    on = ("device", "seq")
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder, product("left", on, **({"partition": "day"} if by_day else {})))
        played(world, left, right, doings, sizes)
        have, want = Counter(world.rows()), brute(left, right, on)
        assert all(count == 1 for count in have.values())
        pairs, lone = {one for one in have if one[1] is not None}, {one[0] for one in have if one[1] is None}
        assert {one[0] for one in pairs} | lone == set(left)
        assert not {one[0] for one in pairs} & lone
        assert pairs <= want
        assert all(mine in lone for mine, _ in want - pairs)
        assert world.joining.counts == {"rows": len(have), "unmatched": len(lone), "late": len(want - pairs)}


@pytest.mark.slow
@bounded
@given(rows, rows, acts, st.lists(st.integers(0, 9), min_size=1, max_size=5), st.randoms())
def test_where_nothing_is_late_it_is_a_left_join(left, right, doings, sizes, chance) -> None:
    """Rows come in order of time but for what `late` allows, and both streams are published together."""
    on = ("device", "seq")
    come = [("a", row, row.at_s + chance.random() * LATE_S) for row in left] + [
        ("b", row, row.at_s + chance.random() * LATE_S) for row in right
    ]
    come.sort(key=lambda one: one[2])
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder, product("left", on))
        for number, act in enumerate(doings):
            if act == "restart":
                world.restart()
            taken, come = come[: sizes[number % len(sizes)]], come[sizes[number % len(sizes)] :]
            for name in ("a", "b"):
                world.publish(name, [row for source, row, _ in taken if source == name])
            world.joining.step()
        for name in ("a", "b"):
            world.publish(name, [row for source, row, _ in come if source == name])
        world.joining.end()
        want = brute(left, right, on)
        assert Counter(world.rows()) == Counter([*want, *((row, None) for row in set(left) - {mine for mine, _ in want})])
        assert world.joining.counts["late"] == 0


def test_a_row_that_reaches_far_back_is_found_in_the_table(tmp_path: Path) -> None:
    world = World(str(tmp_path), product(partition="day"))
    for start in range(0, 4000, 100):
        world.publish("a", [Row(0, at, at) for at in range(start, start + 100)])
    while world.joining.step():
        pass
    assert world.joining.left.held_bytes > 0
    world.publish("b", [Row(0, 7, 8), Row(0, 7, 9), Row(0, 3990, 3990), Row(0, 7, 10)])
    assert world.joining.step()
    assert sorted(world.rows()) == [
        (Row(0, 7, 7), Row(0, 7, 8)),
        (Row(0, 7, 7), Row(0, 7, 9)),
        (Row(0, 3990, 3990), Row(0, 3990, 3990)),
    ]


def test_a_sample_that_comes_again_much_later_is_taken_once(tmp_path: Path) -> None:
    world = World(str(tmp_path), product())
    world.publish("b", [Row(0, 7, 8)])
    for name in ("a", "a", "b"):
        for start in range(0, 100, 20):
            world.publish(name, [Row(0, at, at) for at in range(start, start + 20)])
        while world.joining.step():
            pass
    world.publish("b", [Row(0, 7, 8)])
    world.joining.step()
    assert Counter(world.rows()) == Counter(
        [*((Row(0, at, at), Row(0, at, at)) for at in range(100)), (Row(0, 7, 7), Row(0, 7, 8))]
    )


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path) -> None:
    world = World(str(tmp_path), product(partition="day"))
    held = []
    for start in range(0, 1500, 50):
        for name in ("a", "b"):
            world.publish(name, [Row(0, at, at) for at in range(start, start + 50)])
        world.joining.step()
        held.append(world.joining.left.held_bytes)
    assert max(held[-10:]) <= max(held[:10])
    assert len(world.rows()) == 1500


def test_a_match_that_comes_too_late_is_counted_over_restarts_and_never_given(tmp_path: Path) -> None:
    world = World(str(tmp_path), product("left"))
    world.publish("a", [Row(0, 1, 0), Row(0, 2, 30)])
    world.publish("b", [Row(0, 9, 30)])
    world.joining.step()
    assert world.rows() == [(Row(0, 1, 0), None)]
    for number in (1, 2):
        world.publish("b", [Row(0, 1, number)])
        world.restart()
        world.joining.step()
        assert world.joining.document()["late"] == number
    assert world.rows() == [(Row(0, 1, 0), None)]


def test_a_commit_names_the_versions_and_one_that_says_nothing_is_passed_over(tmp_path: Path) -> None:
    world = World(str(tmp_path), product())
    world.publish("a", [Row(0, 1, 0)])
    world.publish("b", [Row(0, 1, 1)])
    world.joining.step()
    assert last_commit_with(world.folder("ab"), "inputs")[1]["inputs"] == {"a": 0, "b": 0}
    schema = delta.read_version(world.folder("ab")).schema
    more = {**schema, "fields": [*schema["fields"], {"name": "z", "type": "long", "nullable": True, "metadata": {}}]}
    delta._widen(delta._open(world.folder("ab"), None), _delta_schema(more))  # what dies between the two commits leaves
    assert delta.identity(world.folder("ab"), delta.version_of(world.folder("ab"))) == {}
    world.restart()
    assert not world.joining.step()
    assert len(world.rows()) == 1


def _delta_schema(schema: dict[str, Any]) -> Any:
    import json

    from deltalake import Schema

    return Schema.from_json(json.dumps(schema))


def test_another_declaration_asks_for_a_run_and_lost_inputs_are_told(tmp_path: Path) -> None:
    world = World(str(tmp_path), product())
    world.publish("a", [Row(0, 1, 0)])
    world.publish("b", [Row(0, 1, 1)])
    world.joining.step()
    world.product = product(within=5)
    with pytest.raises(StepFailed, match=r"had another declaration.*caudal run"):
        world.restart()
    world.product = product()
    (world.folder("b") / "_delta_log" / f"{0:020d}.json").unlink()
    with pytest.raises(StepFailed, match="holds 'b' up to version 0"):
        world.restart()


def test_a_version_that_took_rows_away_is_no_news_that_can_be_followed(tmp_path: Path) -> None:
    world = World(str(tmp_path), product())
    for number in range(4):
        world.publish("a", [Row(0, number, 0)])
    world.together("a")
    assert added_files(world.folder("a"), 4) == []
    delta.commit(
        world.folder("a"),
        [],
        delta.read_version(world.folder("a")).schema,
        partitioned=False,
        replace=frozenset({"part-"}),
        identity={},
    )
    with pytest.raises(StepFailed, match="has removed rows"):
        added_files(world.folder("a"), 5)


def test_a_table_beside_a_stream_holds_from_when_it_has_come(tmp_path: Path) -> None:
    made = cd.Product("p")
    left = made.source("a", cd.stream(channels=["x"]))
    made.source("people", cd.files("*.csv"), schema=cd.schema(device="int", owner="string"))
    made.join("ab", left, "people", on="device", how="left")
    world = World(str(tmp_path), made)

    def people(owners: dict[int, str | None]) -> None:
        rows = pa.table(
            {"device": pa.array(owners, pa.int32()), "owner": pa.array(owners.values(), pa.string()), "_file": ["f"] * len(owners)}
        )
        folder = world.folder("people")
        if delta.version_of(folder) is not None:
            delta.commit(folder, [], delta.read_version(folder).schema, partitioned=False, replace="all", identity={})
        append(folder, [rows], [], **world.how("people", len(owners)))

    world.publish("a", [Row(0, 1, 0)])
    assert not world.joining.step()
    assert world.joining.document()["waits_for"] == "people"
    people({0: "ann", 1: "bob"})
    assert world.joining.step()
    people({0: "eve", 1: "bob", 2: None})
    world.publish("a", [Row(0, 1, 0), Row(0, 2, 1), Row(3, 2, 1)])
    world.restart()
    assert world.joining.step()
    found = arrow(delta.read_version(world.folder("ab"))).sort_by([("device", "ascending"), ("seq", "ascending")])
    assert found.column_names == ["device", "seq", "at", "x", "owner"]
    assert found.column("owner").to_pylist() == ["ann", "eve", None]
    assert world.joining.counts == {"rows": 3, "unmatched": 1, "late": 0}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"on": "device", "columns": ["name"]}, "names the column 'name' in columns=.*It has device, seq, at, x, owner"),
        ({"on": "seq"}, "on 'seq', which 'people' does not have.*It has device, owner"),
        ({"on": "device"}, "on 'device', which is int64 on the left and string on the right. Cast"),
    ],
)
def test_what_is_wrong_with_a_table_that_declares_no_columns_is_told_when_it_is_there(tmp_path: Path, declared, said) -> None:
    made = cd.Product("p")
    left = made.source("a", cd.stream(channels=["x"]))
    people = made.source("people", cd.files("*.csv"))
    made.join("ab", left, people, **declared)
    world = World(str(tmp_path), made)
    world.publish("a", [Row(0, 1, 0)])
    append(world.folder("people"), [pa.table({"device": ["0"], "owner": ["ann"]})], [], **world.how("people", 0))
    with pytest.raises(CaudalError, match=said) as error:
        world.joining.step()
    assert __file__.rsplit("/", 1)[-1] in error.value.where


def test_a_backlog_is_taken_in_order_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither input runs ahead of the other, so that what is in memory does, and no row is looked up in a table."""
    world = World(str(tmp_path), product())
    for name in ("a", "b"):
        for start in range(0, 1000, 50):
            world.publish(name, [Row(0, at, at) for at in range(start, start + 50)])
    looked_up: list[Any] = []
    for side in (world.joining.left, world.joining.right):
        monkeypatch.setattr(side._lookup, "near", lambda *asked: looked_up.append(asked))
    monkeypatch.setattr(join_module, "_BYTES", 10_000)
    while world.joining.step():
        pass
    assert len(world.rows()) == 1000
    assert not looked_up
