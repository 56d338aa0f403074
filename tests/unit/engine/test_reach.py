"""How far back a frame looks, told by its plan: sums along chains, and what nothing bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pyspark.sql import Window, functions as F

import caudal as cd
from caudal.declarations.zone import in_zone
from caudal.engine.reach import FrameInput, reach

DAY = 86_400.0
COLUMNS = {"k": "string", "at": "timestamp_ntz", "v": "double"}
ZONES = {"k": "string", "name": "string"}


def inputs(spark: Any, time: str = "timestamp_ntz") -> dict[str, Any]:
    def empty(columns: dict[str, str], name: str) -> Any:
        return spark.range(0).select(*(F.lit(None).cast(kind).alias(column) for column, kind in columns.items())).alias(name)

    x = empty(COLUMNS | {"at": time}, "x").withMetadata("at", {"caudal.event_time": True}).alias("x")
    return {
        "x": x,
        "y": empty(COLUMNS, "y").withMetadata("at", {"caudal.event_time": True}).alias("y"),
        "zones": empty(ZONES, "zones"),
    }


def told(function: Any, spark: Any, *, time: str = "timestamp_ntz", tz: str = "UTC", declared: bool = False) -> Any:
    given = inputs(spark, time)
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    known = {
        name: FrameInput(given[name].columns, None if name == "zones" else "at", time == "timestamp" and name == "x")
        for name in names
    }
    with in_zone(tz):
        return reach(function(**{name: given[name] for name in names}), known, declared=declared)


def rolled(frame: Any, days: int = 2, name: str = "v2") -> Any:
    return cd.rolling(frame, "v", f"{days} days", "sum", by=["k"], name=name)


CHAINS = {
    "nothing": (lambda x: x.where("v > 0"), 0),
    "one": (lambda x: cd.lag(x, "v", ["1 day", "3 days"], by=["k"]), 3),
    "lag of rolling": (lambda x: cd.lag(rolled(x), "v2", ["1 day"], by=["k"]), 3),
    "lag of an expression of rolling": (
        lambda x: cd.lag(rolled(x).withColumn("w", F.col("v2") * 2 + 1).select("k", "at", "w"), "w", ["1 day"], by=["k"]), 3,
    ),
    "side by side": (lambda x: cd.lag(rolled(x), "v", ["1 day"], by=["k"]), 2),
    "rolling of rolling": (lambda x: cd.rolling(rolled(x), "v2", "5 days", "max", by=["k"]), 7),
    "past_mean of lag": (lambda x: cd.past_mean(cd.lag(x, "v", ["1 day"], by=["k"]), "v_lag_1_day", by=["k"], window="7 days"), 8),
    "joined branches": (
        lambda x: cd.lag(
            rolled(x).alias("l").join(cd.rolling(x, "v", "4 days", by=["k"], name="m").select("k", "at", F.col("m")), ["k", "at"]), "m",
            ["1 day"], by=["k"], order="at",
        ), 5,
    ),
    "what decides the rows": (lambda x: cd.lag(rolled(x).where("v2 > 3"), "v", ["1 day"], by=["k"]), 3),
    "as of": (lambda x, y: cd.as_of_join(rolled(x), y.withColumnRenamed("v", "w"), "k", tolerance="1 day"), 2),
    "as of what looked back": (
        lambda x, y: cd.as_of_join(x, rolled(y, 4).select("k", "at", F.col("v2").alias("w")), "k", tolerance="1 day"), 5,
    ),
    "windows": (lambda x: cd.lag(cd.tumble(rolled(x), "1 hour", by=["k"]).agg(n=("sum", "v2"), fill=0), "n", [24]), 3),
    "a window of a day": (lambda x: x.withColumn("n", F.row_number().over(Window.partitionBy("k", F.to_date("at")).orderBy("at"))), 0),
    "a grouping by hour": (lambda x: x.groupBy("k", F.window("at", "1 hour")).agg(F.sum("v").alias("s")), 0),
    "a join of the day": (lambda x, y: x.alias("a").join(y.alias("b"), ["k", "at"]), 0),
    "what is read whole": (lambda x, zones: x.join(zones.groupBy("k").agg(F.max("name").alias("name")), "k"), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_look_backs_add_up_along_what_a_column_is_made_of(spark: Any, name: str) -> None:
    function, days = CHAINS[name]
    found = told(function, spark)
    assert (found.seconds, found.unbounded) == (days * DAY, ())


MIXING = {
    "a window": lambda x: x.withColumn("p", F.lag("v").over(Window.partitionBy("k").orderBy("at"))),
    "a lead": lambda x: x.withColumn("p", F.lead("v").over(Window.partitionBy("k").orderBy("at"))),
    "a window by the year": lambda x: x.withColumn("p", F.sum("v").over(Window.partitionBy(F.year("at")))),
    "a window below a lag": lambda x: cd.lag(
        x.withColumn("p", F.lag("v").over(Window.partitionBy("k").orderBy("at"))), "p", ["1 day"], by="k"
    ),
    "a grouping": lambda x: x.groupBy("k").agg(F.max("at").alias("at"), F.sum("v").alias("v")),
    "distinct rows": lambda x: x.select("k").distinct(),
    "dropDuplicates": lambda x: x.dropDuplicates(["k"]),
    "itself": lambda x: x.alias("a").join(x.select("k", F.col("v").alias("w")).alias("b"), "k"),
    "a limit": lambda x: x.orderBy("at").limit(3),
    "a scalar subquery": lambda x: x.crossJoin(x.agg(F.avg("v").alias("mean"))),
    "rows from elsewhere": lambda x: x.join(x.sparkSession.createDataFrame([("a", 1)], "k string, n int"), "k"),
    "nothing of the input": lambda x: x.sparkSession.createDataFrame([("a", 1)], "k string, n int"),
    "as of without tolerance": lambda x, y: cd.as_of_join(x, y.withColumnRenamed("v", "w"), "k"),
}


@pytest.mark.parametrize("name", MIXING)
def test_what_may_need_rows_of_any_day_has_no_bound(spark: Any, name: str) -> None:
    assert math.isinf(told(MIXING[name], spark).seconds)


def test_a_declared_bound_counts_for_what_has_none_and_not_for_features(spark: Any) -> None:
    assert told(MIXING["a window"], spark, declared=True).seconds == 0
    assert told(MIXING["a window below a lag"], spark, declared=True).seconds == DAY
    assert math.isinf(told(MIXING["as of without tolerance"], spark, declared=True).seconds)


def by_window(x: Any) -> Any:
    return x.groupBy("k", F.window("at", "1 day")).agg(F.sum("v").alias("s"))


def test_windows_by_utc_do_not_keep_days_of_another_zone_apart(spark: Any) -> None:
    assert told(by_window, spark, time="timestamp", tz="UTC").seconds == 0
    assert math.isinf(told(by_window, spark, time="timestamp", tz="America/New_York").seconds)
    assert math.isinf(
        told(lambda x: x.groupBy("k", F.to_date("at")).count(), spark, time="timestamp", tz="America/New_York").seconds
    )
    local = F.to_date(F.from_utc_timestamp("at", "America/New_York"))
    assert told(lambda x: x.groupBy("k", local).count(), spark, time="timestamp", tz="America/New_York").seconds == 0


@pytest.mark.slow
@pytest.mark.parametrize("keys", [False, True])
def test_windows_of_caudal_keep_days_apart_in_every_zone(spark: Any, keys: bool) -> None:
    def windows(x: Any, zones: Any) -> Any:
        hours = cd.tumble(x, "6 hours", by=["k"]).agg(n="count", fill=0, keys=zones if keys else None)
        return hours.groupBy("k", "window_start").agg(F.sum("n").alias("n"))

    assert told(windows, spark, time="timestamp", tz="America/New_York").seconds == 0
    assert told(windows, spark).seconds == 0
    assert (
        told(
            lambda x: cd.lag(cd.tumble(x, "1 day", by=["k"]).agg(n="count"), "n", [7]), spark, time="timestamp", tz="Asia/Beirut"
        ).seconds
        == 7 * DAY
    )
