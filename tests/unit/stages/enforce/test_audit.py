"""A judged frame: what is written, what is counted, and what stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from caudal import expect as ex
from caudal.errors import ExpectationStopped
from caudal.stages.enforce.judging import judge

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FARES = [(1, 5.0), (2, -1.0), (3, None), (4, -3.0), (5, 900.0)]


def test_rows_are_set_aside_with_each_reason_and_their_values(spark: SparkSession, audited: Callable[..., Any]) -> None:
    rules = [ex.positive("fare").quarantine(), ex.between("fare", -2, 500).quarantine(), ex.not_null("fare").warn()]
    outcome, rows = audited(spark.createDataFrame(FARES, "id int, fare double"), rules)
    bad = rows[rows._verdict == "quarantined"].set_index("id")
    assert {i: list(reasons) for i, reasons in bad._reasons.items()} == {
        2: ["positive(fare)"],
        4: ["positive(fare)", "between(fare, -2, 500)"],
        5: ["between(fare, -2, 500)"],
    }
    assert json.loads(bad._raw[4]) == {"id": 4, "fare": -3.0}
    good = rows[rows._verdict == "good"]
    assert sorted(good.id) == [1, 3]
    assert good._raw.isna().all()
    assert good._reasons.isna().all()
    assert outcome.reasons == {"positive(fare)": 2, "between(fare, -2, 500)": 2}
    assert [(one.broken, one.rows, one.passed) for one in outcome.checks] == [(2, 5, False), (2, 5, False), (1, 5, False)]
    assert outcome.stop is None


def test_a_rule_said_twice_is_one_reason(spark: SparkSession, audited: Callable[..., Any]) -> None:
    rules = [ex.positive("fare").quarantine(), ex.positive("fare").warn(), ex.positive("fare").quarantine(max_share=0.9)]
    outcome, rows = audited(spark.createDataFrame(FARES, "id int, fare double"), rules)
    assert outcome.reasons == {"positive(fare)": 2}
    assert [one.broken for one in outcome.checks] == [2, 2, 2]
    assert all(len(one) == 1 for one in rows._reasons.dropna())


@pytest.mark.parametrize(("max_share", "stops"), [(0.4, False), (0.39, True), (0.0, True), (1.0, False), (None, False)])
def test_more_than_the_allowed_share_stops(
    max_share: float | None, stops: bool, spark: SparkSession, audited: Callable[..., Any]
) -> None:
    outcome, _ = audited(spark.createDataFrame(FARES, "id int, fare double"), [ex.positive("fare").quarantine(max_share)])
    assert (outcome.stop is not None) == stops
    if stops:
        assert "in 2 of 5 rows (40.00%), more than" in str(outcome.stop)
        assert outcome.stop.facts["share"] == pytest.approx(0.4)


def test_the_first_that_stops_is_told_and_the_others_are_counted(spark: SparkSession, audited: Callable[..., Any]) -> None:
    rules = [ex.not_null("id"), ex.positive("fare"), ex.row_count(10), ex.between("fare", 0, 1)]
    outcome, _ = audited(spark.createDataFrame(FARES, "id int, fare double"), rules)
    assert isinstance(outcome.stop, ExpectationStopped)
    assert (
        "Table 'trips' breaks positive(fare) in 2 of 5 rows (40.00%). 2 other expectations stop it too. Nothing was published."
        in str(outcome.stop)
    )


@pytest.mark.slow
def test_more_rules_than_bits_in_a_word(spark: SparkSession, audited: Callable[..., Any]) -> None:
    rules = [getattr(ex.sql(f"id <> {i}", name=f"not {i}"), "warn" if i % 2 else "quarantine")() for i in range(150)]
    outcome, _ = audited(spark.range(200).selectExpr("cast(id AS int) AS id"), rules)
    assert [one.broken for one in outcome.checks] == [1] * 150
    assert (outcome.good, outcome.quarantined) == (125, 75)
    assert outcome.reasons == {f"not {i}": 1 for i in range(0, 150, 2)}


def test_a_row_that_cannot_be_read_is_judged_by_no_rule(spark: SparkSession, audited: Callable[..., Any]) -> None:
    rows = [
        (1, 1.0, None, None),
        (1, None, ["fare is not a number"], '{"fare": "x"}'),
        (2, None, None, None),
        (2, -1.0, None, None),
    ]
    frame = spark.createDataFrame(rows, "id int, fare double, _format_errors array<string>, _raw string")
    rules = [
        ex.not_null("fare").quarantine(),
        ex.unique("id").quarantine(),
        ex.positive("fare").warn(),
        ex.sql("fare IS NOT NULL", name="there").warn(),
    ]
    outcome, written = audited(frame, rules)
    assert "_format_errors" not in written.columns
    assert outcome.reasons == {"fare is not a number": 1, "not_null(fare)": 1, "unique(id)": 1}
    assert [(one.rows, one.broken) for one in outcome.checks] == [(3, 1), (3, 1), (3, 1), (3, 1)]
    bad = {tuple(row["_reasons"]): row["_raw"] for row in written[written._verdict == "quarantined"].to_dict("records")}
    assert bad["fare is not a number",] == '{"fare": "x"}'
    assert json.loads(bad["not_null(fare)", "unique(id)"]) == {"id": 2, "fare": None}


def test_an_empty_frame_has_an_outcome(spark: SparkSession, audited: Callable[..., Any]) -> None:
    frame = spark.range(0).selectExpr("id", "1.0D AS fare")
    rules = [
        ex.unique("id").quarantine(),
        ex.positive("fare").warn(),
        ex.monotone("fare", over="id").stop(),
        ex.refers_to("id", "o", "id"),
        ex.row_count(1).warn(),
    ]
    outcome, _ = audited(frame, rules, others={"o": spark.range(3)})
    assert (outcome.rows, outcome.good, outcome.quarantined, outcome.reasons, outcome.profile) == (0, 0, 0, {}, {})
    assert [one.passed for one in outcome.checks] == [True, True, True, True, False]


def test_without_rules_all_rows_are_good(spark: SparkSession, audited: Callable[..., Any]) -> None:
    outcome, rows = audited(spark.range(10), [])
    assert (outcome.rows, outcome.good, outcome.stop) == (10, 10, None)
    assert set(rows._verdict) == {"good"}


def test_names_that_need_quoting(spark: SparkSession, audited: Callable[..., Any]) -> None:
    frame = spark.createDataFrame([(1, "b", 1.0), (1, "a", -1.0), (3, "a", 1.0)], "`a.b` long, `c d` string, `e``f` double")
    rules = [
        ex.unique("a.b").warn(), ex.one_of("c d", "a").warn(), ex.positive("e`f").warn(), ex.refers_to("a.b", "o", "x.y").warn(),
        ex.monotone("e`f", over="c d", by="a.b").warn(), ex.not_null("a.b"), ex.matches("c d", "a"), ex.sql("`a.b` < 2").warn(),
    ]  # fmt: skip
    outcome, _ = audited(frame, rules, others={"o": spark.range(2).withColumnRenamed("id", "x.y")})
    assert [one.broken for one in outcome.checks] == [1, 1, 1, 1, 0, 0, 1, 1]


def test_a_bound_of_a_date_column_with_a_time_of_day_is_not_cut(spark: SparkSession, audited: Callable[..., Any]) -> None:
    frame = spark.range(1).selectExpr("date'2023-01-01' AS day", "timestamp_ntz'2023-01-01 06:00:00' AS at")
    rules = [ex.between("day", "2023-01-01 06:00").warn(), ex.between("day", "2023-01-01", "2023-01-01").warn(), ex.between("at", "2023-01-01 06:00", "2023-01-01 06:00").warn(),
             ex.between("at", high="2023-01-01").warn()]  # fmt: skip
    assert [one.broken for one in audited(frame, rules)[0].checks] == [1, 0, 0, 1]


RETRIES = """
import sys
from caudal import expect as ex
from caudal.stages.enforce.judging import judge
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[2,3]").config("spark.ui.enabled", "false").config("spark.driver.memory", "512m").getOrCreate()

def fails_late_once(batches):
    from pyspark import TaskContext
    for batch in batches:
        yield batch
    if TaskContext.get().attemptNumber() == 0 and TaskContext.get().partitionId() % 2 == 0:
        raise OSError("fails once")

frame = spark.range(0, 1000, 1, 4).mapInArrow(fails_late_once, "id long")
rules = [ex.sql("id % 10 <> 0", name="tens").warn(), ex.sql("id % 7 <> 0", name="sevens").quarantine()]
judged = judge(frame, rules)
judged.write(sys.argv[1])
outcome = judged.outcome(sys.argv[1])
failed = sum(stage.numFailedTasks() for stage in [spark._jsc.sc().statusStore().stageList(None, False, False, spark._sc._gateway.new_array(spark._jvm.double, 0), None).apply(0)])
print("told", outcome.rows, outcome.checks[0].broken, outcome.reasons["sevens"], outcome.profile["id"]["mean"], failed)
"""


@pytest.mark.slow
def test_a_task_that_ran_twice_counts_once(tmp_path: Path) -> None:
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    run = subprocess.run(
        [sys.executable, "-c", RETRIES, str(tmp_path / "written")], capture_output=True, text=True, env=environment
    )
    told = [line.split() for line in run.stdout.splitlines() if line.startswith("told")]
    assert told, run.stderr[-2000:]
    good = [i for i in range(1000) if i % 7]
    assert told[0][1:4] == ["1000", "100", "143"]
    assert float(told[0][4]) == pytest.approx(sum(good) / len(good))
    assert int(told[0][5]) == 2  # the two tasks that were to fail did


def test_nothing_is_computed_before_the_write(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    frame = spark.range(3).withColumn("id", F.when(F.col("id") < 5, F.raise_error(F.lit("computed"))).cast("long"))
    assert judge(frame, [ex.positive("id").warn()]).frame.columns == ["id", "_reasons", "_raw", "_verdict"]
