"""Every feature that is registered, against pandas on real taxi trips, on Spark and on Sail, which gives Spark's rows or is not used.

A new feature needs a case in ``feature_cases.CASES``: the call, and the same in pandas. Without it a test fails by its name. Those of long sums
say in ``APART`` how far they may differ; what is fitted is held to what a version has kept.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.conformance.feature_cases import CASES, REFUSED_ON_SAIL
from tests.engines import as_auto_computes, rows_to_the_bit

from caudal.engine.choice import is_connected
from caudal.engine.classic import CLASSIC
from caudal.errors import EngineLacks
from caudal.kinds import FEATURES
from caudal.stages.tables import tumble

# How far results may lie apart that are sums of floating-point numbers in another order.
APART = {"embed": 1e-4, "pca": 1e-8}
SCHEMA = "at timestamp_ntz, ended timestamp_ntz, pickup long, dropoff long, usd double, minutes double, id long"
Frames = tuple[DataFrame, DataFrame]
on_each = pytest.mark.parametrize("each_session", [pytest.param("spark", marks=pytest.mark.slow), "sail"], indirect=True)
on_sail_alone = pytest.mark.parametrize("each_session", ["sail"], indirect=True)


@pytest.fixture(scope="module")
def trips() -> pd.DataFrame:
    """Return 2,000 real trips of January 2023 in the six busiest zones, in no order, with all that is odd about them."""
    folder = Path(os.environ.get("CAUDAL_DATA", "../shared/data")) / "green_taxi"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    columns = {
        "lpep_pickup_datetime": "at",
        "lpep_dropoff_datetime": "ended",
        "PULocationID": "pickup",
        "DOLocationID": "dropoff",
        "fare_amount": "usd",
    }
    raw = pd.read_parquet(folder / "green_tripdata_2023-01.parquet", columns=list(columns)).rename(columns=columns)
    busiest = raw["pickup"].value_counts().index[:6]
    some = raw[raw["pickup"].isin(busiest)].sample(2000, random_state=1).reset_index(drop=True)
    some["at"], some["ended"] = some["at"].astype("datetime64[ns]"), some["ended"].astype("datetime64[ns]")
    some["minutes"] = (some["ended"] - some["at"]).dt.total_seconds() / 60
    some.loc[::50, "minutes"] = np.nan
    some["id"] = some.index
    return some


def frames_on(session: SparkSession, trips: pd.DataFrame) -> Frames:
    """Return the same trips in an engine, and pickups per zone and hour, with holes."""
    frame = session.createDataFrame(trips, SCHEMA).withMetadata("at", {"caudal.event_time": True})
    return frame, tumble(frame, "1 hour", by=["pickup"]).agg(pickups="count", usd="avg")


@pytest.fixture(scope="module")
def on_spark(spark: SparkSession, trips: pd.DataFrame) -> Frames:
    """Return the trips and the hours in Spark, computed once."""
    frame, hours = frames_on(spark, trips)
    return frame.cache(), hours.cache()


@pytest.fixture
def frames(request: pytest.FixtureRequest, each_session: SparkSession, trips: pd.DataFrame) -> Frames:
    """Return the trips and the hours in each engine."""
    return frames_on(each_session, trips) if is_connected(each_session) else request.getfixturevalue("on_spark")


def computed(name: str, frames: Frames, trips: pd.DataFrame) -> tuple[DataFrame, pd.DataFrame, list[str]] | None:
    """Return what a case makes, what pandas makes, and the key; None where Sail is not used, which is looked at."""
    if not is_connected(frames[0].sparkSession) or name not in REFUSED_ON_SAIL:
        made, expected, key = CASES[name](*frames, trips)
        return as_auto_computes(made), expected, key
    with pytest.raises(EngineLacks, match=REFUSED_ON_SAIL[name]):
        as_auto_computes(CASES[name](*frames, trips)[0])
    return None


def test_every_feature_has_a_case() -> None:
    assert {name.partition(" ")[0] for name in CASES} == set(FEATURES)


@pytest.mark.slow
@on_each
@pytest.mark.parametrize("name", CASES)
def test_a_feature_gives_what_pandas_gives(name: str, frames: Frames, trips: pd.DataFrame) -> None:
    case = computed(name, frames, trips)
    if case is None:
        return
    made, expected, key = case
    found = made.toPandas().sort_values(key).reset_index(drop=True)
    expected = expected.sort_values(key).reset_index(drop=True)
    assert sorted(found.columns) == sorted(expected.columns)
    added = [column for column in found.columns if column not in trips.columns]
    assert found[added].notna().any().all(), "a column without a value tells nothing"
    apart = APART.get(name, 1e-12)
    pd.testing.assert_frame_equal(found, expected[list(found.columns)], check_dtype=False, rtol=apart, atol=apart)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(APART))
def test_a_feature_of_long_sums_is_the_same_however_rows_lie(name: str, on_spark: Frames, trips: pd.DataFrame) -> None:
    frame, hours = on_spark
    one, _, key = CASES[name](frame, hours, trips)
    two, _, _ = CASES[name](frame.repartition(5, "usd"), hours, trips)
    first, second = (made.toPandas().sort_values(key).reset_index(drop=True) for made in (one, two))
    pd.testing.assert_frame_equal(first, second[list(first.columns)], rtol=APART[name], atol=APART[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CASES) - set(APART)))
def test_a_feature_is_the_same_to_the_bit_however_rows_lie(name: str, on_spark: Frames, trips: pd.DataFrame) -> None:
    frame, hours = on_spark
    one, _, _ = CASES[name](frame, hours, trips.head(1))
    two, _, _ = CASES[name](frame.repartition(5, "usd"), hours.repartition(3, "usd"), trips.head(1))
    assert rows_to_the_bit(one) == rows_to_the_bit(two)


@pytest.mark.slow
@on_sail_alone
@pytest.mark.parametrize("name", sorted(set(CASES) - set(REFUSED_ON_SAIL)))
def test_sail_gives_sparks_rows_to_the_bit(name: str, frames: Frames, on_spark: Frames, trips: pd.DataFrame) -> None:
    rows = rows_to_the_bit(as_auto_computes(CASES[name](*frames, trips.head(1))[0]))
    with CLASSIC.speaking():
        assert rows == rows_to_the_bit(CASES[name](*on_spark, trips.head(1))[0])
