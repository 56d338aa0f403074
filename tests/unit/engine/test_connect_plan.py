"""Plans of Spark Connect, analysed by caudal: they tell what Spark's own analysed plan tells, or say that they do not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pyspark.sql import Window, functions as F
from tests.unit.engine import test_reach

import caudal as cd
from caudal.engine.choice import sail
from caudal.engine.connect import query_over
from caudal.engine.lineage import column_lineage
from caudal.engine.marks import EVENT_TIME, KNOWN, marked_schema
from caudal.engine.reach import reach
from caudal.errors import EngineLacks

DAYS = {name: days for name, (_, days) in test_reach.CHAINS.items()}
UNKNOWN_CHAINS: set[str] = set()
"""Chains whose bound cannot be told without Java; they are built whole."""


@pytest.mark.parametrize("name", DAYS)
def test_look_backs_are_those_of_spark(on_sail: Any, name: str) -> None:
    found = test_reach.told(test_reach.CHAINS[name][0], on_sail)
    expected = math.inf if name in UNKNOWN_CHAINS else DAYS[name] * test_reach.DAY
    assert found.seconds == expected, found.unbounded


@pytest.mark.parametrize("name", test_reach.MIXING)
def test_what_may_need_rows_of_any_day_has_no_bound(on_sail: Any, name: str) -> None:
    assert math.isinf(test_reach.told(test_reach.MIXING[name], on_sail).seconds)


def test_days_of_another_zone_are_told_apart(on_sail: Any) -> None:
    zone = "America/New_York"
    assert math.isinf(test_reach.told(test_reach.by_window, on_sail, time="timestamp", tz=zone).seconds)
    local = F.to_date(F.from_utc_timestamp("at", zone))
    assert test_reach.told(lambda x: x.groupBy("k", local).count(), on_sail, time="timestamp", tz=zone).seconds == 0


def test_a_query_and_a_function_that_is_not_known_have_no_bound(on_sail: Any) -> None:
    found = test_reach.told(lambda x: x.withColumn("p", F.call_function("somebodys_own", "v")), on_sail)
    assert found.unbounded == ("the function somebodys_own",)


def over(*keys: str) -> Any:
    return Window.partitionBy(*keys).orderBy("at")


FRAMES = {
    "renamed": lambda x: x.select("k", F.col("at").alias("when"), (F.col("v") * 2).alias("twice"), F.lit(1).alias("one")),
    "texts": lambda x: x.selectExpr("k", "`at`", "coalesce(v, 0) AS w", "CASE WHEN v > 1 THEN k END AS c", "cast(v AS int) AS i"),
    "dated": lambda x: x.withColumn("day", F.to_date("at")).withColumn("same", F.col("at").cast("timestamp_ntz")),
    "grouped": lambda x: x.groupBy("k", F.to_date("at").alias("day")).agg(F.first("at").alias("at"), F.sum("v").alias("s")),
    "counted": lambda x: x.groupBy("k").count().withColumnRenamed("count", "n"),
    "windowed": lambda x: x.withColumn("before", F.lag("at").over(over("k"))).withColumn("s", F.sum("v").over(over("k"))),
    "joined": lambda x: x.join(x.select("k", F.col("v").alias("w")), "k", "left").drop("v"),
    "joined by a condition": lambda x: x.alias("a").join(x.alias("b"), F.col("a.k") == F.col("b.k")).select("a.at", "b.v"),
    "joined from both sides": lambda x: x.join(x.select("k", F.col("v").alias("w")), "k", "full"),
    "united": lambda x: x.union(x).unionByName(x.select("v", "k", "at")),
    "structured": lambda x: x.select(F.struct("k", F.col("v").alias("w")).alias("s")).select("s.k", "s.w"),
    "exploded": lambda x: x.withColumn("v", F.explode(F.array("v", F.lit(1.0)))).where("v > 0"),
    "python": lambda x: x.mapInArrow(lambda batches: batches, x.schema),
    "distinct": lambda x: x.select("k", "at").distinct().orderBy("at").toDF("a", "b"),
    "windows of time": lambda x: (
        x.groupBy("k", F.window("at", "1 hour")).agg(F.count("*").alias("n")).select("k", "window.start", "n")
    ),
    "tumbled": lambda x: cd.tumble(x, "1 hour", by=["k"]).agg(n="count", v="avg", fill={"n": 0}),
    "rolled": lambda x: cd.calendar(cd.rolling(x, "v", "2 days", "mean", by=["k"]), "at", ["hour", "weekday"]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_lineage_and_marks_are_those_of_spark(spark: Any, sail_server: Any, name: str) -> None:
    told = []
    for session in (spark, sail_server):
        if session is spark:
            told.append(lineage_and_marks(spark, FRAMES[name]))
            continue
        with sail().speaking():
            told.append(lineage_and_marks(sail_server, FRAMES[name]))
    assert told[0] == told[1]


def lineage_and_marks(spark: Any, function: Any) -> tuple[Any, Any]:
    x = test_reach.inputs(spark)["x"].withMetadata("v", {KNOWN: "at"}).alias("x")
    frame = function(x)
    marks = {field.name: field.metadata for field in marked_schema(frame).fields if field.metadata}
    return column_lineage(frame, {"x": x.columns}), marks


QUERIES = (
    "SELECT * FROM x",
    "SELECT at, to_date(at) AS d, max(at) OVER (PARTITION BY k) AS m, v + 1 AS w FROM x WHERE v > 1",
    "WITH a AS (SELECT k, at AS w FROM x) SELECT a.w, b.at, b.V AS v FROM a JOIN x b ON a.k = b.k",
    "SELECT k, at, count(*) AS n FROM (SELECT k, at FROM x ORDER BY v LIMIT 3) GROUP BY k, at",
    "SELECT CASE WHEN v > 1 THEN at END AS at, coalesce(v, 0) AS v FROM x",
)


@pytest.mark.parametrize("query", QUERIES)
def test_marks_of_a_query_are_those_of_spark(spark: Any, sail_server: Any, query: str) -> None:
    x = test_reach.inputs(spark)["x"].withMetadata("v", {KNOWN: "at"})
    x.createOrReplaceTempView("x")
    expected = {field.name: field.metadata for field in spark.sql(query).schema.fields}
    spark.catalog.dropTempView("x")
    with sail().speaking():
        x = test_reach.inputs(sail_server)["x"].withMetadata("v", {KNOWN: "at"}).alias("x")
        frame = query_over(sail_server, query, {"x": x})
        assert {field.name: field.metadata for field in marked_schema(frame).fields} == expected
        found = reach(frame, {"x": test_reach.FrameInput(x.columns, "at")})
    assert math.isinf(found.seconds)


def test_what_is_not_known_of_a_query_is_said(on_sail: Any) -> None:
    x = test_reach.inputs(on_sail)["x"]
    for query in ("SELECT k FROM x UNION ALL SELECT k FROM x", "SELECT k, max(at) FROM x GROUP BY k"):
        with pytest.raises(EngineLacks, match="metadata of columns"):
            marked_schema(query_over(on_sail, query, {"x": x}))


def test_sail_alone_would_hand_marks_on_to_derived_columns(on_sail: Any) -> None:
    frame = FRAMES["dated"](test_reach.inputs(on_sail)["x"])
    assert frame.schema["day"].metadata == {EVENT_TIME: True}, "Sail has changed: METADATA may be a capability of it now"
    assert "metadata" not in marked_schema(frame)["day"].metadata
