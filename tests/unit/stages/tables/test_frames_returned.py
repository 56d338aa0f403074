"""What table functions may return."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from caudal.errors import StepFailed
from caudal.stages.tables import as_frame, tumble

AT = dt.datetime(2023, 1, 1, 8, 30)


@pytest.fixture(scope="module")
def trips(spark):
    rows = [(AT, "a", 1.5, 1), (AT + dt.timedelta(hours=1), "b", 2.5, None), (AT + dt.timedelta(days=1), "a", None, 3)]
    return spark.createDataFrame(rows, "at timestamp_ntz, zone string, usd double, riders long")


def test_a_spark_frame_is_taken_as_it_is(trips):
    assert as_frame(trips, "t") is trips


def test_pandas_on_spark_works_inside_a_table_function(trips):
    frame = trips.pandas_api()
    frame["dear"] = frame["usd"].fillna(0) > 2
    frame["hour"] = frame["at"].dt.hour
    made = as_frame(frame[frame["zone"] != "c"], "t")
    assert dict(made.dtypes)["at"] == "timestamp_ntz"
    assert sorted((row.zone, row.hour, row.dear) for row in made.collect()) == [("a", 8, False), ("a", 8, False), ("b", 9, True)]


def test_a_grouped_pandas_on_spark_frame_keeps_its_keys(trips):
    made = as_frame(trips.pandas_api().groupby("zone").agg({"usd": "sum", "riders": "count"}), "t")
    assert sorted(map(tuple, made.collect())) == [("a", 1.5, 2), ("b", 2.5, 0)]
    assert made.columns == ["zone", "usd", "riders"]


@pytest.mark.slow
def test_pandas_on_spark_merges_sorts_ranks_and_windows(trips, spark):
    zones = spark.createDataFrame([("a", "Queens"), ("b", "Bronx")], "zone string, borough string").pandas_api()
    frame = trips.pandas_api().merge(zones, on="zone", how="left").sort_values(["zone", "at"])
    frame["before"] = frame.groupby("zone")["usd"].shift(1)
    frame["place"] = frame["riders"].fillna(0).rank()
    found = {(row.zone, row.at): (row.borough, row.before, row.place) for row in as_frame(frame, "t").collect()}
    assert found[("a", AT + dt.timedelta(days=1))] == ("Queens", 1.5, 3.0)
    assert found[("b", AT + dt.timedelta(hours=1))] == ("Bronx", None, 1.0)


def test_a_pandas_frame_is_taken_and_keeps_wall_time(trips, spark):
    frame = pd.DataFrame({"at": [AT], "zone": ["a"], "usd": [float("nan")]})
    made = as_frame(frame, "t")
    assert dict(made.dtypes) == {"at": "timestamp_ntz", "zone": "string", "usd": "double"}
    assert made.first()["at"] == AT
    grouped = as_frame(pd.DataFrame({"zone": ["a", "a"], "usd": [1.0, 2.0]}).groupby("zone")["usd"].agg(["sum", "max"]), "t")
    assert [tuple(row) for row in grouped.collect()] == [("a", 3.0, 2.0)]


def test_what_is_no_frame_is_said(trips):
    with pytest.raises(StepFailed, match="table 'trips' returned nothing: did you forget return"):
        as_frame(None, "trips")
    with pytest.raises(StepFailed, match=r"returned a caudal.*Windows, which is no frame. Call .agg"):
        as_frame(tumble(trips, "1 hour", time="at"), "trips")
    with pytest.raises(StepFailed, match="returned a list"):
        as_frame([1], "trips")
    with pytest.raises(StepFailed, match="holds values that no column can"):
        as_frame(pd.DataFrame({"x": [1, "a", object()]}), "trips")
