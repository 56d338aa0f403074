"""Rows of a stream appended to a Delta table, once for each micro-batch however often it is tried."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from caudal.lake import delta

_SMALL_BYTES = 16 << 20
_MANY = 24  # small files of a day become one
_CHECKPOINT = 50  # commits; readers then need not read each of them


def upto(folder: Path) -> float:
    """Return the last micro-batch whose rows the table holds; -1 where it holds none."""
    number = delta.version_of(folder)
    return -1 if number is None else float(delta.identity(folder, number).get("upto", -1))


def append(
    folder: Path,
    rows: Sequence[pa.Table],
    files: Sequence[Path],
    *,
    moment: str,
    tz: str,
    partitioned: bool,
    identity: Mapping[str, Any],
    marks: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Publish rows (and files with such rows) as the table's next version; return its number.

    Parameters
    ----------
    moment : the column (UTC) whose day in ``tz`` is the partition, where the table has any
    identity : holds ``upto``, the last micro-batch that is in the rows
    marks : what is said of columns (`caudal.spark.marks`)
    """
    tables = [*rows, *(pq.read_table(file, partitioning=None) for file in files)]
    table = pa.concat_tables(tables)
    stage = folder / f"part-{identity['run_id']}-{identity['upto']}"
    written = _written(table, folder, stage, moment, tz, partitioned)
    version = delta.commit(
        folder, written, spark_schema(table.schema, partitioned, marks), partitioned=partitioned, replace="none", identity=identity
    )
    for file in files:
        file.unlink(missing_ok=True)
    if version % _CHECKPOINT == _CHECKPOINT - 1:
        delta.checkpoint(folder)
    return version


def compact(folder: Path, *, partitioned: bool, identity: Mapping[str, Any]) -> int:
    """Put the small files of a day into one, where there are many; return how many files went."""
    current = delta.read(folder)
    gone = 0
    days: dict[str | None, list[delta.DataFile]] = {}
    for file in current.files:
        if file.bytes < _SMALL_BYTES:
            days.setdefault(file.day, []).append(file)
    for day, small in days.items():
        if len(small) < _MANY:
            continue
        table = pa.concat_tables([pq.read_table(folder / file.path, partitioning=None) for file in small])
        place = folder / f"part-{identity['run_id']}-{identity['upto']}-compact"
        written = [_file(table, folder, place, day, partitioned)]
        schema = dict(current.schema)
        went = frozenset(file.path for file in small)
        delta.commit(folder, written, schema, partitioned=partitioned, replace=went, identity={**identity, "compacted": len(small)})
        gone += len(small)
    return gone


def spark_schema(schema: pa.Schema, partitioned: bool, marks: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return Spark's JSON of a schema of Arrow."""
    from pyspark.sql.pandas.types import from_arrow_schema

    said: dict[str, Any] = json.loads(from_arrow_schema(schema).json())
    for one in said["fields"]:
        one["metadata"] = dict((marks or {}).get(one["name"], {}))
    if partitioned:
        said["fields"].append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    return said


def _written(table: pa.Table, folder: Path, stage: Path, moment: str, tz: str, partitioned: bool) -> list[delta.DataFile]:
    if len(table) == 0:
        return []
    if not partitioned:
        return [_file(table, folder, stage, None, False)]
    days = pc.local_timestamp(table.column(moment).cast(pa.timestamp("us", tz))).cast(pa.date32())
    return [
        _file(table.filter(pc.equal(days, day)), folder, stage, day.as_py().isoformat(), True)
        for day in sorted(pc.unique(days), key=str)
    ]


def _file(table: pa.Table, folder: Path, stage: Path, day: str | None, partitioned: bool) -> delta.DataFile:
    place = stage / f"{delta.DAY}={day}" if partitioned else stage
    place.mkdir(parents=True, exist_ok=True)
    file = place / "rows.parquet"
    pq.write_table(table, file, compression="snappy")
    return delta.DataFile(file.relative_to(folder).as_posix(), file.stat().st_size, len(table), day)
