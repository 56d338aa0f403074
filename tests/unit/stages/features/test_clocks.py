"""Lags, rolling windows and the calendar of instants, over changes of the clocks (docs/adr/0017)."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import functions as F

import caudal as cd
from caudal.declarations.zone import in_zone

pytestmark = pytest.mark.usefixtures("small")

HOUR = dt.timedelta(hours=1)


def windows(spark: Any, tz: str, first: str, hours: int, width: str) -> Any:
    """Return windows whose ``n`` counts the half-hours since the first local midnight."""
    begin = dt.datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(tz)).timestamp()
    rows = spark.range(2 * hours).select(F.timestamp_seconds(F.col("id") * 1800 + begin).alias("at"), F.lit("k").alias("k"), "id")
    return cd.tumble(rows, width, by="k", time="at").agg(n=("min", "id"), rows="count")


def told(frame: Any, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in frame.orderBy("window_start").select(*columns).collect()]


@pytest.mark.parametrize(
    ("tz", "first"),
    [
        ("America/Asuncion", "2023-09-29"),  # the third day begins at 01:00
        ("Europe/Berlin", "2024-03-29"),
        ("Europe/Berlin", "2024-10-25"),
        ("America/Havana", "2024-11-01"),  # midnight comes twice
        ("Pacific/Apia", "2011-12-26"),
    ],
)
def test_a_daily_lag_finds_the_day_before_whatever_it_lasts(spark: Any, tz: str, first: str) -> None:
    with in_zone(tz):
        days = windows(spark, tz, first, 5 * 24, "1 day")
        made = cd.rolling(cd.lag(days, "n", [1, "1 day", "2 days"]), "rows", "3 days", "count", name="three")
        rows = told(made, "n", "n_lag_1", "n_lag_1_day", "n_lag_2_days", "three")
    numbers = [row[0] for row in rows]
    assert len(rows) >= 5 - (tz == "Pacific/Apia")
    dates = [dt.date.fromisoformat(first) + dt.timedelta(days=ahead) for ahead in range(7)]
    held = [date for date in dates if (tz, date) != ("Pacific/Apia", dt.date(2011, 12, 30))]
    of = dict(zip(held, numbers, strict=False))
    for date, row in zip(held, rows, strict=False):
        before = [of.get(date - dt.timedelta(days=ago)) for ago in (1, 2, 3)]
        assert row[1:4] == (before[0], before[0], before[1])
        assert row[4] == sum(number is not None for number in before)


def test_steps_follow_the_windows_that_exist_and_days_the_wall(spark: Any) -> None:
    with in_zone("Europe/Berlin"):
        hours = windows(spark, "Europe/Berlin", "2024-10-26", 72, "1 hour")
        made = cd.lag(hours, "n", [1, 24, "1 hour", "1 day"])
        rows = told(made, "window_start", "n", "n_lag_1", "n_lag_24", "n_lag_1_hour", "n_lag_1_day")
    numbers = {row[0]: row[1] for row in rows}
    by_wall: dict[dt.datetime, int] = {}
    for start in sorted(numbers):
        by_wall.setdefault(wall(start), numbers[start])
    for start, _, one, day, hour, same in rows:
        assert one == hour == numbers.get(start - HOUR)
        assert day == numbers.get(start - 24 * HOUR)
        assert same == by_wall.get(wall(start) - dt.timedelta(days=1))


def test_six_hours_back_is_the_window_before_though_it_lasted_seven(spark: Any) -> None:
    with in_zone("Europe/Berlin"):
        rows = told(
            cd.lag(windows(spark, "Europe/Berlin", "2024-10-26", 72, "6 hours"), "n", [1, "6 hours"]),
            "n",
            "n_lag_1",
            "n_lag_6_hours",
        )
    numbers = [row[0] for row in rows]
    assert [row[1] for row in rows] == [row[2] for row in rows] == [None, *numbers[:-1]]


def test_events_look_back_elapsed_time_and_days_by_the_wall(spark: Any) -> None:
    begin = int(dt.datetime(2024, 10, 26, 22, tzinfo=dt.UTC).timestamp())  # midnight of the day of 25 hours
    events = spark.range(0, 50).select(
        F.timestamp_seconds(F.col("id") * 3600 + begin).alias("window_start"), F.lit("k").alias("k"), "id"
    )
    with in_zone("Europe/Berlin"):
        made = cd.lag(events, "id", ["1 day", "24 hours", "1 hour"], by="k", order="window_start")
        made = cd.rolling(made, "id", "24 hours", "count", by="k", order="window_start", name="c")
        rows = told(made, "id", "id_lag_1_day", "id_lag_1_hour", "c")
    assert [row[2] for row in rows] == [None, *range(49)]
    assert [row[3] for row in rows] == [min(number, 24) for number in range(50)]
    # From the second day on 25 rows lie between a wall time and itself a day before; of 02:00, which came twice, the earlier counts.
    assert [row[1] for row in rows[25:31]] == [0, 1, 2, 4, 5, 6]


def test_the_calendar_of_instants_is_the_zones(spark: Any) -> None:
    moment = spark.createDataFrame([(dt.datetime(2024, 1, 6, 4, 30, tzinfo=dt.UTC),)], "at timestamp")
    with in_zone("America/New_York"):
        assert tuple(cd.calendar(moment, "at", ["hour", "weekday", "is_weekend"]).first())[1:] == (23, 4, False)
        assert tuple(cd.calendar(moment, "at", ["hour"], tz="UTC").first())[1:] == (4,)
    assert tuple(cd.calendar(moment, "at", ["hour", "weekday"]).first())[1:] == (4, 5)


def wall(start: dt.datetime) -> dt.datetime:
    """Return what Berlin's clocks show; Spark's session gives instants in this process's zone."""
    return start.astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None)
