"""Table functions, called plainly with small frames."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from caudal.graph.check import check
from caudal.graph.load import load

AT = dt.datetime(2023, 1, 2, 9, 0)


@pytest.fixture(scope="module")
def taxi():
    return load(Path(__file__).parents[1])


@pytest.fixture(scope="module")
def made(taxi, spark, compiled):
    """Two trips of one pair of zones, the second after the first had ended."""
    raw = [
        (2, AT, AT + dt.timedelta(minutes=10), 74, 75, 1.0, 2.5, 12.0, 15.0, "aa"),
        (2, AT + dt.timedelta(minutes=20), AT + dt.timedelta(minutes=40), 74, 75, 1.0, 3.5, 14.0, 18.0, "aa"),
    ]
    names = "vendor_id long, pickup_at timestamp_ntz, dropoff_at timestamp_ntz, pickup_zone_id long, dropoff_zone_id long, passengers double, miles double, fare_usd double, total_usd double, _file string"
    frame = spark.createDataFrame(raw, names).selectExpr("*", "0.0D AS tip_usd", "1.0D AS payment_type", "1.0D AS trip_type")
    zones = spark.createDataFrame(
        [(74, "Manhattan", "East Harlem North"), (75, "Manhattan", "East Harlem South")],
        "zone_id long, borough string, zone string",
    )
    return taxi.tables["trips"].function(frame.withMetadata("pickup_at", {"caudal.event_time": True}), zones)


def test_the_declaration_holds(taxi):
    assert check(taxi) == []


@pytest.mark.slow
def test_a_trip_has_its_duration_and_its_zones(made):
    row = made.orderBy("pickup_at").first()
    assert (row["duration_min"], row["pickup_zone"], row["dropoff_borough"]) == (10.0, "East Harlem North", "Manhattan")
    assert made.select("trip_id").distinct().count() == 2


@pytest.mark.slow
def test_quarter_hours_of_a_day_are_whole(taxi, made):
    rows = taxi.tables["pickups_quarter_hour"].function(made).collect()
    assert len(rows) == 96
    assert sum(row["pickups"] for row in rows) == 2


@pytest.mark.slow
def test_a_trip_knows_the_durations_of_trips_that_had_ended(taxi, made):
    rows = taxi.tables["trip_start"].function(made).orderBy("pickup_at").collect()
    assert [row["pair_duration_min"] for row in rows] == [None, 10.0]
