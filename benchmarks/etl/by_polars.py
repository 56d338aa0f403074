"""The same tables by Polars: read, compute, write. Nothing is landed, checked, set aside, counted or remembered.

Polars has no SHA-1: the key of a trip is its own hash of the same columns, which is a number.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

KEY = ("vendor_id", "pickup_at", "dropoff_at", "pickup_zone_id", "dropoff_zone_id", "miles", "fare_usd", "total_usd")
COLUMNS = {
    "VendorID": "vendor_id", "lpep_pickup_datetime": "pickup_at", "lpep_dropoff_datetime": "dropoff_at", "store_and_fwd_flag": "store_and_forward",
    "RatecodeID": "rate_code", "PULocationID": "pickup_zone_id", "DOLocationID": "dropoff_zone_id", "passenger_count": "passengers",
    "trip_distance": "miles", "fare_amount": "fare_usd", "extra": "extra_usd", "mta_tax": "mta_tax_usd", "tip_amount": "tip_usd",
    "tolls_amount": "tolls_usd", "ehail_fee": "ehail_fee_usd", "improvement_surcharge": "improvement_surcharge_usd", "total_amount": "total_usd",
    "payment_type": "payment_type", "trip_type": "trip_type", "congestion_surcharge": "congestion_surcharge_usd",
}  # fmt: skip


def main(data: Path, out: Path) -> None:
    """Write trips_raw, zones, trips and pickups_hour below ``out``, by day where the product does."""
    raw = pl.scan_parquet(sorted(data.glob("green_*.parquet")), include_file_paths="_file")
    raw = raw.select(
        *(pl.col(name).alias(to) for name, to in COLUMNS.items()), "_file", pl.col("lpep_pickup_datetime").dt.date().alias("_day")
    )
    raw.collect().write_parquet(out / "trips_raw", partition_by="_day", mkdir=True)
    zones = pl.read_csv(data / "taxi_zone_lookup.csv").rename({"LocationID": "zone_id", "Borough": "borough", "Zone": "zone"})
    zones.write_parquet(out / "zones.parquet")

    def named(end: str) -> pl.LazyFrame:
        return zones.lazy().select(
            pl.col("zone_id").alias(f"{end}_zone_id"),
            pl.col("zone").alias(f"{end}_zone"),
            pl.col("borough").alias(f"{end}_borough"),
        )

    trips = (
        pl.scan_parquet(out / "trips_raw" / "**" / "*.parquet", hive_partitioning=True)
        .with_columns(
            pl.struct(KEY).hash(seed=0).alias("trip_id"),
            ((pl.col("dropoff_at") - pl.col("pickup_at")).dt.total_seconds() / 60).alias("duration_min"),
        )
        .join(named("pickup"), on="pickup_zone_id", how="left")
        .join(named("dropoff"), on="dropoff_zone_id", how="left")
        .select(
            "trip_id", "pickup_at", "dropoff_at", "duration_min", "vendor_id", "passengers", "miles", "fare_usd", "tip_usd", "total_usd",
            "payment_type", "trip_type", "pickup_zone_id", "pickup_zone", "pickup_borough", "dropoff_zone_id", "dropoff_zone", "dropoff_borough",
            "_file", "_day",
        )
    )  # fmt: skip
    trips.collect().write_parquet(out / "trips", partition_by="_day", mkdir=True)
    hours = (
        pl.scan_parquet(out / "trips" / "**" / "*.parquet", hive_partitioning=True)
        .group_by(pl.col("pickup_at").dt.truncate("1h").alias("window_start"), "pickup_zone_id", "pickup_zone")
        .agg(pl.len().alias("pickups"), pl.col("fare_usd").mean(), pl.col("duration_min").mean())
        .with_columns(pl.col("window_start").dt.date().alias("_day"))
        .collect()
    )
    hours.write_parquet(out / "pickups_hour", partition_by="_day", mkdir=True)
    print(len(hours))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
