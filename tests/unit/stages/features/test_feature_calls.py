"""What the features refuse, and how they say it."""

from __future__ import annotations

import datetime as dt

import pytest
from pyspark.errors import PySparkException

from caudal.errors import DeclarationProblem
from caudal.stages.features import as_of_join, calendar, lag, past_mean, rolling
from caudal.stages.tables import tumble

AT = dt.datetime(2023, 1, 1, 8)


@pytest.fixture(scope="module")
def trips(spark):
    rows = [(AT, AT, "a", "x", 1.0), (AT + dt.timedelta(hours=1), AT, "a", "y", 2.0), (AT, AT, "a", "y", 4.0)]
    frame = spark.createDataFrame(rows, "at timestamp_ntz, seen timestamp_ntz, zone string, to string, usd double")
    return frame.withMetadata("at", {"caudal.event_time": True})


@pytest.fixture(scope="module")
def hours(trips):
    return tumble(trips, "1 hour", by=["zone"]).agg(pickups="count", usd="avg")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda trips, hours: lag(hours, "pickups", [0]), "the present"),
        (lambda trips, hours: lag(hours, "pickups", [-1]), "the future"),
        (lambda trips, hours: lag(hours, "pickups", [1.5]), "whole number of steps"),
        (lambda trips, hours: lag(hours, "pickups", ["90 minutes"]), "a multiple of 1 hour"),
        (lambda trips, hours: lag(hours, "pickup", [1]), "Did you mean 'pickups'"),
        (lambda trips, hours: lag(hours, "pickups", []), "got no steps"),
        (lambda trips, hours: lag(trips, "usd", [1], by="zone"), "how long a step"),
        (lambda trips, hours: lag(trips, "usd", ["1 hour"]), "whose past"),
        (lambda trips, hours: rolling(hours, "pickups", "-1 hours"), "not a duration"),
        (lambda trips, hours: rolling(hours, "pickups", 0), "longer than zero"),
        (lambda trips, hours: rolling(hours, "pickups", stat="average"), "rolling has no statistic"),
        (lambda trips, hours: rolling(hours, "zone"), "type string"),
        (lambda trips, hours: rolling(hours, ["pickups", "usd"], name="x"), "got one name"),
        (lambda trips, hours: rolling(hours, "pickups", closed="both"), "closed"),
        (lambda trips, hours: calendar(trips, "at", ["weekdays"]), "Did you mean 'weekday'"),
        (lambda trips, hours: calendar(trips, "at", tz="America/New_York"), "already local time"),
        (lambda trips, hours: calendar(trips, "usd"), "type double"),
        (lambda trips, hours: as_of_join(trips, hours.drop("usd"), "zone"), "known only at 'window_end'"),
        (lambda trips, hours: as_of_join(trips, hours, "zone", right_time="window_end"), "both frames have a column 'usd'"),
        (
            lambda trips, hours: as_of_join(
                trips, hours.withColumn("t", hours.window_end.cast("timestamp")), "zone", right_time="t"
            ),
            "cast is not",
        ),
        (lambda trips, hours: past_mean(trips, "usd", by="zone", window=0), "longer than zero"),
        (lambda trips, hours: past_mean(trips, "to", by="zone", window="1 day"), "type string"),
        (lambda trips, hours: past_mean(trips, "usd", by="zone", window="1 day", known="sen"), "Did you mean 'seen'"),
        (lambda trips, hours: past_mean(trips, "usd", by="zone", window="1 day", name=["a", "b"]), "2 names"),
    ],
)
def test_what_cannot_be_is_said(trips, hours, call, says):
    with pytest.raises(DeclarationProblem, match=says):
        call(trips, hours)


def test_a_missing_key_column_is_no_silent_mistake(trips):
    made = lag(trips, "usd", ["1 hour"], by="zone")
    with pytest.raises(PySparkException, match="has to name all key columns"):
        made.collect()


def test_marks_stay_on_the_columns(trips, hours):
    made = lag(rolling(hours, "pickups"), "usd", [1])
    assert [field.metadata for field in made.schema.fields][: len(hours.columns)] == [
        field.metadata for field in hours.schema.fields
    ]
    assert not any(field.metadata for field in made.schema.fields[len(hours.columns) :])
    assert past_mean(trips, "usd", by="zone", window="1 day").schema["at"].metadata == {"caudal.event_time": True}


def test_ties_as_of_a_time_are_broken_the_same_way_every_time(spark, trips):
    rows = [(AT, "a", value) for value in (3.0, 9.0, 5.0)]
    for some in (rows, rows[::-1]):
        right = spark.createDataFrame(some, "told timestamp_ntz, zone string, celsius double")
        found = as_of_join(trips, right, "zone", right_time="told").collect()
        assert {row.celsius for row in found} == {9.0}
