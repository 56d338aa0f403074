"""Spark's rows of a join are those asked for one by one; parity tells those of a stream that are not, and what was late."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.streaming.world import T0, Row, World, brute, product, table

import caudal as cd
from caudal.commands.parity_join import compare_join
from caudal.declarations.join import join_shape
from caudal.runtime.product_tables import ProductTables
from caudal.stages.join.batch import joined_rows
from caudal.storage import delta
from caudal.streaming.append import append


def chosen(count: int, seed: int) -> list[Row]:
    import random

    draw = random.Random(seed)
    return [Row(draw.randrange(2), draw.randrange(4), draw.randrange(40)) for _ in range(count)]


@pytest.mark.parametrize("on", [("device", "seq"), ("device",)])
@pytest.mark.parametrize("how", ["inner", "left"])
def test_spark_gives_each_pair_once(spark: Any, how: str, on: tuple[str, ...]) -> None:
    made = product(how, on)
    left, right = chosen(60, 1), chosen(60, 2)
    frames = [spark.createDataFrame(table([*rows, *rows[:9]], name)) for rows, name in ((left, "x"), (right, "y"))]
    declared = join_shape(made.nodes["ab"], made.nodes["a"], made.nodes["b"])
    until = 20
    rows = joined_rows(*frames, declared, unmatched_before_us=T0 + until * 1_000_000).toArrow().to_pylist()
    got = Counter((row["device"], row["seq"], round(row["at"].timestamp() - T0 / 1e6), row["b_at"] and row["y"]) for row in rows)
    pairs = brute(left, right, on)
    lone = set(left) - {mine for mine, _ in pairs}
    want = Counter((*mine, theirs.value) for mine, theirs in pairs)
    if how == "left":
        want += Counter((*row, None) for row in lone if row.at_s < until)
        assert any(row.at_s >= until for row in lone)
    assert got == want


def test_what_was_late_and_what_is_not_given_yet_are_told_apart(spark: Any, tmp_path: Path) -> None:
    world = World(str(tmp_path), product("left", within=2))
    world.publish("a", [Row(0, 1, 0), Row(0, 2, 10), Row(0, 3, 30), Row(0, 4, 39)])
    world.publish("b", [Row(0, 2, 11), Row(0, 9, 35)])
    world.joining.step()
    world.publish("b", [Row(0, 1, 1)])
    world.joining.step()
    assert world.joining.counts == {"rows": 3, "unmatched": 2, "late": 1}
    told = compare_join(ProductTables(world.product, world.home), spark, world.product.nodes["ab"])
    assert told["equal"], told
    assert (told["rows"], told["rows_of_run"], told["late"], told["not_closed_yet"]) == (3, 4, 1, 1)


def test_a_stream_that_has_sent_nothing_has_no_rows(spark: Any, tmp_path: Path) -> None:
    world = World(str(tmp_path), product("left"))
    world.publish("a", [Row(0, 1, 0)])
    world.joining.end()
    assert world.rows() == [(Row(0, 1, 0), None)]
    told = compare_join(ProductTables(world.product, world.home), spark, world.product.nodes["ab"])
    assert told["equal"], told
    assert told["rows"] == 1


def test_a_row_that_is_twice_or_missing_is_found(spark: Any, tmp_path: Path) -> None:
    world = World(str(tmp_path), product("inner"))
    world.publish("a", [Row(0, 1, 0), Row(0, 2, 10)])
    world.publish("b", [Row(0, 1, 1), Row(0, 2, 10)])
    world.joining.step()
    ab = world.folder("ab")
    said = delta.identity(ab, 0)
    rows = pq.read_table(delta.read_version(ab).paths()[0])
    delta.commit(ab, [], delta.read_version(ab).schema, partitioned=False, replace="all", identity=said)
    append(ab, [rows.slice(0, 1), rows.slice(0, 1)], [], moment="at", tz="UTC", partitioned=False, identity={**said, "upto": 9})
    told = compare_join(ProductTables(world.product, world.home), spark, world.product.nodes["ab"])
    assert not told["equal"]
    assert (told["only_run"], told["only_stream"], told["twice"]) == (1, 1, 1)
    assert len(told["examples"]) == 2


@pytest.mark.slow
def test_rows_are_compared_with_the_version_of_the_table_that_they_met(spark: Any, tmp_path: Path) -> None:
    made = cd.Product("p")
    left = made.source("a", cd.stream(channels=["x"]))
    made.source("people", cd.files("*.csv"), schema=cd.schema(device="long", owner="string"))
    made.join("ab", left, "people", on="device", how="left")
    world = World(str(tmp_path), made)
    for number, owners in enumerate((["ann", "bob"], ["eve", "bob"], ["kim", None])):
        folder = world.folder("people")
        if number:
            delta.commit(folder, [], delta.read_version(folder).schema, partitioned=False, replace="all", identity={})
        append(folder, [pa.table({"device": [0, 1], "owner": pa.array(owners, pa.string())})], [], **world.how("people", number))
        world.publish("a", [Row(0, 0, 0), *(Row(device, number, number) for device in (0, 1, 2))])
        world.joining.step()
    assert world.joining.counts["rows"] == 9
    told = compare_join(ProductTables(world.product, world.home), spark, made.nodes["ab"])
    assert told["equal"], told
    assert told["rows"] == told["rows_of_run"] == 9
