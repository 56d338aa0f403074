"""Windows and their gaps."""

from __future__ import annotations

import datetime as dt
import itertools
import random

import pytest
from pyspark.sql import functions as F

from caudal.errors import DeclarationProblem
from caudal.stages.tables import fill_gaps, tumble

DAY = dt.datetime(2023, 3, 12)  # New York set its clocks ahead that day; wall time knows nothing of it


def events(spark, rows, kind="timestamp_ntz"):
    return spark.createDataFrame(rows, f"at {kind}, zone string, usd double, riders long").withMetadata(
        "at", {"caudal.event_time": True}
    )


@pytest.fixture(scope="module")
def trips(spark):
    rows = [
        (DAY + dt.timedelta(minutes=1), "a", 1.5, 1),
        (DAY + dt.timedelta(minutes=14, seconds=59, microseconds=999_999), "a", 2.5, None),
        (DAY + dt.timedelta(minutes=15), "a", 10.0, 2),
        (DAY + dt.timedelta(hours=2, minutes=31), "b", None, 3),  # an hour that the clocks of New York leapt over
        (DAY + dt.timedelta(hours=23, minutes=59), None, 4.0, 1),
        (DAY + dt.timedelta(days=1), "a", 7.0, 1),
        (dt.datetime(1969, 12, 31, 23, 52), "a", 1.0, 1),
        (None, "a", 99.0, 9),
    ]
    return events(spark, rows)


def rows_of(frame):
    return sorted((tuple(row) for row in frame.collect()), key=repr)


@pytest.mark.parametrize(("width", "seconds"), [("15 minutes", 900), ("1 hour", 3600), ("1 day", 86_400)])
def test_one_declaration_gives_every_width(trips, width, seconds):
    made = tumble(trips, width, by=["zone"]).agg(
        pickups="count", usd="avg", paid=("count", "usd"), takings=("sum", "usd"), most=("max", "riders")
    )
    expected = {}
    for row in trips.where("at is not null").collect():
        start = dt.datetime(1900, 1, 1) + (row.at - dt.datetime(1900, 1, 1)) // dt.timedelta(seconds=seconds) * dt.timedelta(
            seconds=seconds
        )
        expected.setdefault((row.zone, start, start + dt.timedelta(seconds=seconds)), []).append(row)
    want = []
    for key, group in expected.items():
        paid = [row.usd for row in group if row.usd is not None]
        riders = [row.riders for row in group if row.riders is not None]
        want.append(
            (
                *key,
                len(group),
                sum(paid) / len(paid) if paid else None,
                len(paid),
                sum(paid) if paid else None,
                max(riders, default=None),
            )
        )
    assert made.columns == ["zone", "window_start", "window_end", "pickups", "usd", "paid", "takings", "most"]
    assert rows_of(made) == sorted(want, key=repr)


def test_wall_time_is_cut_at_its_own_midnight_whatever_the_session(spark, trips):
    zone = spark.conf.get("spark.sql.session.timeZone")
    here = rows_of(tumble(trips, "15 minutes", by=["zone"]).agg(fill=0, pickups="count"))
    try:
        spark.conf.set("spark.sql.session.timeZone", "America/New_York")
        assert rows_of(tumble(trips, "15 minutes", by=["zone"]).agg(fill=0, pickups="count")) == here
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)


def test_instants_are_cut_at_utc(spark):
    moments = [(1_700_000_000,), (1_700_006_399,)]  # 2023-11-14 22:13:20 and 23:59:59 UTC
    frame = spark.createDataFrame(moments, "s long").select(F.timestamp_seconds("s").alias("at"))
    made = (
        tumble(frame, "1 day", time="at")
        .agg(rows="count")
        .select(F.unix_seconds("window_start"), F.unix_seconds("window_end"), "rows")
    )
    assert rows_of(made) == [(1_699_920_000, 1_700_006_400, 2)]


def test_columns_tell_what_they_are(trips):
    made = tumble(trips, "15 minutes", by="zone").agg(pickups="count", fares=F.sum("usd"))
    assert {field.name: field.metadata for field in made.schema.fields} == {
        "zone": {"caudal.key": True},
        "window_start": {"caudal.event_time": True, "caudal.step_s": 900},
        "window_end": {"caudal.step_s": 900},
        "pickups": {"caudal.known": "window_end"},
        "fares": {"caudal.known": "window_end"},
    }
    filled = fill_gaps(made, 0)
    assert [field.metadata for field in filled.schema.fields] == [field.metadata for field in made.schema.fields]


@pytest.mark.slow
def test_doubles_add_up_to_the_same_bits_in_every_order(spark):
    draw = random.Random(3)
    rows = [
        (DAY + dt.timedelta(seconds=draw.randrange(3600)), "ab"[draw.randrange(2)], draw.uniform(0, 100), 1) for _ in range(3000)
    ]
    runs = []
    for parts in (1, 2, 5):
        draw.shuffle(rows)
        made = tumble(events(spark, rows).repartition(parts), "15 minutes", by="zone")
        runs.append(rows_of(made.agg(usd="avg", takings=("sum", "usd"), spread=("std", "usd"))))
    assert runs[0] == runs[1] == runs[2]


def test_gaps_are_filled_for_the_keys_of_each_day(trips):
    made = tumble(trips, "1 hour", by=["zone"]).agg(pickups="count", usd="avg")
    filled = tumble(trips, "1 hour", by=["zone"]).agg(fill=0, pickups="count", usd="avg")
    there = {(row.zone, row.window_start): row for row in made.collect()}
    days = {(zone, start.date()) for zone, start in there}
    hours = [dt.timedelta(hours=hour) for hour in range(24)]
    want = []
    for (zone, day), hour in itertools.product(days, hours):
        start = dt.datetime.combine(day, dt.time()) + hour
        row = there.get((zone, start))
        want.append((zone, start, start + dt.timedelta(hours=1), row.pickups if row else 0, row.usd if row else None))
    assert rows_of(filled) == sorted(want, key=repr)


@pytest.mark.slow
def test_a_day_filled_alone_is_as_it_was_among_others(trips):
    filled = tumble(trips, "1 hour", by=["zone"]).agg(fill={"pickups": 0, "usd": -1.0}, pickups="count", usd="avg")
    for day in ("2023-03-12", "2023-03-13", "1969-12-31"):
        alone = tumble(trips.where(F.to_date("at") == day), "1 hour", by=["zone"]).agg(
            fill={"pickups": 0, "usd": -1.0}, pickups="count", usd="avg"
        )
        assert rows_of(alone) == rows_of(filled.where(F.to_date("window_start") == day))


def test_given_keys_have_every_window_of_every_day(spark, trips):
    keys = spark.createDataFrame([("b", 1), ("c", 2), ("c", 3)], "zone string, more long")
    filled = tumble(trips, "6 hours", by=["zone"]).agg(fill=0, keys=keys, pickups="count")
    found = {(row.zone, row.window_start): row.pickups for row in filled.collect()}
    days = [dt.datetime(1969, 12, 31), DAY, DAY + dt.timedelta(days=1)]
    asked = {(zone, day + dt.timedelta(hours=hour)): 0 for zone in "bc" for day in days for hour in (0, 6, 12, 18)}
    asked[("b", DAY)] = 1
    rest = {("a", DAY): 3, (None, DAY + dt.timedelta(hours=18)): 1, ("a", days[2]): 1, ("a", days[0] + dt.timedelta(hours=18)): 1}
    assert found == asked | rest


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda trips: tumble(trips, "7 minutes"), "does not divide a day"),
        (lambda trips: tumble(trips, "2 days"), "does not divide a day"),
        (lambda trips: tumble(trips, "1 hour", by=["zon"]), "Did you mean 'zone'"),
        (lambda trips: tumble(trips, "1 hour", time="usd"), "type double"),
        (lambda trips: tumble(trips.select("zone"), "1 hour"), "cannot tell which column is the event time: none is declared"),
        (lambda trips: tumble(trips, "1 hour").agg(), "got no aggregate"),
        (lambda trips: tumble(trips, "1 hour").agg(usd="median"), "no aggregate"),
        (lambda trips: tumble(trips, "1 hour").agg(usd="averge"), "Did you mean 'avg'"),
        (lambda trips: tumble(trips, "1 hour").agg(fare="avg"), "asks for column 'fare'"),
        (lambda trips: tumble(trips, "1 hour").agg(zone="avg"), "type string"),
        (lambda trips: tumble(trips, "1 hour", by="zone").agg(zone="count"), "already a key"),
        (lambda trips: tumble(trips, "1 hour", by="zone").agg(fill={"pickup": 0}, pickups="count"), "Did you mean 'pickups'"),
        (lambda trips: fill_gaps(trips, 0, by="zone"), "how long a step"),
        (lambda trips: fill_gaps(trips, 0), "whose past"),
    ],
)
def test_what_cannot_be_is_said(trips, call, says):
    with pytest.raises(DeclarationProblem, match=says):
        call(trips)
