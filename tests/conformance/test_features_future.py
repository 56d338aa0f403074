"""No feature sees the future: it gives the same, on each engine, in two worlds that differ only in what is known later.

A new feature needs a line in ``WORLDS``; without it a test fails by its name. ``CAUDAL_EXAMPLES`` says how many pairs of worlds are drawn.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pyspark.sql import DataFrame, SparkSession, Window, functions as F
from tests.conformance.feature_cases import REFUSED_ON_SAIL, SIDE, picture
from tests.engines import as_auto_computes, rows_to_the_bit

from caudal.declarations.build_context import build_context
from caudal.declarations.images import network
from caudal.engine.choice import is_connected
from caudal.engine.classic import CLASSIC
from caudal.errors import EngineLacks
from caudal.kinds import FEATURES
from caudal.stages.features import as_of_join, calendar, lag, past_mean, rolling
from caudal.stages.features.embed import embed
from caudal.stages.features.pca import pca

# Two worlds lie in one frame, told apart by a key column: they agree in all that is known by T and in nothing after it. The worlds of
# all cases lie in the same frame, so that one job of Spark answers for all of them.

START = dt.datetime(2024, 1, 1)
STEP = 15
events = st.lists(
    st.tuples(
        st.integers(0, 40),  # quarter-hours since the start
        st.integers(0, 1),  # zone
        st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(math.nan)),
        st.one_of(st.none(), st.integers(-20, 300)),  # minutes until the value is known
    ),
    max_size=30,
)
Case = tuple[list[Any], list[Any], list[Any], int]
"""The past that both worlds share, what comes later in each, and the quarter-hour T."""


def drawn_cases(number: int) -> list[Case]:
    """Return cases as Hypothesis draws them, the same ones each time."""
    cases: list[Case] = []

    @settings(max_examples=number, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.tuples(events, events, events, st.integers(5, 35)))
    def draw(case: Case) -> None:
        cases.append(case)

    draw()
    return cases


def two_worlds(spark: Any, cases: list[Case], grid: bool) -> DataFrame:
    """Return events of both worlds of each case: the past up to quarter-hour T is shared, what is known later differs."""
    rows = []
    for place, (past, one, two, cut) in enumerate(cases):
        for world, later in enumerate((one, two)):
            merged = [event for event in past if event[0] <= cut] + [event for event in later if event[0] > cut]
            seen = set()
            for number, (at, zone, value, delay) in enumerate(merged):
                if grid and (at, zone) in seen:
                    continue
                seen.add((at, zone))
                time = START + dt.timedelta(minutes=at * STEP)
                known = None if delay is None else time + dt.timedelta(minutes=delay)
                if known is not None and max(known, time) > START + dt.timedelta(minutes=cut * STEP):  # not known by T: differs
                    value, known = (value or 0.0) + 1 + world, max(known, time) + dt.timedelta(minutes=world)
                rows.append((2 * place + world, number, time, known, zone, value))
    schema = "world int, number int, at timestamp_ntz, known timestamp_ntz, zone int, value double"
    return spark.createDataFrame(rows, schema).coalesce(1).withMetadata("at", {"caudal.event_time": True})


def differing(made: DataFrame, cases: list[Case], features: list[str]) -> list[Any]:
    """Return the rows up to T whose features are not the same in both worlds of a case, each with the case."""
    pairs: dict[tuple[int, int], list[Any]] = {}
    for row in made.select("world", "number", "at", *features).collect():
        place, _ = divmod(row["world"], 2)
        if row["at"] <= START + dt.timedelta(minutes=cases[place][3] * STEP):
            pairs.setdefault((place, row["number"]), []).append([None if _nan(row[name]) else row[name] for name in features])
    return [(number, cases[place]) for (place, number), pair in pairs.items() if len(pair) != 2 or pair[0] != pair[1]]


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def lag_world(frame: DataFrame) -> DataFrame:
    return lag(frame, "value", [1, 4], by=["world", "zone"], step="15 minutes")


def rolling_world(frame: DataFrame) -> DataFrame:
    for stat in ("mean", "max", "count"):
        frame = rolling(frame, "value", "2 hours", stat, by=["world", "zone"])
    return frame


def rolling_std_world(frame: DataFrame) -> DataFrame:
    return rolling(frame, "value", "2 hours", "std", by=["world", "zone"])


def calendar_world(frame: DataFrame) -> DataFrame:
    return calendar(frame, "at", ["hour", "weekday"])


def calendar_waves_world(frame: DataFrame) -> DataFrame:
    return calendar(frame, "at", ["hour_sin"])


def as_of_join_world(frame: DataFrame) -> DataFrame:
    right = frame.select("world", "zone", F.col("known").alias("told"), F.col("value").alias("found"))
    return as_of_join(frame, right, ["world", "zone"], right_time="told", tolerance="3 hours").drop("told")


def past_mean_world(frame: DataFrame) -> DataFrame:
    return past_mean(frame, "value", by=["world", "zone"], known="known", window="5 hours")


def embed_world(frame: DataFrame) -> DataFrame:
    seen = frame.withColumn("content", F.when(F.col("value") > 0, F.lit(picture(0))).otherwise(F.lit(picture(1))))
    with build_context():
        return embed(seen, network=network("efficientnet-lite0"), size=SIDE, floor=SIDE, batch=4)


def pca_world(frame: DataFrame) -> DataFrame:
    """Return what a model's version is given: components that were fitted when it was trained."""
    numbers = frame.withColumn(
        "numbers", F.array(F.coalesce(F.nanvl("value", F.lit(0.0)), F.lit(0.0)), F.col("zone").cast("double"))
    )
    trained = frame.sparkSession.createDataFrame([([1.0, 2.0],), ([2.0, 1.0],), ([4.0, 0.0],)], "numbers array<double>")
    with build_context() as training:
        pca(trained, "numbers", components=1)
    with build_context(before=training.kept, fits="only"):
        return pca(numbers, "numbers", components=1)


# name: the feature, and whether its rows lie on a grid with values known at their own time
WORLDS: dict[str, tuple[Callable[[DataFrame], DataFrame], bool]] = {
    "lag": (lag_world, True), "rolling": (rolling_world, True), "rolling std": (rolling_std_world, True),
    "calendar": (calendar_world, False), "calendar waves": (calendar_waves_world, False),
    "as_of_join": (as_of_join_world, False), "past_mean": (past_mean_world, False),
    "embed": (embed_world, True), "pca": (pca_world, True),
}  # fmt: skip


CASES_OF = {"embed": 6}  # where each row costs a run of the network


def worlds(session: SparkSession, at_once: bool, cases: list[Case]) -> tuple[DataFrame, list[Case]]:
    """Return the rows of the worlds and the cases; on Sail numbers are of common magnitude, since a run leaves others to Spark."""

    def row(event: tuple[Any, ...]) -> tuple[Any, ...]:
        at, zone, value, delay = event
        value = value if value is None or math.isnan(value) or not is_connected(session) else round(value * 1024) / 1024
        return at, zone, value, 0 if at_once else delay  # at once: a value is known when its row happens

    if at_once or is_connected(session):
        cases = [(*([row(event) for event in rows] for rows in (past, one, two)), cut) for past, one, two, cut in cases]
    return two_worlds(session, cases, grid=at_once), cases


def seen_in(session: SparkSession, make: Callable[[DataFrame], DataFrame], at_once: bool, cases: list[Case]) -> list[Any]:
    frame, cases = worlds(session, at_once, cases)
    made = as_auto_computes(make(frame))
    return differing(made, cases, [name for name in made.columns if name not in frame.columns])


def number_of(name: str) -> int:
    return int(os.environ.get("CAUDAL_EXAMPLES", CASES_OF.get(name, 40)))


def test_every_feature_has_worlds() -> None:
    assert {name.partition(" ")[0] for name in WORLDS} == set(FEATURES)


@pytest.mark.parametrize("each_session", [pytest.param("spark", marks=pytest.mark.slow), "sail"], indirect=True)
@pytest.mark.parametrize("name", WORLDS)
def test_no_feature_sees_the_future(name: str, each_session: SparkSession) -> None:
    make, at_once = WORLDS[name]
    if is_connected(each_session) and name in REFUSED_ON_SAIL:
        with pytest.raises(EngineLacks, match=REFUSED_ON_SAIL[name]):
            seen_in(each_session, make, at_once, drawn_cases(2))
    else:
        assert seen_in(each_session, make, at_once, drawn_cases(number_of(name))) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(WORLDS) - set(REFUSED_ON_SAIL)))
@pytest.mark.parametrize("each_session", ["sail"], indirect=True)
def test_sail_gives_sparks_rows_of_drawn_worlds(name: str, each_session: SparkSession, spark: SparkSession) -> None:
    """Nulls, NaN, ties and holes: to the bit."""
    make, at_once = WORLDS[name]
    frame, cases = worlds(each_session, at_once, drawn_cases(number_of(name)))
    rows = rows_to_the_bit(as_auto_computes(make(frame)))
    with CLASSIC.speaking():
        assert rows == rows_to_the_bit(make(two_worlds(spark, cases, grid=at_once)))


@pytest.mark.parametrize("each_session", ["sail"], indirect=True)
def test_the_two_worlds_tell_a_feature_that_sees_the_future(each_session: SparkSession) -> None:
    case = ([(4, 0, 1.0, 0), (8, 0, 2.0, 60)], [(9, 0, 3.0, 0)], [(9, 0, 4.0, 0)], 8)
    still = ([(4, 0, 1.0, 0)], [], [], 8)
    ordered = Window.partitionBy("world", "zone").orderBy("at")
    found = seen_in(each_session, lambda frame: frame.withColumn("x", F.lead("value").over(ordered)), True, [still, case])
    assert {len(past) for _, (past, *_) in found} == {2}
    # Known an hour after T: its own time tells nothing.
    late = ([(6, 0, 2.0, 60), (8, 0, 1.0, 0)], [], [], 8)
    assert (
        seen_in(each_session, lambda frame: past_mean(frame, "value", by="world", known="at", window="1 day"), False, [late]) != []
    )
