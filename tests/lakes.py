"""Tables of a lake, written without Spark."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import Schema

from caudal.storage import delta


def write(folder: Path, table: pa.Table, day: str | None = None, *, replace: Any = "all", at: float = 0.0) -> delta.Version:
    """Commit a table's next version, as a step would; ``day`` names the column whose days are the partitions."""
    stage = folder / f"part-{uuid.uuid4().hex[:8]}"
    by_day = pc.strftime(table.column(day), format="%Y-%m-%d") if day else None
    for one in pc.unique(by_day).to_pylist() if by_day is not None else [None]:
        place = stage / (f"{delta.DAY}={one or delta.NO_DAY}" if day else "all")
        place.mkdir(parents=True)
        kept = None if by_day is None else pc.is_null(by_day) if one is None else pc.fill_null(pc.equal(by_day, one), False)
        pq.write_table(table if kept is None else table.filter(kept), place / "rows.parquet")
    files = delta.staged(folder, stage)
    schema = json.loads(Schema.from_arrow(table.schema).to_json())
    if day:
        schema["fields"].append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    version = delta.commit(folder, files, schema, partitioned=bool(day), replace=replace, identity={"at": at})
    return delta.read_version(folder, version)
