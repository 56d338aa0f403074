"""The taxi product on the city's own files, half a month and then twelve days more, against an independent computation in DuckDB on the same files."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests import here

from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow(minutes=3), pytest.mark.timeout(1800)]
PRODUCT = Path(__file__).parents[2] / "products" / "taxi"
# The product with smaller candidates: what is asked of them holds as well, and they take the half of a run's time.
SMALLER = {"n_estimators=60": "n_estimators=10", "max_iter=200": "max_iter=60", "max_iter=120": "max_iter=40", "folds=3": "folds=2"}
MONTHS = ("green_tripdata_2023-01.parquet", "green_tripdata_2020-04.parquet")
FIRST_HALF_ENDS = dt.datetime(2023, 1, 17)
TWELVE_DAYS_END = dt.datetime(2020, 4, 13)


def caudal(*arguments):
    """Run the command line and return its JSON document."""
    done = here.run(
        [sys.executable, "-m", "caudal", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "CAUDAL_MEMORY": "2g"},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def taxi(tmp_path_factory, shared_data, compiled):
    """The home after half of January, its document; then after twelve days of April 2020 more, and that document."""
    place = tmp_path_factory.mktemp("taxi")
    data = place / "data"
    data.mkdir()
    product = place / "product"
    product.mkdir()
    text = (PRODUCT / "product.py").read_text()
    for old, new in SMALLER.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (product / "product.py").write_text(text)
    shutil.copy(shared_data / "green_taxi" / "taxi_zone_lookup.csv", data)
    january = pq.read_table(shared_data / "green_taxi" / MONTHS[0])
    pq.write_table(january.filter(pc.field("lpep_pickup_datetime") < FIRST_HALF_ENDS), data / MONTHS[0])
    first = caudal("run", product, "--data", data, "--home", place / "home")
    again = caudal("run", product, "--data", data, "--home", place / "home")
    april = pq.read_table(shared_data / "green_taxi" / MONTHS[1])
    pq.write_table(april.filter(pc.field("lpep_pickup_datetime") < TWELVE_DAYS_END), data / MONTHS[1])
    second = caudal("run", product, "--data", data, "--home", place / "home")
    return {"home": Home(place / "home"), "data": data, "first": first, "again": again, "second": second}


@pytest.fixture(scope="module")
def db(taxi):
    """A DuckDB that holds the raw files, the cleaned trips by rules written down a second time, and caudal's tables (``c_…``)."""
    base = duckdb.connect()
    base.execute(f"CREATE VIEW raw AS SELECT * FROM read_parquet('{taxi['data']}/green_*.parquet', union_by_name = true)")
    base.execute(f"CREATE VIEW zones AS SELECT * FROM read_csv('{taxi['data']}/taxi_zone_lookup.csv', header = true)")
    base.execute("""
        CREATE TABLE judged AS
        WITH t AS (
            SELECT lpep_pickup_datetime AS pickup_at, lpep_dropoff_datetime AS dropoff_at, PULocationID AS pickup_zone_id,
                DOLocationID AS dropoff_zone_id, VendorID AS vendor_id, trip_distance AS miles, fare_amount AS fare_usd,
                total_amount AS total_usd, passenger_count AS passengers,
                date_diff('second', lpep_pickup_datetime, lpep_dropoff_datetime) / 60.0 AS duration_min
            FROM raw
        )
        SELECT t.*, p.Borough AS pickup_borough, p.Zone AS pickup_zone,
            row_number() OVER (PARTITION BY vendor_id, pickup_at, dropoff_at, pickup_zone_id, dropoff_zone_id, miles, fare_usd, total_usd) > 1 AS twice,
            pickup_at NOT BETWEEN '2013-08-01' AND '2035-01-01' AS wrong_year,
            duration_min NOT BETWEEN 0.5 AND 180 AS wrong_duration, miles NOT BETWEEN 0.01 AND 100 AS wrong_miles,
            fare_usd NOT BETWEEN 0.01 AND 500 AS wrong_fare, p.LocationID IS NULL AS wrong_zone
        FROM t LEFT JOIN zones p ON p.LocationID = t.pickup_zone_id
    """)
    base.execute(
        "CREATE VIEW trips AS SELECT * FROM judged WHERE NOT (twice OR wrong_year OR wrong_duration OR wrong_miles OR wrong_fare OR wrong_zone)"
    )
    names = [
        "trips_raw",
        "trips",
        "pickups_quarter_hour",
        "pickups_hour",
        "pickups_day",
        "busiest_zones",
        "trip_start",
        "demand",
        "duration_predictions",
    ]
    for name in names:
        base.register(f"c_{name}", arrow(delta.read_version(taxi["home"].table("taxi", name))))
    return base


def same(db, ours, theirs):
    """Two queries give the same rows, none more, none fewer."""
    missing = db.execute(f"({theirs}) EXCEPT ALL ({ours})").fetchall()
    extra = db.execute(f"({ours}) EXCEPT ALL ({theirs})").fetchall()
    assert (missing[:3], extra[:3]) == ([], [])


def close(db, ours, theirs, keys, figures):
    """Two queries give the same keys, and figures that differ by less than a millionth."""
    on = " AND ".join(f"a.{key} IS NOT DISTINCT FROM b.{key}" for key in keys)
    apart = " OR ".join(
        f"abs(a.{one} - b.{one}) > 1e-6 * greatest(1, abs(b.{one})) OR (a.{one} IS NULL) <> (b.{one} IS NULL)" for one in figures
    )
    wrong = db.execute(
        f"SELECT * FROM ({ours}) a FULL JOIN ({theirs}) b ON {on} WHERE a.{keys[0]} IS NULL OR b.{keys[0]} IS NULL OR {apart}"
    ).fetchall()
    assert wrong[:3] == []


def test_every_raw_row_is_somewhere_once(db, taxi):
    raw = db.execute("SELECT count(*) FROM raw").fetchone()[0]
    assert db.execute("SELECT count(*) FROM c_trips_raw").fetchone()[0] == raw
    quarantined = delta.read_version(taxi["home"].quarantine("taxi", "trips")).rows
    assert db.execute("SELECT count(*) FROM c_trips").fetchone()[0] + quarantined == raw


def test_raw_values_are_kept(db):
    columns = {
        "VendorID": "vendor_id",
        "lpep_pickup_datetime": "pickup_at",
        "PULocationID": "pickup_zone_id",
        "passenger_count": "passengers",
        "tip_amount": "tip_usd",
    }
    same(db, f"SELECT {', '.join(columns.values())} FROM c_trips_raw", f"SELECT {', '.join(columns)} FROM raw")


def test_cleaned_trips(db):
    columns = "pickup_at, dropoff_at, duration_min, pickup_zone_id, dropoff_zone_id, vendor_id, miles, fare_usd, total_usd, pickup_borough, pickup_zone"
    same(db, f"SELECT {columns} FROM c_trips", f"SELECT {columns} FROM trips")


def test_quarantine_by_reason(db, taxi):
    reasons = arrow(delta.read_version(taxi["home"].quarantine("taxi", "trips")), ["_reasons"]).column("_reasons").to_pylist()
    found = {
        kind: sum(any(one.startswith(kind) for one in row) for row in reasons)
        for kind in ("unique", "between(duration_min", "between(miles", "between(fare_usd", "between(pickup_at")
    }
    counted = db.execute(
        "SELECT sum(twice::int), sum(wrong_duration::int), sum(wrong_miles::int), sum(wrong_fare::int), sum(wrong_year::int) FROM judged"
    ).fetchone()
    assert tuple(found.values()) == tuple(int(one) for one in counted)


def test_quarter_hours_are_counted_and_filled(db):
    same(
        db,
        "SELECT pickup_zone_id, window_start, pickups FROM c_pickups_quarter_hour WHERE pickups > 0",
        "SELECT pickup_zone_id, time_bucket(INTERVAL 15 MINUTE, pickup_at), count(*) FROM trips GROUP BY ALL",
    )
    assert (
        db.execute("SELECT count(*) FROM c_pickups_quarter_hour").fetchone()[0]
        == 96 * db.execute("SELECT count(*) FROM (SELECT DISTINCT pickup_zone_id, pickup_at::date FROM trips)").fetchone()[0]
    )


def test_hours_and_days(db):
    close(
        db,
        "SELECT pickup_zone_id, window_start, pickups, fare_usd, duration_min FROM c_pickups_hour",
        """SELECT pickup_zone_id, date_trunc('hour', pickup_at) AS window_start, count(*) AS pickups, avg(fare_usd) AS fare_usd,
           avg(duration_min) AS duration_min FROM trips GROUP BY 1, 2""",
        ["pickup_zone_id", "window_start"],
        ["pickups", "fare_usd", "duration_min"],
    )
    close(
        db,
        "SELECT pickup_borough, window_start::date AS day, pickups, takings_usd, miles FROM c_pickups_day",
        """SELECT pickup_borough, pickup_at::date AS day, count(*) AS pickups, sum(total_usd) AS takings_usd, sum(miles) AS miles
           FROM trips GROUP BY 1, 2""",
        ["pickup_borough", "day"],
        ["pickups", "takings_usd", "miles"],
    )


def test_the_table_written_in_sql(db):
    same(
        db,
        "SELECT pickup_day, pickup_zone, pickups, place FROM c_busiest_zones",
        """SELECT * FROM (SELECT pickup_at::date AS d, pickup_zone, count(*) AS n, rank() OVER (PARTITION BY pickup_at::date ORDER BY count(*) DESC, pickup_zone) AS place
           FROM trips GROUP BY 1, 2) WHERE place <= 10""",
    )


def test_demand_looks_back_by_time(db):
    same(
        db,
        "SELECT pickup_zone_id, window_start, pickups_lag_1, pickups_lag_96 FROM c_demand",
        """SELECT q.pickup_zone_id, q.window_start, a.pickups, b.pickups FROM c_pickups_quarter_hour q
           LEFT JOIN c_pickups_quarter_hour a ON a.pickup_zone_id = q.pickup_zone_id AND a.window_start = q.window_start - INTERVAL 15 MINUTE
           LEFT JOIN c_pickups_quarter_hour b ON b.pickup_zone_id = q.pickup_zone_id AND b.window_start = q.window_start - INTERVAL 1 DAY""",
    )


def test_past_durations_know_only_trips_that_had_ended(db):
    close(
        db,
        "SELECT trip_id, pair_duration_min AS mean FROM c_trip_start WHERE pickup_zone_id IN ('74', '75')",
        """SELECT t.trip_id, avg(p.duration_min) AS mean FROM c_trips t LEFT JOIN c_trips p
           ON p.pickup_zone_id = t.pickup_zone_id AND p.dropoff_zone_id = t.dropoff_zone_id
           AND p.dropoff_at < t.pickup_at AND p.pickup_at >= t.pickup_at - INTERVAL 14 DAY
           WHERE t.pickup_zone_id IN (74, 75) GROUP BY t.trip_id""",
        ["trip_id"],
        ["mean"],
    )


def test_days_more_cost_work_for_those_days_only(taxi):
    first, second = taxi["first"]["tables"], taxi["second"]["tables"]
    assert second["trips_raw"]["rows_written"] == 13_831
    assert second["trips"]["rows_read"] < 14_700  # April, and the zones
    for name in ("trips", "pickups_quarter_hour", "pickups_hour", "pickups_day", "busiest_zones"):
        assert second[name]["partitions_written"] <= 16, name  # April, and the stray days that April's file brings
        assert second[name]["partitions_written"] + first[name]["partitions_written"] >= 26, name
    assert second["trip_start"]["partitions_written"] <= 30  # and the 14 days that look back on April


def test_nothing_new_is_no_work(taxi):
    assert {step["state"] for step in taxi["again"]["steps"]} == {"skipped"}
    assert all(table["rows_written"] == 0 for table in taxi["again"]["tables"].values())


def test_trip_duration_beats_linear_regression_on_the_same_split(taxi):
    scores = {one["candidate"]: one["score"] for one in taxi["first"]["models"]["duration"]["candidates"]}
    chosen = next(one for one in taxi["first"]["models"]["duration"]["candidates"] if one["chosen"])
    assert len(scores) >= 4
    assert chosen["score"] < scores["linear"]
    assert chosen["score"] < scores["baseline"]
    assert taxi["first"]["models"]["duration"]["decision"] == "promoted"


def test_predictions_are_of_every_trip_by_the_champion(db, taxi):
    assert (
        db.execute("SELECT count(*), count(DISTINCT trip_id), count(prediction) FROM c_duration_predictions").fetchone()
        == (db.execute("SELECT count(*) FROM c_trips").fetchone()[0],) * 3
    )
    with_home = taxi["home"].ledger()
    champion = with_home.champion("taxi", "duration")
    with_home.close()
    assert db.execute("SELECT DISTINCT model_version FROM c_duration_predictions").fetchall() == [(champion["version"],)]
