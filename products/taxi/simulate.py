"""Raw taxi files as the official ones look, with faults planted in known amounts.

``write`` puts monthly Parquet files, one late CSV file, the zone table and ``truth.json`` into a folder. Columns and types are those
of the green taxi files of the NYC Taxi and Limousine Commission (2023). Every row is either plausible, within ``LIMITS``, or carries
exactly one planted fault, so that a test can compare what was quarantined with ``truth.json`` to the row.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

TZ = ZoneInfo("America/New_York")
BOROUGHS = ("Manhattan", "Brooklyn", "Queens", "Bronx", "Staten Island")
ZONES = 60
UNKNOWN_ZONE = 999  # planted: no such zone

# What every plausible trip keeps; a planted fault breaks exactly one of them.
LIMITS = {"trip_distance": (0.1, 60.0), "fare_amount": (2.5, 300.0), "duration_min": (1.0, 180.0)}

# Planted faults as shares of the trips, of the size seen in January 2023.
FAULTS = {
    "duplicate": 0.003,  # the same row again
    "negative_fare": 0.0025,  # a refund booked as a trip
    "far": 0.0005,  # distances of 500 to 120,000 miles
    "zero_distance": 0.004,
    "no_duration": 0.001,  # drop-off at or before pick-up
    "long_duration": 0.002,  # the meter ran on for 4 to 24 hours
    "old_pickup": 0.0002,  # a clock that was reset to 2009
    "unknown_zone": 0.0005,
}
NULLS = 0.063  # trips of which the vendor sent no passenger count, rate code, payment type, trip type and surcharge: not a fault
LATE = 0.01  # trips that come in the late CSV file
# Planted in the late file, as shares of its rows.
FORMAT_FAULTS = {"bad_time": 0.03, "bad_number": 0.03, "short_row": 0.02, "long_row": 0.02}
# Noise: standard deviations of the logarithm, around what distance and street speed say.
NOISE = {"distance": 0.10, "speed": 0.18, "day": 0.06}

# Share of trips by hour and by weekday (Monday first), and relative speed by hour: January 2023.
_HOURS = np.array([
    1.66, 1.31, 0.97, 0.88, 0.66, 0.63, 1.46, 3.88, 4.72, 5.16, 5.33, 5.48, 5.58, 5.88, 6.47, 7.48, 7.65, 7.66, 7.68, 6.19, 4.74, 3.54, 2.80, 2.20,
])  # fmt: skip
_WEEKDAYS = np.array([0.98, 1.05, 1.03, 1.05, 1.04, 0.93, 0.90])
_SPEED_MPH = np.array([15, 16, 17, 17, 18, 18, 15, 12, 10.5, 10.5, 11, 11, 11, 10.8, 10, 9.5, 9.4, 9.3, 9.8, 11, 12, 13, 13.5, 14])

Truth = dict[str, Any]
Array = np.ndarray[Any, np.dtype[Any]]


def write(folder: Path, seed: int = 0, days: int = 59, rows: int = 60_000, start: str = "2024-01-01") -> Truth:
    """Write trips, zones and ``truth.json`` and return the truth.

    Parameters
    ----------
    days : int, days from ``start`` on, New York wall time
    rows : int, plausible and faulty trips together, without the duplicates
    """
    folder = Path(folder)
    zones(folder, seed)
    truth = trips(folder, seed, days, rows, start)
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n")
    return truth


def zones(folder: Path, seed: int = 0) -> None:
    """Write ``taxi_zone_lookup.csv``: 60 zones of five boroughs, with made-up names."""
    from faker import Faker

    fake = Faker("en_US")
    fake.seed_instance(seed)
    borough, _, _ = _map()
    lines = ['"LocationID","Borough","Zone","service_zone"']
    for zone in range(ZONES):
        name = f"{fake.unique.last_name()} {('Heights', 'Park', 'Hill', 'Point', 'Square', 'Village')[zone % 6]}"
        served = "Yellow Zone" if borough[zone] == 0 and zone % 2 else "Boro Zone"
        lines.append(f'{zone + 1},"{BOROUGHS[borough[zone]]}","{name}","{served}"')
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "taxi_zone_lookup.csv").write_text("\n".join(lines) + "\n")


def trips(folder: Path, seed: int = 0, days: int = 59, rows: int = 60_000, start: str = "2024-01-01") -> Truth:
    """Write ``green_tripdata_YYYY-MM.parquet`` for each month and ``green_tripdata_YYYY-MM_late.csv``, and return what was planted."""
    random = np.random.default_rng(seed)
    first = date.fromisoformat(start)
    trip = _plausible(random, first, days, rows)
    month = trip["lpep_pickup_datetime"].astype("datetime64[M]")
    late = np.zeros(rows, dtype=bool)
    late[random.permutation(rows)[: round(rows * LATE)]] = True
    planted, sound = _plant(random, trip, ~late)
    again = random.permutation(np.flatnonzero(sound))[: round(rows * FAULTS["duplicate"])]
    planted["duplicate"] = len(again)

    files: dict[str, int] = {}
    for one in np.unique(month):
        here = np.flatnonzero((month == one) & ~late)
        here = np.sort(np.concatenate([here, again[month[again] == one]]))
        name = f"green_tripdata_{one}.parquet"
        pq.write_table(_table({column: values[here] for column, values in trip.items()}), folder / name)
        files[name] = len(here)
    name = f"green_tripdata_{month.max()}_late.csv"
    rows_late, format_faults = _late_csv(random, {column: values[late] for column, values in trip.items()}, folder / name)
    files[name] = rows_late
    missing = np.isnan(trip["passenger_count"])
    return {
        "seed": seed,
        "start": start,
        "days": days,
        "rows": sum(files.values()),
        "files": files,
        "plausible": sum(files.values()) - sum(planted.values()) - sum(format_faults.values()),
        "planted": planted,
        "format_faults": format_faults,
        "nulls": int(missing.sum() + missing[again].sum()),
        "noise": NOISE,
        "limits": LIMITS,
    }


def _map() -> tuple[Array, Array, Array]:
    """Return borough [60], position [60, 2] in miles and popularity [60] of the zones: one city, whatever the seed."""
    random = np.random.default_rng(2016)
    borough = np.repeat(np.arange(5), ZONES // 5)
    centre = np.array([[0.0, 3.0], [3.0, -4.0], [7.0, 1.0], [2.0, 9.0], [-7.0, -8.0]])
    place = centre[borough] + random.normal(0, 1.8, (ZONES, 2))
    popular = random.gamma(0.9, 1.0, ZONES) * np.array([2.0, 1.2, 1.0, 0.6, 0.1])[borough]
    return borough, place, popular / popular.sum()


def _plausible(random: np.random.Generator, first: date, days: int, rows: int) -> dict[str, Array]:
    """Return trips by column, sorted by pick-up: distance, duration and fare follow from places, streets and the clock."""
    pickup = _pickups(random, first, days, rows)
    hour = (pickup.astype("datetime64[h]") - pickup.astype("datetime64[D]")).astype(int)
    weekday = (pickup.astype("datetime64[D]").astype(int) + 3) % 7  # 1970-01-01 was a Thursday
    weekend, rush = weekday >= 5, (weekday < 5) & (hour >= 16) & (hour < 20)

    borough, place, popular = _map()
    origin = random.choice(ZONES, rows, p=popular)
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    gravity = popular * np.exp(-apart / 2.2)
    reach = np.cumsum(gravity / gravity.sum(1, keepdims=True), axis=1)
    target = np.minimum((reach[origin] < random.random((rows, 1))).sum(1), ZONES - 1)
    straight = np.where(origin == target, random.uniform(0.4, 1.2, rows), apart[origin, target])
    distance: Array = 1.3 * straight * np.exp(random.normal(0, NOISE["distance"], rows))
    distance = np.round(np.clip(distance + 0.3, *LIMITS["trip_distance"]), 2)

    speed: Array = _SPEED_MPH[hour] * np.where(weekend, 1.15, 1.0) * (0.75 + 0.12 * np.log1p(distance))
    speed = speed * np.where(borough[origin] == 0, 0.85, 1.0) * np.exp(random.normal(0, NOISE["speed"], rows))
    duration_s = np.clip(90 + 3600 * distance / speed, 65, 10_000).astype(int)

    fare = np.clip(np.round(3.0 + 2.6 * distance + 0.45 * duration_s / 60, 1), 3.0, 290.0)
    extra = np.where(rush, 2.5, np.where((hour >= 20) | (hour < 6), 1.0, 0.0))
    paid_by_card = random.random(rows) < 0.64
    tip = np.where(paid_by_card, np.round(fare * np.clip(random.normal(0.18, 0.06, rows), 0, 0.5), 2), 0.0)
    tolls = np.where((borough[origin] != borough[target]) & (random.random(rows) < 0.15), 6.94, 0.0)
    congestion = np.where((borough[origin] == 0) | (borough[target] == 0), 2.75, 0.0)
    missing = random.random(rows) < NULLS

    def sent(values: Array) -> Array:
        return np.where(missing, np.nan, values)

    return {
        "VendorID": np.where(random.random(rows) < 0.86, 2, 1),
        "lpep_pickup_datetime": pickup,
        "lpep_dropoff_datetime": pickup + duration_s.astype("timedelta64[s]"),
        "store_and_fwd_flag": np.where(missing, np.array(None), np.where(random.random(rows) < 0.005, "Y", "N")),
        "RatecodeID": sent(np.ones(rows)),
        "PULocationID": origin + 1,
        "DOLocationID": target + 1,
        "passenger_count": sent(random.choice([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], rows, p=[0.85, 0.08, 0.02, 0.01, 0.025, 0.015])),
        "trip_distance": distance,
        "fare_amount": fare,
        "extra": extra,
        "mta_tax": np.full(rows, 0.5),
        "tip_amount": tip,
        "tolls_amount": tolls,
        "ehail_fee": np.full(rows, np.nan),
        "improvement_surcharge": np.ones(rows),
        "total_amount": np.round(fare + extra + 0.5 + tip + tolls + 1.0 + congestion, 2),
        "payment_type": sent(np.where(paid_by_card, 1.0, 2.0)),
        "trip_type": sent(np.ones(rows)),
        "congestion_surcharge": sent(congestion),
    }


def _pickups(random: np.random.Generator, first: date, days: int, rows: int) -> Array:
    """Return sorted wall times to the second, by hour of the day, weekday and a chance for each day."""
    each_day = np.exp(random.normal(0, NOISE["day"], days))
    weights = np.array([
        each_day[day] * _WEEKDAYS[(first + timedelta(day)).weekday()] * _HOURS[hour] * _exists(first + timedelta(day), hour)
        for day in range(days)
        for hour in range(24)
    ])  # fmt: skip
    slot = random.choice(len(weights), rows, p=weights / weights.sum())
    return np.datetime64(first, "s") + np.sort(slot * 3600 + random.integers(0, 3600, rows)).astype("timedelta64[s]")


def _exists(day: date, hour: int) -> bool:
    """Return False for the hour that is skipped when summer time begins."""
    wall = datetime(day.year, day.month, day.day, hour, tzinfo=TZ)
    return wall.astimezone(ZoneInfo("UTC")).astimezone(TZ).hour == hour


def _plant(random: np.random.Generator, trip: dict[str, Array], where: Array) -> tuple[dict[str, int], Array]:
    """Plant one fault in each of some trips, and return the counts and which of the trips in ``where`` stayed sound."""
    rows = len(where)
    free = random.permutation(np.flatnonzero(where))
    planted, sound = {}, where.copy()
    for fault, share in FAULTS.items():
        if fault == "duplicate":
            continue
        these, free = np.split(free, [round(rows * share)])
        planted[fault], sound[these] = len(these), False
        if fault == "negative_fare":
            for column in ("fare_amount", "total_amount"):
                trip[column][these] *= -1
        elif fault == "far":
            trip["trip_distance"][these] = np.round(np.exp(random.uniform(np.log(500), np.log(120_000), len(these))), 2)
        elif fault == "zero_distance":
            trip["trip_distance"][these] = 0.0
        elif fault == "no_duration":
            back = random.integers(0, 600, len(these)).astype("timedelta64[s]")
            trip["lpep_dropoff_datetime"][these] = trip["lpep_pickup_datetime"][these] - back
        elif fault == "long_duration":
            long = random.integers(4 * 3600, 24 * 3600, len(these)).astype("timedelta64[s]")
            trip["lpep_dropoff_datetime"][these] = trip["lpep_pickup_datetime"][these] + long
        elif fault == "old_pickup":
            lasted = trip["lpep_dropoff_datetime"][these] - trip["lpep_pickup_datetime"][these]
            trip["lpep_pickup_datetime"][these] = np.datetime64("2009-01-01T00:00:00") + random.integers(
                0, 86_400, len(these)
            ).astype("timedelta64[s]")
            trip["lpep_dropoff_datetime"][these] = trip["lpep_pickup_datetime"][these] + lasted
        elif fault == "unknown_zone":
            trip["PULocationID"][these] = UNKNOWN_ZONE
    return planted, sound


def _table(trip: dict[str, Array]) -> pa.Table:
    """Return trips with the official types: microseconds without a zone, and the fee that is always null."""
    made = {}
    for column, values in trip.items():
        if column == "ehail_fee":
            made[column] = pa.nulls(len(values))
        elif values.dtype.kind == "M":
            made[column] = pa.array(values.astype("datetime64[us]"))
        elif values.dtype.kind == "f":
            made[column] = pa.array(values, from_pandas=True)
        else:
            made[column] = pa.array(values.tolist() if values.dtype.kind == "O" else values)
    return pa.table(made)


def _late_csv(random: np.random.Generator, trip: dict[str, Array], path: Path) -> tuple[int, dict[str, int]]:
    """Write trips as CSV, some of them broken, and return how many rows and how many of each break."""
    table = _table(trip)
    times = [table.schema.get_field_index(column) for column in ("lpep_pickup_datetime", "lpep_dropoff_datetime")]
    for at in times:  # to the second, as the Parquet files' times print
        table = table.set_column(at, table.column_names[at], table.column(at).cast(pa.timestamp("s")))
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(table, sink)
    lines = sink.getvalue().to_pybytes().decode().splitlines()
    free = random.permutation(np.arange(1, len(lines)))
    distance = table.column_names.index("trip_distance")
    planted = {}
    for fault, share in FORMAT_FAULTS.items():
        these, free = np.split(free, [round((len(lines) - 1) * share)])
        planted[fault] = len(these)
        for line in these:
            fields = lines[line].split(",")
            if fault == "bad_time":
                fields[times[0]] = f"2024-02-{random.integers(31, 99)} {random.integers(25, 99)}:00:00"
            elif fault == "bad_number":
                fields[distance] = f"{fields[distance]} miles"
            elif fault == "short_row":
                fields = fields[: int(random.integers(2, len(fields)))]
            elif fault == "long_row":
                fields.append("0")
            lines[line] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n")
    return len(lines) - 1, planted
