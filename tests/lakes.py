"""Tables of a lake, written without Spark."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Schema

from caudal.lake import delta


def write(folder: Path, table: pa.Table, day: str | None = None, *, replace: Any = "all", at: float = 0.0) -> delta.Version:
    """Commit a table's next version, as a step would; ``day`` names the column whose days are the partitions."""
    stage = folder / f"part-{uuid.uuid4().hex[:8]}"
    days = sorted({str(one)[:10] if one is not None else None for one in table.column(day).to_pylist()}, key=str) if day else [None]
    files = []
    for one in days:
        place = stage / (f"{delta.DAY}={one or delta.NO_DAY}" if day else "all")
        place.mkdir(parents=True)
        kept = [(str(of)[:10] if of is not None else None) == one for of in table.column(day).to_pylist()] if day else None
        pq.write_table(table.filter(pa.array(kept)) if kept is not None else table, place / "rows.parquet")
    files = delta.staged(folder, stage)
    schema = json.loads(Schema.from_arrow(table.schema).to_json())
    if day:
        schema["fields"].append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    version = delta.commit(folder, files, schema, partitioned=bool(day), replace=replace, identity={"at": at})
    return delta.read(folder, version)
