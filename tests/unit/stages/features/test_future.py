"""Features that see the future are caught on made-up rows, and those that do not are let through."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pyspark.sql import DataFrame, Window, functions as F
from pyspark.sql.types import StructField, StructType, _parse_datatype_string
from pyspark.sql.window import WindowSpec

from caudal.errors import DeclarationProblem
from caudal.stages.features import as_of_join, calendar, lag, past_mean, rolling
from caudal.stages.features.future import InputShape, Leak, sees_future
from caudal.stages.tables import tumble

TRIP_COLUMNS = (
    "trip_id string, at timestamp_ntz, ended timestamp_ntz, minutes double, miles double, zone long, to_zone long, riders int"
)
KNOWN = {"ended": "ended", "minutes": "ended", "miles": "ended"}


@pytest.fixture(scope="module")
def shapes(spark: Any) -> dict[str, InputShape]:
    trips = _parse_datatype_string(TRIP_COLUMNS)
    assert isinstance(trips, StructType)
    marked = spark.createDataFrame([], trips).withMetadata("at", {"caudal.event_time": True})
    quarters = tumble(marked, "15 minutes", by=["zone", "to_zone"]).agg(fill=0, pickups="count", minutes="avg")
    weather = StructType([*_parse_datatype_string("hour timestamp_ntz, celsius double, zone long")])  # type: ignore[misc]
    return {
        "trips": InputShape(trips, "at", KNOWN, keys=("trip_id",)),
        "quarters": InputShape(quarters.schema, "window_start"),
        "weather": InputShape(weather, "hour"),
        "zones": InputShape(
            StructType([StructField("zone", trips["zone"].dataType), StructField("borough", trips["trip_id"].dataType)])
        ),
    }


def demand(quarters: DataFrame) -> DataFrame:
    lagged = lag(quarters, "pickups", [1, 4, 96], by="zone")
    rolled = rolling(lagged, "minutes", "2 hours", by="zone")
    return calendar(rolled, "window_start", ["hour"]).drop("window_end", "minutes")


def start(trips: DataFrame) -> DataFrame:
    past = past_mean(trips, ["minutes", "miles"], by=["zone", "to_zone"], known="ended", window="14 days")
    return calendar(past, "at", ["hour", "weekday"]).drop("ended", "miles")


def with_zones(quarters: DataFrame, zones: DataFrame) -> DataFrame:
    return demand(quarters).join(zones, "zone", "left")


def with_weather(trips: DataFrame, weather: DataFrame) -> DataFrame:
    return as_of_join(start(trips), weather, "zone", left_time="at", right_time="hour", tolerance="2 hours")


def recent(quarters: DataFrame) -> DataFrame:
    """Return what is clean and takes Spark little, for leaks to be beside."""
    return lag(quarters, "pickups", [1], by="zone").drop("window_end", "minutes")


def begun(trips: DataFrame) -> DataFrame:
    return calendar(trips, "at", ["hour"]).drop("ended", "miles")


def ordered() -> WindowSpec:
    return Window.partitionBy("zone").orderBy("window_start")


GRID = ("window_start", "zone", ["pickups"])
EVENT = ("at", "trip_id", ["minutes"])


def tried(function: Any, shapes: dict[str, InputShape], about: Any, spark: Any) -> Leak | None:
    as_of, entity, ignore = about
    inputs = {name: shapes[name] for name in inspect.signature(function).parameters}
    return sees_future(function, inputs, as_of, entity, ignore, spark=spark)


@pytest.mark.slow
@pytest.mark.parametrize(("function", "about"), [(demand, GRID), (start, EVENT), (with_zones, GRID), (with_weather, EVENT)])
def test_features_of_the_past_are_let_through(function: Any, about: Any, shapes: dict[str, InputShape], spark: Any) -> None:
    assert tried(function, shapes, about, spark) is None


def lead(quarters: DataFrame) -> DataFrame:
    return demand(quarters).withColumn("x", F.lead("pickups").over(ordered()))


def negative_lag(quarters: DataFrame) -> DataFrame:
    return recent(quarters).withColumn("x", F.lag("pickups", -2).over(ordered()))


def centred(quarters: DataFrame) -> DataFrame:
    return recent(quarters).withColumn("x", F.avg("pickups").over(ordered().rowsBetween(-2, 2)))


def unlagged(quarters: DataFrame) -> DataFrame:
    return recent(quarters).withColumn("x", F.col("pickups") + 1)


def tomorrow(quarters: DataFrame) -> DataFrame:
    later = quarters.select(
        "zone", (F.col("window_start") - F.expr("interval 1 day")).alias("window_start"), F.col("pickups").alias("x")
    )
    return recent(quarters).join(later, ["zone", "window_start"], "left")


def own_value_in_rolling(quarters: DataFrame) -> DataFrame:
    return rolling(demand(quarters), "pickups", "1 hour", by="zone", closed="right", name="x")


def mean_of_all(trips: DataFrame) -> DataFrame:
    return begun(trips).join(trips.groupBy("zone").agg(F.avg("riders").alias("x")), "zone")


def mean_before_it_is_known(trips: DataFrame) -> DataFrame:
    return rolling(start(trips), "minutes", "1 day", by="zone", name="x")


def later_weather(trips: DataFrame, weather: DataFrame) -> DataFrame:
    then = weather.groupBy(F.to_date("hour").alias("day")).agg(F.max("celsius").alias("x"))
    return begun(trips).withColumn("day", F.to_date("at")).join(then, "day", "left").drop("day")


def ended_at(trips: DataFrame) -> DataFrame:
    return start(trips.withColumn("x", F.hour("ended")))


LEAKS = [
    (lead, GRID), (negative_lag, GRID), (centred, GRID), (unlagged, GRID), (mean_of_all, EVENT), (later_weather, EVENT),
    *(pytest.param(*one, marks=pytest.mark.slow) for one in
      [(tomorrow, GRID), (own_value_in_rolling, GRID), (mean_before_it_is_known, EVENT), (ended_at, EVENT)]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("function", "about"), LEAKS)
def test_a_feature_of_the_future_is_caught(function: Any, about: Any, shapes: dict[str, InputShape], spark: Any) -> None:
    leak = tried(function, shapes, about, spark)
    assert leak is not None
    assert leak.column == "x"
    assert leak.example["before"] != leak.example["after"]
    assert leak.inputs == (("weather",) if function is later_weather else ("quarters",) if about is GRID else ("trips",))


@pytest.mark.slow
def test_an_aggregate_of_the_running_window_says_how_to_mend_it(shapes: dict[str, InputShape], spark: Any) -> None:
    leak = tried(recent, shapes, ("window_start", "zone", []), spark)
    assert leak is not None
    assert leak.column == "pickups"
    assert "'pickups' of 'quarters' is known at 'window_end' only" in leak.fix
    assert tried(recent, shapes, ("window_start", "zone", ["pickups"]), spark) is None


def test_rows_that_exist_only_for_later_reasons_are_caught(shapes: dict[str, InputShape], spark: Any) -> None:
    leak = tried(lambda trips: begun(trips).where("minutes is not null"), shapes, EVENT, spark)
    assert leak is not None
    assert leak.column == "*"
    assert "whether there is a row" in leak.message


@pytest.mark.slow
def test_what_goes_by_the_place_of_a_row_is_no_leak_and_hides_none(shapes: dict[str, InputShape], spark: Any) -> None:
    def placed(trips: DataFrame) -> DataFrame:
        return trips.select("trip_id", "at", F.monotonically_increasing_id().alias("x"), F.rand(7).alias("y"))

    assert tried(placed, shapes, EVENT, spark) is None
    leak = tried(
        lambda trips: placed(trips.withColumn("at", F.col("at"))).withColumn("z", F.max("at").over(Window.partitionBy())),
        shapes,
        EVENT,
        spark,
    )
    assert leak is not None
    assert leak.column == "z"


def test_what_is_random_is_told_from_what_sees_the_future(shapes: dict[str, InputShape], spark: Any) -> None:
    leak = tried(lambda trips: begun(trips).withColumn("x", F.rand()), shapes, EVENT, spark)
    assert leak is not None
    assert "different each time" in leak.message


def test_a_function_that_cannot_be_tried_is_said(shapes: dict[str, InputShape], spark: Any) -> None:
    with pytest.raises(DeclarationProblem, match="on made-up rows the function raises"):
        tried(lambda trips: trips.withColumn("x", F.to_date("trip_id", "yyyy-MM-dd")), shapes, EVENT, spark)
