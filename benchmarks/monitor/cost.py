"""What a monitor costs: its first step over many trips of a year (as `benchmarks.etl` makes them), and the next one after one new day."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import Schema

import caudal as cd
from benchmarks.etl import data
from caudal.batch.steps.monitor import work
from caudal.declarations.settings import Settings
from caudal.runtime.run_record import RunRecord
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.storage.parquet import WRITTEN
from caudal.tables.home import Home

COLUMNS = ("passenger_count", "trip_distance", "fare_amount", "tip_amount", "payment_type", "PULocationID")


def cost(rows: int) -> dict[str, float]:
    """Return seconds and processor seconds of the first step, which takes bins and counts all windows, and of the next."""
    with tempfile.TemporaryDirectory() as folder:
        written = data.write(Path(folder, "raw"), rows)
        product = cd.Product("cost")
        product.source("trips", cd.files("*.parquet"), event_time="lpep_pickup_datetime", partition="day")
        monitor = product.monitor("trips", columns=COLUMNS)
        home = Home(Path(folder, "home"))
        ledger = home.ledger()
        place = home.table("cost", "trips")
        for file in sorted(Path(folder, "raw").glob("*.parquet")):
            _publish(place, pq.read_table(file, columns=["lpep_pickup_datetime", *COLUMNS]), file.stem)
        figures: dict[str, float] = {"rows": written}
        for name in ("first", "next"):
            ws = Workspace.compose(product, home, Settings(home=home.path), RunRecord("cost", ledger, name))
            began, used = time.perf_counter(), time.process_time()
            done = work(ws, monitor)
            figures |= {
                f"{name}_s": round(time.perf_counter() - began, 2), f"{name}_cpu_s": round(time.process_time() - used, 2),
                f"{name}_rows": done.rows_read or 0,
            }  # fmt: skip
            if name == "first":
                last = delta.read_version(place)
                day = max(day for day in last.days if day)
                table = ds.dataset(last.paths({day}), format="parquet").to_table().slice(0, 1000)
                at = pc.add(table.column("lpep_pickup_datetime"), pa.scalar(np.timedelta64(86_400_000_000, "us")))
                _publish(
                    place, table.set_column(table.schema.get_field_index("lpep_pickup_datetime"), "lpep_pickup_datetime", at), "new"
                )
        ledger.close()
    return figures


def _publish(place: Path, table: pa.Table, name: str) -> None:
    stage = place / f"part-{name}"
    table = table.append_column(delta.DAY, pc.strftime(table.column("lpep_pickup_datetime"), format="%Y-%m-%d"))
    ds.write_dataset(
        table, stage, format="parquet", partitioning=ds.partitioning(pa.schema([(delta.DAY, pa.string())]), flavor="hive"),
        file_options=ds.ParquetFileFormat().make_write_options(**WRITTEN), max_partitions=1000,
    )  # fmt: skip
    schema = json.loads(Schema.from_arrow(table.drop_columns([delta.DAY]).schema).to_json())
    schema["fields"].append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    delta.commit(place, delta.staged(place, stage), schema, partitioned=True, replace="none", identity={"at": 0.0})
