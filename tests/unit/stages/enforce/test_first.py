"""Which of several rows with one key stays: the same one in every run, and never none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from caudal import expect as ex
from caudal.stages.enforce.judging import first, repeats

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@pytest.fixture(params=["as it comes", "shuffled"])
def stored(request: pytest.FixtureRequest, spark: SparkSession) -> Callable[..., DataFrame]:
    """Return a function that makes a frame, its rows in one task or spread over several."""

    def frame(rows: list[tuple[Any, ...]], columns: str) -> DataFrame:
        made = spark.createDataFrame(rows, columns)
        return made.repartition(3) if request.param == "shuffled" else made.coalesce(1)

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


@pytest.mark.slow
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


def test_a_partition_of_very_many_rows_is_compared_by_spark(
    spark: SparkSession, audited: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MANY", 10)
    outcome, _ = audited(spark.range(100).selectExpr("id % 50 AS k"), [ex.unique("k").quarantine()])
    assert (outcome.good, outcome.quarantined) == (50, 50)


@pytest.mark.parametrize(
    ("values", "kind", "repeated"),
    [
        (["a", "b", "a", None, None], "string", 1),
        ([1.0, -0.0, 0.0, float("nan"), float("nan")], "double", 2),
        ([[1], [1], [2], None], "array<int>", 1),
        ([b"x", b"x", b"y"], "binary", 1),
        ([True, True, False], "boolean", 1),
    ],
)
def test_keys_of_any_type_are_compared_as_spark_compares_them(
    values: list[Any], kind: str, repeated: int, spark: SparkSession, audited: Callable[..., Any]
) -> None:
    frame = spark.createDataFrame([(value,) for value in values], f"k {kind}")
    assert audited(frame, [ex.unique("k").quarantine()])[0].quarantined == repeated


def test_a_key_of_two_columns_is_the_pair(spark: SparkSession, audited: Callable[..., Any]) -> None:
    frame = spark.range(0, 1000, 1, 3).selectExpr("id % 40 AS a", "cast(id % 25 AS string) AS b")  # 200 pairs, each five times
    assert audited(frame, [ex.unique("a", "b").quarantine()])[0].good == 200


def test_rows_that_could_not_be_read_are_compared_with_none(spark: SparkSession, audited: Callable[..., Any]) -> None:
    rows = [(1, None, None), (1, ["k is not a whole number"], "{}"), (1, ["k is not a whole number"], "{}")]
    outcome, _ = audited(
        spark.createDataFrame(rows, "k int, _format_errors array<string>, _raw string"), [ex.unique("k").quarantine()]
    )
    assert outcome.reasons == {"k is not a whole number": 2}
    assert outcome.good == 1


def test_a_key_that_the_plan_groups_by_is_proven(spark: SparkSession, audited: Callable[..., Any]) -> None:
    from pyspark.sql.functions import lit

    counts = spark.range(100).selectExpr("id % 7 AS zone", "id % 3 AS hour").groupBy("zone", "hour").count().withColumn("x", lit(1))
    assert first.is_unique_by_plan(counts, ("zone", "hour"))
    assert first.is_unique_by_plan(counts, ("zone", "hour", "count"))
    assert first.is_unique_by_plan(counts.selectExpr("zone AS z", "hour AS h"), ("z", "h"))
    assert not first.is_unique_by_plan(counts, ("zone",))
    assert not first.is_unique_by_plan(counts, ("zone", "count"))
    assert audited(counts, [ex.unique("zone", "hour").quarantine(), ex.unique("zone").warn()])[0].checks[1].broken == 14
