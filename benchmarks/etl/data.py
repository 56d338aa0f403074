"""Many trips out of the real ones: copies of January 2023, moved by months and seconds so that none repeats another."""

from __future__ import annotations

import calendar
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

REAL = Path(os.environ.get("CAUDAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "green_taxi"


def write(folder: Path, rows: int, months: int = 12) -> int:
    """Write ``months`` files of trips, ``rows`` in all, and the zones; returns the rows written."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(REAL / "taxi_zone_lookup.csv", folder)
    january = pq.read_table(REAL / "green_tripdata_2023-01.parquet")
    pickup = january.column("lpep_pickup_datetime")
    january = january.filter(
        pc.and_(
            pc.greater_equal(pickup, pa.scalar(np.datetime64("2023-01-01", "us"))),
            pc.less(pickup, pa.scalar(np.datetime64("2023-01-29", "us"))),
        )
    )
    per_month = -(-rows // months)
    written = 0
    for month in range(1, months + 1):
        offset = np.datetime64(f"2022-{month:02d}-01" if months <= 12 else "2022-01-01") - np.datetime64("2023-01-01")
        assert calendar.monthrange(2022, month)[1] >= 28
        parts = []
        left = min(per_month, rows - written)
        copy = 0
        while left > 0:
            part = january.slice(0, min(left, january.num_rows))
            shift = pa.scalar(offset.astype("timedelta64[us]") + np.timedelta64(copy, "s"))
            for name in ("lpep_pickup_datetime", "lpep_dropoff_datetime"):
                part = part.set_column(part.schema.get_field_index(name), name, pc.add(part.column(name), shift))
            parts.append(part)
            left -= part.num_rows
            copy += 1
        table = pa.concat_tables(parts)
        pq.write_table(table, folder / f"green_tripdata_2022-{month:02d}.parquet", row_group_size=250_000)
        written += table.num_rows
    return written
