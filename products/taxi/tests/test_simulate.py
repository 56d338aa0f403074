"""The simulated files: of the official types, the same for the same seed, and with exactly the faults that ``truth.json`` names."""

from __future__ import annotations

import importlib.util
import json
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def simulate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("taxi_simulate", Path(__file__).parent.parent / "simulate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(simulate: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("simulated")
    simulate.write(made, seed=7, days=45, rows=20_000, start="2024-02-20")  # across the beginning of summer time
    return made


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth.json").read_text()))


@pytest.fixture(scope="module")
def trips(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("green_*.parquet"))], ignore_index=True)


def test_columns_and_types_are_the_official_ones(folder: Path, shared_data: Path) -> None:
    official = pq.read_schema(shared_data / "green_taxi" / "green_tripdata_2023-01.parquet")
    for path in folder.glob("green_*.parquet"):
        assert pq.read_schema(path).remove_metadata() == official.remove_metadata()


def test_every_planted_fault_is_there_and_no_other(trips: pd.DataFrame, truth: dict[str, Any]) -> None:
    minutes = (trips.lpep_dropoff_datetime - trips.lpep_pickup_datetime).dt.total_seconds() / 60
    limits = {name: tuple(pair) for name, pair in truth["limits"].items()}
    found = {
        "negative_fare": trips.fare_amount < 0,
        "far": trips.trip_distance > limits["trip_distance"][1],
        "zero_distance": trips.trip_distance == 0,
        "no_duration": minutes <= 0,
        "long_duration": minutes > limits["duration_min"][1],
        "old_pickup": trips.lpep_pickup_datetime < "2010-01-01",
        "unknown_zone": trips.PULocationID == 999,
        "duplicate": trips.duplicated(),
    }
    assert {fault: int(rows.sum()) for fault, rows in found.items()} == truth["planted"]
    sound = trips[sum(found.values()) == 0]
    assert sum(found.values()).max() == 1, "a row carries one fault only"
    assert sound.trip_distance.between(*limits["trip_distance"]).all()
    assert sound.fare_amount.between(*limits["fare_amount"]).all()
    assert minutes[sound.index].between(*limits["duration_min"]).all()


def test_rows_and_nulls_are_counted_as_they_are(folder: Path, truth: dict[str, Any]) -> None:
    assert truth["rows"] == sum(truth["files"].values())
    nulls = 0
    for name, rows in truth["files"].items():
        path = folder / name
        if path.suffix == ".csv":
            assert len(path.read_text().splitlines()) - 1 == rows
        else:
            table = pq.read_table(path)
            assert len(table) == rows
            nulls += table["passenger_count"].null_count
    assert truth["nulls"] - nulls <= truth["files"][max(truth["files"])] * 0.2, "the rest is in the late file"
    assert truth["nulls"] >= nulls


def test_no_trip_begins_in_the_hour_that_does_not_exist(trips: pd.DataFrame) -> None:
    at = trips.lpep_pickup_datetime
    assert not at.between("2024-03-10 02:00:00", "2024-03-10 02:59:59").any()
    assert at.dt.second.nunique() == 60


def test_demand_has_its_rush_hour_and_duration_follows_distance(trips: pd.DataFrame) -> None:
    by_hour = trips.lpep_pickup_datetime.dt.hour.value_counts()
    assert by_hour[17] > 4 * by_hour[4]
    minutes = (trips.lpep_dropoff_datetime - trips.lpep_pickup_datetime).dt.total_seconds() / 60
    plain = minutes.between(1, 180) & trips.trip_distance.between(0.1, 60)
    assert trips.trip_distance[plain].corr(minutes[plain]) > 0.8


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(simulate: ModuleType, folder: Path, tmp_path: Path) -> None:
    for seed in (7, 8):
        again = tmp_path / str(seed)
        again.mkdir()
        simulate.write(again, seed=seed, days=45, rows=20_000, start="2024-02-20")
        same = [path.read_bytes() == (again / path.name).read_bytes() for path in sorted(folder.iterdir())]
        assert all(same) if seed == 7 else not any(same)


def test_two_months_are_written_quickly(simulate: ModuleType, tmp_path: Path) -> None:
    began = time.process_time()
    simulate.write(tmp_path)
    assert time.process_time() - began < 3


@pytest.mark.slow
def test_the_reader_finds_exactly_the_planted_format_faults(
    spark: Any, folder: Path, truth: dict[str, Any], tmp_path: Path
) -> None:
    import hashlib

    from caudal.declarations.connection import files
    from caudal.declarations.node import Source
    from caudal.declarations.schema import schema
    from caudal.stages.ingest import RawFile, arrivals
    from caudal.stages.ingest.read import read_files

    source = Source(
        "trips_raw",
        files("green_*"),
        schema(
            lpep_pickup_datetime="timestamp", lpep_dropoff_datetime="timestamp", trip_distance="double", passenger_count="double"
        ),
    )
    landed = []
    for one in arrivals(source.connection, data=folder, scratch=tmp_path, landed={}):
        content = one.local.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        path = tmp_path / f"{sha256}{one.local.suffix}"
        path.write_bytes(content)
        landed.append(RawFile(path, sha256, one.name))
    frame = read_files(spark, landed, source).frame
    errors = frame.select("_format_errors").toArrow()["_format_errors"].to_pylist()
    assert len(errors) == truth["rows"]
    counted = Counter(reason for reasons in errors for reason in reasons or ())
    planted = truth["format_faults"]
    assert counted == {
        "lpep_pickup_datetime is not a time": planted["bad_time"],
        "trip_distance is not a number": planted["bad_number"],
        "row has too few or too many fields, or a quote that is not closed": planted["short_row"] + planted["long_row"],
    }
