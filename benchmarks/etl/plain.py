"""The same tables by hand-written PySpark, on Spark or on Sail: read, compute, write. Nothing is landed, checked, set aside, counted or remembered."""

from __future__ import annotations

import sys
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, functions as F

from caudal.engine.choice import engines
from caudal.engine.marks import EVENT_TIME
from caudal.engine.protocol import SessionRequest
from caudal.graph.load import load


def main(data: Path, out: Path, name: str) -> None:
    """Write trips_raw, zones, trips and pickups_hour below ``out``, by day where the product does, on ``spark`` or on ``sail``."""
    (engine,) = engines(name)
    with engine.speaking():
        write_tables(engine.session(SessionRequest()), data, out)


def write_tables(spark: SparkSession, data: Path, out: Path) -> None:
    """Write the tables on a session."""
    product = load(Path(__file__).parent)
    schema = {field.raw_name: field for field in product.sources["trips_raw"].schema or ()}
    files = sorted(data.glob("green_*.parquet"))
    # Sail has no function for the file of a row.
    named = [spark.read.parquet(str(path)).withColumn("_file", F.lit(path.name)) for path in files]
    raw = reduce(lambda above, below: above.union(below), named)
    columns = [
        F.col(name).cast("timestamp_ntz" if field.type == "timestamp" else field.type).alias(field.name)
        for name, field in schema.items()
    ]
    by_day(
        raw.select(*columns, "_file", F.to_date("lpep_pickup_datetime").alias("_day")),
        out / "trips_raw",
    )
    zones = spark.read.option("header", True).csv(str(data / "taxi_zone_lookup.csv"))
    zones.select(
        F.col("LocationID").cast("long").alias("zone_id"),
        F.col("Borough").alias("borough"),
        F.col("Zone").alias("zone"),
        "service_zone",
    ).write.mode("overwrite").parquet(str(out / "zones"))
    trips = product.tables["trips"].function
    hours = product.tables["pickups_hour"].function
    assert trips is not None
    assert hours is not None
    made = trips(marked(again(spark, out / "trips_raw")), spark.read.parquet(str(out / "zones")))
    by_day(made.withColumn("_day", F.to_date("pickup_at")), out / "trips")
    counted = hours(marked(again(spark, out / "trips")))
    by_day(counted.withColumn("_day", F.to_date("window_start")), out / "pickups_hour")
    print({table: again(spark, out / table).count() for table in ("trips_raw", "trips", "pickups_hour")})


def by_day(frame: DataFrame, to: Path) -> None:
    """Write a frame partitioned by day."""
    frame.write.mode("overwrite").partitionBy("_day").parquet(str(to))


def again(spark: SparkSession, folder: Path) -> DataFrame:
    """Read a table back without its partition column."""
    return spark.read.parquet(str(folder)).drop("_day")


def marked(frame: DataFrame) -> DataFrame:
    """Mark the event time, as caudal does for windows."""
    return frame.withMetadata("pickup_at", {EVENT_TIME: True})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
