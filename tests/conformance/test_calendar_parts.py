"""The parts of a time that a server computes are those of ``cd.calendar``, in every zone and across changes of clocks."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from pyspark.sql import SparkSession, functions as F

from caudal.declarations.online import PARTS, CalendarPart
from caudal.stages.features.calendar import PARTS as SPARK_PARTS, calendar

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
# A sine of Java and one of C may differ in the last bit.
APART = {name: 2.3e-16 for name in PARTS if name.endswith(("_sin", "_cos"))}


def moments() -> list[int]:
    """Return times from 1970 to 2100 in microseconds, among them the hours about a change of clocks and the ends of days and years."""
    numbers = random.Random(3)
    some = [numbers.randrange(4_102_444_800 * 10**6) for _ in range(1500)]
    for text in ("2023-03-12T06:00", "2023-11-05T04:00", "2011-12-29T10:00", "2024-02-28T23:00", "2023-12-31T22:00"):
        start = int(dt.datetime.fromisoformat(text + "+00:00").timestamp()) * 10**6
        some += [start + minute * 60_000_000 + numbers.randrange(60_000_000) for minute in range(0, 240, 7)]
    return some


def test_the_parts_are_the_same_ones() -> None:
    assert list(PARTS) == list(SPARK_PARTS)


@pytest.mark.slow
@pytest.mark.parametrize("tz", ZONES)
def test_parts_of_instants_are_equal(spark: SparkSession, tz: str) -> None:
    frame = spark.createDataFrame([(at,) for at in moments()], "at_us bigint").withColumn("at", F.timestamp_micros("at_us"))
    differing(calendar(frame, "at", list(PARTS), tz=tz), tz)


def test_parts_of_local_times_are_equal(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [(at, dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=at)) for at in moments()], "at_us bigint, at timestamp_ntz"
    )
    differing(calendar(frame, "at", list(PARTS)), None)


def differing(frame: object, tz: str | None) -> None:
    for row in frame.collect():  # type: ignore[attr-defined]
        for name in PARTS:
            mine, theirs = CalendarPart("at", name, tz).of(row["at_us"]), row[f"at_{name}"]
            told = (tz, row["at_us"], name, mine, theirs)
            assert type(mine) is type(theirs), told
            assert abs(mine - theirs) <= APART.get(name, 0), told
