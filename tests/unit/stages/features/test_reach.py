"""The leak check is itself checked: leaks of every reach are planted beside clean features, and exactly the planted ones are found.

Each example is one set of features with many columns, some clean and some not, so that one trial tells of many reaches.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pyspark.sql import DataFrame, Window, functions as F
from pyspark.sql.types import StructType, _parse_datatype_string
from pyspark.sql.window import WindowSpec

from caudal.declarations.known import known_of
from caudal.errors import DeclarationProblem
from caudal.stages.features import as_of_join, lag, past_mean, rolling
from caudal.stages.features.future import InputShape, sees_future
from caudal.stages.features.reaches import Reaches, reaches
from caudal.stages.tables import tumble

MINUTE, HOUR, DAY = 60, 3600, 86_400
Plant = Callable[[DataFrame, str], DataFrame]


def shape(columns: str) -> StructType:
    parsed = _parse_datatype_string(columns)
    assert isinstance(parsed, StructType)
    return parsed


def leaking(function: Callable[..., DataFrame], inputs: dict[str, InputShape], as_of: str, spark: Any, seed: int = 0) -> set[str]:
    """Return the columns that are found to see the future."""
    leak = sees_future(function, inputs, as_of, "zone", spark=spark, seed=seed)
    return set() if leak is None else {leak.column, *leak.also}


def planted(plants: dict[str, Plant], keep: list[str]) -> Callable[[DataFrame], DataFrame]:
    """Return features made of the plants, each in a column of its name."""

    def features(rows: DataFrame) -> DataFrame:
        frame = rows
        for name, plant in plants.items():
            frame = plant(frame, name)
        return frame.select(*keep, *plants)

    return features


def seconds(time: str) -> Any:
    return F.unix_micros(F.to_utc_timestamp(time, "UTC")) / 1_000_000


def ordered(time: str) -> WindowSpec:
    return Window.partitionBy("zone").orderBy(time)


def frame_mean(time: str, value: str, low_s: int, high_s: int) -> Plant:
    """Return the mean over the rows from ``low_s`` to ``high_s`` after a row."""

    def plant(frame: DataFrame, name: str) -> DataFrame:
        window = Window.partitionBy("zone").orderBy(seconds(time).cast("long")).rangeBetween(low_s, high_s)
        return frame.withColumn(name, F.avg(value).over(window))

    return plant


def moved(time: str, value: str, by_s: int) -> Plant:
    """Return the value of the row that is exactly so much later."""

    def plant(frame: DataFrame, name: str) -> DataFrame:
        other = frame.select("zone", (F.col(time) - F.expr(f"interval {by_s} seconds")).alias(time), F.col(value).alias(name))
        return frame.join(other.dropDuplicates(["zone", time]), ["zone", time], "left")

    return plant


def lead(time: str, value: str, rows: int) -> Plant:
    return lambda frame, name: frame.withColumn(name, F.lead(value, rows).over(ordered(time)))


def total_of_day(time: str, value: str) -> Plant:
    return lambda frame, name: frame.withColumn(name, F.sum(value).over(Window.partitionBy("zone", F.to_date(time))))


def mean_of_all(value: str) -> Plant:
    return lambda frame, name: frame.withColumn(name, F.avg(value).over(Window.partitionBy("zone")))


def joined_on_date(time: str, value: str) -> Plant:
    def plant(frame: DataFrame, name: str) -> DataFrame:
        days = frame.groupBy("zone", F.to_date(time).alias("__day")).agg(F.max(value).alias(name))
        return frame.withColumn("__day", F.to_date(time)).join(days, ["zone", "__day"], "left").drop("__day")

    return plant


def lagged(time: str, value: str, length_s: int) -> Plant:
    def plant(frame: DataFrame, name: str) -> DataFrame:
        made = lag(frame, value, f"{length_s} seconds", by="zone", order=time)
        return made.withColumnRenamed(f"{value}_lag_{length_s}_seconds", name)

    return plant


def carried(time: str, told: str, value: str) -> Plant:
    """Return the newest value by ``told``."""

    def plant(frame: DataFrame, name: str) -> DataFrame:
        right = frame.select("zone", F.col(told).alias(f"__{name}"), F.col(value).alias(name))
        return as_of_join(frame, right, "zone", left_time=time, right_time=f"__{name}").drop(f"__{name}")

    return plant


def pandas_shift(value: str, rows: int) -> Plant:
    """Return the value of so many rows later, by a Python function that Spark does not see into."""

    def plant(frame: DataFrame, name: str) -> DataFrame:
        def shifted(group: Any) -> Any:
            group = group.sort_values("window_start")
            return group.assign(**{name: group[value].shift(-rows)})

        columns = StructType([*frame.schema.fields, *shape(f"{name} double").fields])
        return frame.groupBy("zone").applyInPandas(shifted, columns)

    return plant


# --- windows on a grid: a value is known when its window has ended ----------------------------------------------------------------

GRIDS = {"15 minutes": 900, "1 hour": HOUR, "1 day": DAY}
steps_ahead = st.one_of(st.integers(1, 12), st.integers(13, 400), st.sampled_from([24, 96, 168, 365]))


@st.composite
def plants_on_a_grid(draw: Any) -> tuple[str, dict[str, tuple[Plant, bool]]]:
    """Draw a grid and, for some columns, the plant and whether it leaks."""
    width = draw(st.sampled_from(sorted(GRIDS)))
    step, at, x = GRIDS[width], "window_start", "pickups"
    columns: dict[str, tuple[Plant, bool]] = {}
    for number in range(draw(st.integers(3, 6))):
        ahead = draw(steps_ahead)
        columns[f"c{number}"] = draw(
            st.sampled_from(
                [
                    (lead(at, x, ahead), True),
                    (moved(at, x, ahead * step), True),
                    (frame_mean(at, x, -ahead * step, ahead * step), True),
                    (frame_mean(at, x, ahead * step, ahead * step + DAY), True),
                    (total_of_day(at, x), True),
                    (mean_of_all(x), True),
                    (carried(at, at, x), True),
                    (carried(at, "window_end", x), False),
                    (moved(at, x, -ahead * step), False),
                    (frame_mean(at, x, -(ahead + 7) * step, -step), False),
                    (lambda frame, name, n=ahead: lead(at, x, -n)(frame, name), False),
                    (lambda frame, name, n=ahead: rolling(frame, x, f"{n * step} seconds", by="zone", order=at, name=name), False),
                ]
            )
        )
    return width, columns


EXAMPLES = int(os.environ.get("CAUDAL_EXAMPLES", "3"))
HELD = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def grids(spark: Any) -> dict[str, InputShape]:
    raw = spark.createDataFrame([], "at timestamp_ntz, zone long").withMetadata("at", {"caudal.event_time": True})
    return {width: InputShape(tumble(raw, width, by="zone").agg(pickups="count").schema, "window_start") for width in GRIDS}


@pytest.mark.slow
def test_on_a_grid_exactly_the_planted_leaks_are_found(grids: dict[str, InputShape], spark: Any) -> None:
    @HELD
    @given(plants_on_a_grid())
    def holds(drawn: tuple[str, dict[str, tuple[Plant, bool]]]) -> None:
        width, columns = drawn
        features = planted({name: plant for name, (plant, _) in columns.items()}, ["zone", "window_start"])
        expected = {name for name, (_, leaks) in columns.items() if leaks}
        assert leaking(features, {"rows": grids[width]}, "window_start", spark) == expected

    holds()


# --- events whose values are known late -------------------------------------------------------------------------------------------

EVENTS = "at timestamp_ntz, told timestamp_ntz, zone long, x double, y double"
lengths_s = st.one_of(
    st.integers(2, 120),
    st.integers(2, 90).map(lambda n: n * MINUTE),
    st.integers(2, 72).map(lambda n: n * HOUR),
    st.integers(3, 400).map(lambda n: n * DAY),
)


@st.composite
def plants_on_events(draw: Any) -> tuple[str, dict[str, tuple[Plant, bool]]]:
    """Draw how late ``x`` is known (a delay, or a bound of ``told``) and columns; ``y`` is known at once."""
    delay, bounded = draw(lengths_s), draw(st.booleans())
    columns: dict[str, tuple[Plant, bool]] = {}
    for number in range(draw(st.integers(3, 6))):
        back = draw(st.one_of(lengths_s, st.sampled_from([delay - 1, delay, delay + 1])))
        ahead = draw(lengths_s)
        columns[f"c{number}"] = draw(
            st.sampled_from(
                [
                    (lagged("at", "x", back), back < delay),
                    (frame_mean("at", "x", -back - 5 * DAY, -back), back < delay),
                    (moved("at", "y", ahead), True),
                    (frame_mean("at", "y", -ahead, ahead), True),
                    (moved("at", "y", -back), False),
                    (carried("at", "at", "x"), True),
                    (carried("at", "at", "y"), False),
                    (joined_on_date("at", "y"), True),
                    (
                        lambda frame, name: past_mean(frame, "y", by="zone", window="9 days", order="at", known="at", name=name),
                        False,
                    ),
                ]
                + (
                    [
                        (
                            lambda frame, name: past_mean(
                                frame, "x", by="zone", window="500 days", order="at", known="told", name=name
                            ),
                            False,
                        )
                    ]
                    if bounded
                    else []
                )
            )
        )
    return (f"told within {delay} seconds" if bounded else f"{delay} seconds"), columns


@pytest.mark.slow
def test_of_events_known_late_exactly_the_planted_leaks_are_found(spark: Any) -> None:
    @HELD
    @given(plants_on_events())
    def holds(drawn: tuple[str, dict[str, tuple[Plant, bool]]]) -> None:
        known, columns = drawn
        features = planted({name: plant for name, (plant, _) in columns.items()}, ["zone", "at"])
        expected = {name for name, (_, leaks) in columns.items() if leaks}
        assert leaking(features, {"rows": InputShape(shape(EVENTS), "at", {"x": known, "told": "told"})}, "at", spark) == expected

    holds()


@pytest.mark.parametrize(("length", "leaks"), [("47 hours", True), ("1 day", True), ("2 days", False), ("49 hours", False)])
def test_a_lag_shorter_than_the_delay_is_a_leak(length: str, leaks: bool, spark: Any) -> None:
    def features(rows: DataFrame) -> DataFrame:
        return lag(rows, "x", length, by="zone", order="at").select("zone", "at", f"x_lag_{length.replace(' ', '_')}")

    inputs = {"rows": InputShape(shape(EVENTS), "at", {"x": "2 days"})}
    assert (sees_future(features, inputs, "at", "zone", spark=spark) is not None) is leaks


@pytest.mark.slow
def test_a_time_that_nothing_bounds_is_later_than_any_lag_and_the_message_says_how_to_bound_it(spark: Any) -> None:
    def features(rows: DataFrame) -> DataFrame:
        return lag(rows, "x", "90 days", by="zone", order="at").select("zone", "at", F.col("x_lag_90_days").alias("before"))

    leak = sees_future(features, {"rows": InputShape(shape(EVENTS), "at", {"x": "told"})}, "at", "zone", spark=spark)
    assert leak is not None
    assert 'known={"x": "told within 3 hours"}' in leak.fix
    bounded = {"rows": InputShape(shape(EVENTS), "at", {"x": "told within 3 hours"})}
    assert sees_future(features, bounded, "at", "zone", spark=spark) is None


@pytest.mark.slow
def test_a_shift_within_a_python_function_is_found(grids: dict[str, InputShape], spark: Any) -> None:
    features = planted({"x": pandas_shift("pickups", 300)}, ["zone", "window_start"])
    assert leaking(features, {"rows": grids["1 hour"]}, "window_start", spark) == {"x"}


AHEAD = {"far": 421}


def helper(group: Any) -> Any:
    return group.shift(-AHEAD["far"])


def test_how_far_python_code_looks_is_read_off_all_that_it_reaches() -> None:
    rows = 287

    def features(group: Any, weeks: float = 3.5) -> Any:
        closed = group.shift(-rows)
        return helper(closed).rolling("47 hours") + dt.timedelta(minutes=7) * weeks

    found = reaches(features, None)
    assert found.rows == 421
    assert {47 * 3600.0, 7 * 60.0, 287 * 60.0, 421 * 86_400.0} <= set(found.lengths_s)
    assert reaches(len, None) == Reaches()


def test_what_known_says_is_a_column_a_bound_or_a_delay() -> None:
    with pytest.raises(DeclarationProblem, match="neither a column nor a duration") as caught:
        known_of("tld", ["at", "told"])
    assert caught.value.nearest == "told"
    with pytest.raises(DeclarationProblem, match="'tld'"):
        known_of("tld within 3 hours", ["at", "told"])
    with pytest.raises(DeclarationProblem, match="told within soon"):
        known_of("told within soon", ["at", "told"])
