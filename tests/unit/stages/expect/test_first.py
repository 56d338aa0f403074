"""Which of several rows with one key stays: the same one in every run, and never none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from caudal import expect as ex
from caudal.stages.expect.audit import first
from caudal.stages.expect.declared import Among

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@pytest.fixture(params=["looked at beforehand", "in one pass"])
def stored(request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path) -> Callable[..., DataFrame]:
    """Return a function that makes a frame that is cheap to compute twice, or one that must not be."""

    def frame(rows: list[tuple[Any, ...]], columns: str) -> DataFrame:
        made = spark.createDataFrame(rows, columns)
        if request.param == "in one pass":
            one_pass = made.repartition(3)
            assert not first.repeatable(one_pass)
            return one_pass
        made.repartition(3).write.mode("overwrite").parquet(str(tmp_path / "stored"))
        read = spark.read.schema(made.schema).parquet(str(tmp_path / "stored"))
        assert first.repeatable(read)
        return read

    return frame


def test_the_lowest_row_stays_and_the_others_go(stored: Callable[..., DataFrame], audited: Callable[..., Any]) -> None:
    frame = stored(
        [(1, "b", 2.0), (1, "a", 9.0), (1, "a", 9.0), (2, "c", 1.0), (None, "x", 1.0), (None, "x", 1.0)],
        "k int, s string, x double",
    )
    outcome, rows = audited(frame, [ex.unique("k").quarantine()])
    assert outcome.checks[0].broken == 2
    good = rows[rows._verdict == "good"]
    assert sorted((None if pd.isna(row.k) else int(row.k), row.s, row.x) for row in good.itertuples() if not pd.isna(row.k)) == [
        (1, "a", 9.0),
        (2, "c", 1.0),
    ]
    assert good.k.isna().sum() == 2


def test_the_order_that_was_asked_for_decides(stored: Callable[..., DataFrame], audited: Callable[..., Any]) -> None:
    frame = stored([(1, 10, "old"), (1, 30, "new"), (1, None, "when?"), (2, None, "only")], "k int, at int, s string")
    kept = lambda rule: sorted(audited(frame, [rule.quarantine()])[1].query("_verdict == 'good'").s)  # noqa: E731
    assert kept(ex.unique("k", last_by="at")) == ["new", "only"]
    assert kept(ex.unique("k", first_by="at")) == ["old", "only"]


def test_a_row_that_is_set_aside_anyway_does_not_take_a_good_ones_place(
    stored: Callable[..., DataFrame], audited: Callable[..., Any]
) -> None:
    frame = stored([(1, -5.0), (1, 7.0), (2, -1.0), (2, -2.0)], "k int, fare double")
    outcome, rows = audited(frame, [ex.unique("k").quarantine(), ex.positive("fare").quarantine()])
    assert list(rows[rows._verdict == "good"].fare) == [7.0]
    assert outcome.reasons == {"positive(fare)": 3, "unique(k)": 2}


def test_two_keys_are_kept_at_once(stored: Callable[..., DataFrame], audited: Callable[..., Any]) -> None:
    frame = stored([(1, 1), (1, 2), (2, 2), (3, 3), (3, 3)], "a int, b int")
    _, rows = audited(frame, [ex.unique("a").quarantine(), ex.unique("b").quarantine()])
    good = rows[rows._verdict == "good"]
    # (1, 2) goes for a, so (2, 2) is alone with its b.
    assert sorted(zip(good.a, good.b, strict=True)) == [(1, 1), (2, 2), (3, 3)]


def test_days_are_apart(stored: Callable[..., DataFrame], audited: Callable[..., Any]) -> None:
    frame = stored([(1, "mon"), (1, "mon"), (1, "tue"), (2, None), (2, None)], "k int, day string")
    outcome, _ = audited(frame, [ex.unique("k").quarantine()], day="day")
    assert (outcome.good, outcome.quarantined) == (3, 2)


def test_files_of_a_source_are_apart(stored: Callable[..., DataFrame], audited: Callable[..., Any]) -> None:
    frame = stored([(1, "f1"), (1, "f2"), (1, "f2")], "k int, _segment string")
    assert audited(frame, [ex.unique("k").quarantine()])[0].quarantined == 1


def test_warning_counts_without_setting_aside(stored: Callable[..., DataFrame], audited: Callable[..., Any]) -> None:
    outcome, _ = audited(stored([(1,), (1,), (1,), (2,)], "k int"), [ex.unique("k").warn()])
    assert (outcome.checks[0].broken, outcome.quarantined, outcome.good) == (2, 0, 4)


def test_many_repeats_are_compared_in_one_pass(
    spark: SparkSession, audited: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first, "FEW", 10)
    outcome, _ = audited(spark.range(100).selectExpr("id % 50 AS k"), [ex.unique("k").quarantine()])
    assert (outcome.good, outcome.quarantined) == (50, 50)


def test_a_large_input_has_its_hashes_grouped_by_spark(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, one = spark.range(100).selectExpr("if(id < 90, id, 7) AS k", "id AS x"), ex.unique("k")
    here = first.repeated_hashes(frame, one, Among())
    monkeypatch.setattr(first, "COLLECTED_BYTES", -1)
    assert list(first.repeated_hashes(frame, one, Among())) == list(here)
    assert len(here) == 1


def test_a_key_that_the_plan_groups_by_is_proven(spark: SparkSession, audited: Callable[..., Any]) -> None:
    from pyspark.sql.functions import lit

    counts = spark.range(100).selectExpr("id % 7 AS zone", "id % 3 AS hour").groupBy("zone", "hour").count().withColumn("x", lit(1))
    assert first.proven(counts, ("zone", "hour"))
    assert first.proven(counts, ("zone", "hour", "count"))
    assert first.proven(counts.selectExpr("zone AS z", "hour AS h"), ("z", "h"))
    assert not first.proven(counts, ("zone",))
    assert not first.proven(counts, ("zone", "count"))
    assert audited(counts, [ex.unique("zone", "hour").quarantine(), ex.unique("zone").warn()])[0].checks[1].broken == 14


@pytest.mark.parametrize(
    "dear",
    [
        lambda frame: frame.limit(5),
        lambda frame: frame.selectExpr("id", "rand() AS x"),
        lambda frame: frame.selectExpr("monotonically_increasing_id() AS id"),
        lambda frame: frame.groupBy("id").count(),
        lambda frame: frame.sample(0.5),
        lambda frame: frame.mapInArrow(lambda batches: batches, "id long"),
        lambda frame: frame.orderBy("id"),
    ],
)
def test_what_is_dear_or_differs_from_time_to_time_is_computed_once(
    dear: Callable[[DataFrame], DataFrame], spark: SparkSession
) -> None:
    frame = spark.range(10).selectExpr("id % 3 AS id")
    assert first.repeatable(frame)
    assert not first.repeatable(dear(frame))
