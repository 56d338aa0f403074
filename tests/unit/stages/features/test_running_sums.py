"""Running sums over doubles of usual magnitudes and large longs: what a window holds, whatever else its key has had."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from pyspark.errors import PySparkException

import caudal as cd

START = dt.datetime(2024, 1, 1)
# Each window of 90 minutes holds two rows: large values before must leave nothing behind, small ones must not be lost.
VALUES = [1e15, -1e15, 3e-19, 5e-19, 1e18, -0.1, 0.3, 2.5e-15, math.nan, 3.5e-15, math.inf, 1e-30]
LARGE = [(1 << 62) + at for at in range(6)]


def rows_of(values):
    return [("k", START + dt.timedelta(hours=at), value) for at, value in enumerate(values)]


def expected(values, at):
    window = [value for value in values[max(0, at - 1) : at + 1] if value is not None and math.isfinite(value)]
    return (math.fsum(window), math.fsum(window) / len(window)) if window else (None, None)


def test_rolling_sums_are_those_of_the_window(spark):
    frame = spark.createDataFrame(rows_of(VALUES), "k string, at timestamp_ntz, x double").repartition(3)
    for stat in ("sum", "mean"):
        frame = cd.rolling(frame, "x", "90 minutes", stat, by="k", order="at", closed="right", name=stat)
    rolled = {row["at"]: (row["sum"], row["mean"]) for row in frame.collect()}
    for at in range(len(VALUES)):
        assert rolled[START + dt.timedelta(hours=at)] == pytest.approx(expected(VALUES, at), rel=2**-52, abs=0), at


def test_past_means_are_those_of_the_window(spark):
    frame = spark.createDataFrame(rows_of(VALUES), "k string, at timestamp_ntz, x double").repartition(3)
    made = cd.past_mean(frame, "x", "k", window="1 hour", order="at", name="mean")
    means = {row["at"]: row["mean"] for row in made.collect()}
    for at in range(1, len(VALUES)):
        before = VALUES[at - 1]
        assert means[START + dt.timedelta(hours=at)] == (before if math.isfinite(before) else None), at


@pytest.mark.slow
def test_means_of_large_longs_are_right_and_their_sums_are_errors_that_name_the_column(spark):
    frame = spark.createDataFrame(rows_of(LARGE), "k string, at timestamp_ntz, x long")
    means = cd.rolling(frame, "x", "1 day", "mean", by="k", order="at", closed="right", name="mean")
    assert [row["mean"] for row in means.orderBy("at").collect()] == [float(1 << 62)] * 6
    pasts = cd.past_mean(frame, "x", "k", window="1 day", order="at", name="mean").orderBy("at").collect()
    assert [row["mean"] for row in pasts] == [None, *[float(1 << 62)] * 5]
    with pytest.raises(PySparkException, match="The sum of 'x' over 1_day is beyond 2"):
        cd.rolling(frame, "x", "1 day", "sum", by="k", order="at", closed="right").collect()
    single = cd.rolling(frame, "x", "1 hour", "sum", by="k", order="at", closed="right", name="sum").orderBy("at").collect()
    assert [row["sum"] for row in single] == LARGE
