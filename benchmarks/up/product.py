"""Counts dropped as files: rows, and sums by day."""

from __future__ import annotations

from pyspark.sql import DataFrame, functions as F

import caudal as cd
from caudal import expect as ex

COUNTS = cd.schema(
    at=cd.column("timestamp", nullable=False), writer=cd.column("long"), file=cd.column("long"), row=cd.column("long")
)

product = cd.Product("dropped", tz="UTC")
product.source(
    "counts",
    cd.files("in/*.csv", required=False),
    schema=COUNTS,
    event_time="at",
    partition="day",
    trigger=cd.on_arrival(),
    retry=2,
)


@product.table(event_time="at", partition="day", expect=[ex.unique("writer", "file", "row").quarantine()], retry=2)
def rows(counts: DataFrame) -> DataFrame:
    """Every row; one that came twice would be set aside."""
    return counts


@product.table(event_time="day_start", partition="day", retry=2)
def days(rows: DataFrame) -> DataFrame:
    """Rows and files of each day."""
    day = F.date_trunc("day", "at").cast("timestamp_ntz").alias("day_start")
    return rows.groupBy(day).agg(F.count("*").alias("rows"), F.countDistinct("writer", "file").alias("files"))
