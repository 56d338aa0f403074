"""Expressions that differ on Sail are replaced by others, and nothing else of a frame changes."""

from __future__ import annotations

import pytest
from pyspark.sql.connect import functions as F
from pyspark.sql.connect.window import Window

from caudal.engine.connect import query_over
from caudal.engine.sail import check
from caudal.engine.sail.check import prepared
from caudal.engine.sail.constructs import constructs_of_plan
from caudal.engine.sail.results import EngineAgreement
from caudal.engine.sail.table import EqualityTable

RULES = {
    ("+", "int, int"): "cast(cast({0} AS bigint) + cast({1} AS bigint) AS int)",
    ("weekday", "date"): "(dayofweek({0}) + 5) % 7",
    ("sum", "bigint"): "cast(sum(cast({0} AS decimal(20,0))) AS bigint)",
    ("partition by", "double"): "CASE WHEN {0} = 0D THEN 0D ELSE {0} END",
    ("window order", "double, asc nulls first"): "CASE WHEN {0} = 0D THEN 0D ELSE {0} END",
}


@pytest.fixture(autouse=True)
def rules(monkeypatch):
    """Rules of the test's own, so that it holds for every version's table."""
    verdicts = {key: EngineAgreement("different", reason="x") for key in RULES}
    monkeypatch.setattr(check, "installed_table", lambda: EqualityTable("1", "2", verdicts, dict(RULES)))


@pytest.fixture(scope="module")
def days(sail):
    return sail.sql(
        "SELECT * FROM VALUES (1, 2147483647, DATE '2024-01-07', 9223372036854775807L), (2, 3, NULL, 1L) AS t(id, n, day, big)"
    )


def rewritten(frame):
    return prepared(frame)[0]


def found(frame):
    client = frame.sparkSession.client
    return {str(each.construct) for each in constructs_of_plan(frame._plan.to_proto(client).root, client)}


def test_values_are_those_of_spark(days):
    frame = days.select("id", F.weekday("day").alias("w"))
    assert [row.w for row in frame.collect()] == [-1, None]
    assert [row.w for row in rewritten(frame).collect()] == [6, None]


def test_what_overflows_raises(days):
    frame = days.select((F.col("n") + F.col("id")).alias("m"))
    assert frame.collect()[0].m == -2147483648
    with pytest.raises(Exception, match="value"):
        rewritten(frame).collect()
    assert [row.m for row in rewritten(frame.filter("m > 0 OR m < 0")).filter("m = 5").limit(0).collect()] == []


def test_names_and_types_stay(days):
    frame = days.select(F.col("id") + 1, F.weekday("day"), "n", "id").withColumn("x", F.col("n") + F.col("id"))
    assert rewritten(frame).schema == frame.schema
    grouped = days.groupBy(F.weekday("day")).agg(F.sum("big"), F.count("*"))
    assert rewritten(grouped).columns == grouped.columns


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.filter(F.weekday("day") == 6),
        lambda frame: frame.selectExpr("weekday(day) AS w", "id"),
        lambda frame: frame.orderBy(F.weekday("day")),
        lambda frame: frame.withColumn("w", F.when(F.weekday("day") > 4, "weekend").otherwise("week")),
        lambda frame: frame.groupBy("id").agg(F.max(F.weekday("day"))),
        lambda frame: frame.join(frame.select(F.col("id").alias("other")), F.weekday("day") == F.col("other")),
        lambda frame: frame.select(F.transform(F.array("day"), lambda day: F.weekday(day))),
        lambda frame: frame.select(F.weekday(F.coalesce("day", "day")) + F.col("id")),
        lambda frame: frame.select("*").distinct().filter("weekday(day) = 6").select("id"),
    ],
)
def test_it_is_found_wherever_it_stands(days, change):
    frame = change(days)
    assert any(name.startswith("weekday") for name in found(frame))
    other = rewritten(frame)
    assert not any(name.startswith("weekday") for name in found(other))
    assert other.schema == frame.schema
    other.collect()


def test_sums(days):
    frame = days.groupBy("id").agg(F.sum("big").alias("s")).filter("id = 2")
    assert rewritten(frame).collect()[0].s == 1
    with pytest.raises(Exception, match=r"(?i)bigint|int64|overflow|range|cast"):
        rewritten(days.union(days).agg(F.sum("big").alias("s"))).collect()


@pytest.mark.parametrize("text", [False, True])
def test_keys_of_windows(days, text):
    """Where -0.0 is 0.0, the next key decides, and both are of one part."""
    signs = days.select("id", (F.lit(0.0) * F.when(F.col("id") == 1, 1.0).otherwise(-1.0)).alias("zero"), F.lit(1).alias("one"))
    order, part = Window.partitionBy("one").orderBy("zero", F.col("id")), Window.partitionBy("zero")
    if text:
        frame = signs.selectExpr(
            "row_number() OVER (ORDER BY zero, id) AS place", "count(id) OVER (PARTITION BY zero) AS alike", "id"
        )
    else:
        frame = signs.select(F.row_number().over(order).alias("place"), F.count("id").over(part).alias("alike"), "id")
    assert {(row.id, row.place, row.alike) for row in frame.collect()} == {(2, 1, 1), (1, 2, 1)}
    assert {(row.id, row.place, row.alike) for row in rewritten(frame).collect()} == {(1, 1, 2), (2, 2, 2)}
    assert rewritten(frame).schema == frame.schema
    assert ("partition by", "double") not in {(each.name, each.arguments) for each in prepared(frame)[1]}


def refused(frame):
    return {each.name for each in prepared(frame)[1]} & {"+", "weekday", "sum"}


def test_every_copy_of_a_relation_is_rewritten(days):
    added = days.select("id", (F.col("n") + F.col("id")).alias("m"))
    both = rewritten(added.filter("id = 2").union(added))
    assert refused(added.union(added)) == set()
    with pytest.raises(Exception, match="value"):
        both.collect()
    joined = added.alias("a").join(added.alias("b"), F.col("a.id") == F.col("b.id")).select(F.col("b.m"))
    assert refused(joined) == set()
    with pytest.raises(Exception, match="value"):
        rewritten(joined).collect()


def test_a_query_in_sql_is_not_rewritten_and_so_refused(days):
    frame = query_over(days.sparkSession, "SELECT sum(big) AS s, max(weekday(day)) AS w FROM days", {"days": days})
    assert refused(frame) == {"sum", "weekday"}
    # What was replaced elsewhere in the plan is not replaced within the query.
    assert refused(
        query_over(
            days.sparkSession,
            "SELECT weekday(w) AS v FROM t",
            {"t": days.select(F.col("day").alias("w"), F.weekday("day").alias("x"))},
        )
    ) == {"weekday"}
    assert refused(query_over(days.sparkSession, "SELECT x FROM t", {"t": days.select(F.weekday("day").alias("x"))})) == set()


def test_a_plan_without_such_is_left_alone(days):
    frame = days.select("id").filter("id > 1")
    assert rewritten(frame) is frame
