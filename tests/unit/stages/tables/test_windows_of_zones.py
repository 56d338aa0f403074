"""Windows of instants by a zone's clocks, held against the definition (docs/adr/0017), which is reckoned here minute by minute."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import functions as F

from caudal.declarations.zone import in_zone, window_end
from caudal.engine.clock import windowed
from caudal.engine.reach import START
from caudal.stages.tables import tumble

pytestmark = pytest.mark.usefixtures("small")

MINUTE = 60
# Zone, a moment near a change of its clocks, and what is odd about it.
CHANGES = [
    ("Europe/Berlin", "2024-03-31"),
    ("Europe/Berlin", "2024-10-27"),
    ("America/New_York", "2024-03-10"),
    ("America/New_York", "2024-11-03"),
    ("Australia/Lord_Howe", "2024-04-07"),  # by half an hour
    ("Australia/Lord_Howe", "2024-10-06"),
    ("Asia/Beirut", "2024-03-31"),  # the day begins at 01:00
    ("Asia/Beirut", "2024-10-27"),  # the last hour of a day comes twice
    ("America/Asuncion", "2023-10-01"),
    ("America/Havana", "2024-11-03"),  # the first hour of a day comes twice
    ("Atlantic/Azores", "2024-10-27"),
    ("Antarctica/Troll", "2024-10-27"),  # by two hours
    ("America/St_Johns", "2010-11-07"),  # at one minute past midnight
    ("America/St_Johns", "2010-03-14"),
    ("Pacific/Apia", "2011-12-30"),  # a day that never was
    ("Pacific/Kwajalein", "1993-08-21"),
    ("Asia/Kathmandu", "1986-01-01"),  # by a quarter of an hour
    ("Asia/Kolkata", "2024-03-31"),  # never
    ("UTC", "2024-03-31"),
]
WIDTHS_S = (900, 1800, 2400, 3600, 7200, 21_600, 86_400)


@cache
def shown(tz: str, at_s: int) -> int:
    """Return the wall time, in seconds, that a zone's clocks show."""
    wall = dt.datetime.fromtimestamp(at_s, ZoneInfo(tz)).replace(tzinfo=dt.UTC)
    return int(wall.timestamp())


@cache
def windows_by_definition(tz: str, width_s: int, first_s: int, last_s: int) -> dict[int, tuple[int, int]]:
    """Return start and end of the window of each minute, from the instants that show a time of its slot."""
    showing = defaultdict(list)  # wall minute → instants
    for at_s in range(first_s, last_s, MINUTE):
        showing[shown(tz, at_s)].append(at_s)
    windows = {}
    for slot in {wall - wall % width_s for wall in showing}:
        walls = range(slot, slot + width_s, MINUTE)
        instants = sorted(at_s for wall in walls for at_s in showing.get(wall, ()))
        if all(len(showing.get(wall, ())) == 2 for wall in walls):
            parts = [sorted(showing[wall][number] for wall in walls) for number in (0, 1)]
        else:
            parts = [instants]
        for part in parts:
            windows |= dict.fromkeys(part, (part[0], part[-1] + MINUTE))
    return windows


@pytest.fixture(scope="module", autouse=True)
def _forgotten_afterwards():
    """The tests of this file share what is reckoned for a zone and a width; it takes 100 MB."""
    yield
    windows_by_definition.cache_clear()
    shown.cache_clear()


def minutes_around(day: str) -> range:
    middle = int(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp())
    return range(middle - 3 * 86_400, middle + 3 * 86_400, MINUTE)


@pytest.mark.slow
def test_windows_are_those_of_the_definition(spark):
    made = None
    for number, (tz, day) in enumerate(CHANGES):
        span = minutes_around(day)[1440:-1440:13]  # whole days on both sides are needed to know a window's ends
        rows = spark.range(span.start, span.stop, span.step, 1).select("id", F.explode(F.lit(list(WIDTHS_S))).alias("width"))
        frame = windowed(rows, F.col("id") * 1_000_000, F.col("width").cast("bigint"), tz)
        frame = frame.select(F.lit(number).alias("case"), "width", "id", F.unix_seconds(START), F.unix_seconds("__end"))
        made = frame if made is None else made.unionAll(frame)
    found = {row[:3]: row[3:] for row in zip(*made.toArrow().to_pydict().values(), strict=True)}
    for number, (tz, day) in enumerate(CHANGES):
        whole = minutes_around(day)
        for width_s in WIDTHS_S:
            of = windows_by_definition(tz, width_s, whole.start, whole.stop)
            expected = {at_s: of[at_s] for at_s in whole[1440:-1440:13]}
            assert {at_s: found[number, width_s, at_s] for at_s in expected} == expected, (tz, day, width_s)


def test_rows_of_a_window_are_put_together(spark):
    """New York, 3 November 2024: 25 hours, 01:00 twice."""
    first = dt.datetime(2024, 11, 3, 4, tzinfo=dt.UTC)
    rows = spark.createDataFrame(
        [(first + dt.timedelta(minutes=30 * number), "k") for number in range(50)], "at timestamp, key string"
    )
    with in_zone("America/New_York"):
        hours, day = (
            tumble(rows, width, by="key", time="at").agg(n="count").toArrow().to_pylist() for width in ("1 hour", "1 day")
        )
    assert [row["n"] for row in hours] == [2] * 25
    assert [(row["window_start"], row["window_end"], row["n"]) for row in day] == [(first, first + dt.timedelta(hours=25), 50)]


# A change of clocks, a width, and whether the keys that shall be there are given.
FILLED = [(1, 900, False), (5, 86_400, True), (9, 7200, False), (11, 7200, True), (14, 86_400, False), (14, 86_400, True)]


@pytest.mark.slow
def test_a_fill_puts_in_the_windows_that_exist_and_no_other(spark):
    made = None
    for case, (number, width_s, with_keys) in enumerate(FILLED):
        tz, day = CHANGES[number]
        span = minutes_around(day)[1440:-1440:431]
        rows = spark.range(span.start, span.stop, span.step, 1).select(
            F.timestamp_seconds("id").alias("at"), F.lit("k").alias("key")
        )
        keys = spark.range(1).select(F.lit("k").alias("key")) if with_keys else None
        with in_zone(tz):
            frame = tumble(rows, width_s, by="key", time="at").agg(n="count", fill=0, keys=keys)
        frame = frame.select(F.lit(case), F.unix_seconds("window_start"), F.unix_seconds("window_end"), "n")
        made = frame if made is None else made.unionAll(frame)
    found = defaultdict(list)
    for row in made.collect():
        found[row[0]].append(tuple(row)[1:])
    for case, (number, width_s, _) in enumerate(FILLED):
        tz, day = CHANGES[number]
        whole = minutes_around(day)
        of = windows_by_definition(tz, width_s, whole.start, whole.stop)
        counts = defaultdict(int)
        for at_s in whole[1440:-1440:431]:
            counts[of[at_s]] += 1
        days = {shown(tz, at_s) // 86_400 for at_s in whole[1440:-1440:431]}
        expected = sorted({(*of[at_s], counts[of[at_s]]) for at_s in whole if shown(tz, at_s) // 86_400 in days})
        assert sorted(found[case]) == expected, (tz, day, width_s)


@pytest.mark.parametrize(
    ("tz", "day", "windows"),
    [("Europe/Berlin", "2024-03-31", 92), ("Europe/Berlin", "2024-10-27", 96), ("Asia/Beirut", "2024-03-31", 92)],
)
def test_a_fill_of_wall_time_leaves_out_what_clocks_leave_out(spark, tz, day, windows):
    rows = spark.createDataFrame([(dt.datetime.fromisoformat(f"{day}T12:00"), "k")], "at timestamp_ntz, key string")
    with in_zone(tz):
        made = tumble(rows, "15 minutes", by="key", time="at").agg(n="count", fill=0)
    starts = [row.window_start for row in made.collect()]
    assert len(starts) == len(set(starts)) == windows
    for start in starts:
        wall = start.replace(tzinfo=ZoneInfo(tz))
        assert dt.datetime.fromtimestamp(wall.timestamp(), ZoneInfo(tz)).replace(tzinfo=None) == start


@pytest.mark.parametrize("width_s", WIDTHS_S)
def test_a_windows_end_is_told_without_spark_too(width_s):
    for tz, day in CHANGES:
        whole = minutes_around(day)
        of = windows_by_definition(tz, width_s, whole.start, whole.stop)
        for start, end in {of[at_s] for at_s in whole[1440:-1440]}:
            moments = (dt.datetime.fromtimestamp(at_s, dt.UTC) for at_s in (start, end))
            assert window_end(next(moments), width_s, tz) == next(moments), (tz, start)
