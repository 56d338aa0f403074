"""Append a stream's rows to a Delta table: each micro-batch once, however often it is tried."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caudal.storage import delta
from caudal.storage.parquet import read_parquet
from caudal.storage.place import Place, readable, relative_path
from caudal.tables.rows import by_day, write_rows

_SMALL_BYTES = 1 << 20  # files below this size are merged; `_MANY` of them fit into memory
_MANY = 24  # small files of one day that are merged into one
_SELDOM = 8  # versions between two looks for small files: a look costs as much as a commit
_CHECKPOINT = 50  # commits between two Delta checkpoints, so that readers need not read every commit
_REMOVED_KEPT = "interval 1 days"  # how long merged files stay listed: a hundred thousand of them make each commit slow


def last_batch(folder: Place) -> float:
    """Return the number of the last micro-batch whose rows the table holds; -1 if it holds none."""
    newest = delta.version_of(folder)
    for number in range(-1 if newest is None else newest, -1, -1):
        if (
            batch := delta.identity(folder, number).get("upto")
        ) is not None:  # a commit that only adds a column has no `last_batch`
            return float(batch)
    return -1


def append(
    folder: Place,
    rows: Sequence[pa.Table],
    files: Sequence[delta.DataFile],
    *,
    moment: str,
    tz: str,
    partitioned: bool,
    identity: Mapping[str, object],
    marks: Mapping[str, Mapping[str, object]] | None = None,
) -> int:
    """Publish rows, and files with such rows that lie in the table's folder, as the table's next version; return the version's
    number.

    Parameters
    ----------
    moment : the column (UTC) whose day in ``tz`` is the partition, where the table has any
    identity : commit info; its ``last_batch`` is the last micro-batch that the rows include
    marks : metadata of columns (`caudal.engine.marks`)
    """
    stage = folder / f"part-{identity['run_id']}-{identity['upto']}"
    data_files = list(files)
    schema = rows[0].schema if rows else pq.read_schema(readable(folder / files[0].path))
    if rows:
        days = by_day(pa.concat_tables(rows), moment, tz if partitioned else None)
        data_files += [_file(day_rows, folder, stage, day) for day, day_rows in days]
    version = delta.commit(
        folder, data_files, spark_schema(schema, partitioned, marks), partitioned=partitioned, replace="none", identity=identity,
        removed_kept=_REMOVED_KEPT,
    )  # fmt: skip
    if version % _CHECKPOINT == _CHECKPOINT - 1:
        delta.checkpoint(folder)
    return version


def compact(folder: Place, *, partitioned: bool, identity: Mapping[str, object]) -> int:
    """Merge the small files of each day that has many of them; return how many files were replaced."""
    if (delta.version_of(folder) or 0) % _SELDOM:
        return 0
    current = delta.read_version(folder)
    removed = 0
    days: dict[str | None, list[delta.DataFile]] = {}
    for file in current.files:
        if file.bytes < _SMALL_BYTES:
            days.setdefault(file.day, []).append(file)
    for day, small in days.items():
        if len(small) < _MANY:
            continue
        table = pa.concat_tables([read_parquet(folder / file.path) for file in small])
        place = folder / f"part-{identity['run_id']}-{identity['upto']}-compact"
        new_files = [_file(table, folder, place, day)]
        schema = dict(current.schema)
        old_files = frozenset(file.path for file in small)
        delta.commit(
            folder, new_files, schema, partitioned=partitioned, replace=old_files, identity={**identity, "compacted": len(small)}
        )
        removed += len(small)
    if removed:
        pa.default_memory_pool().release_unused()
    return removed


def spark_schema(schema: pa.Schema, partitioned: bool, marks: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return an Arrow schema as Spark's schema JSON."""
    from pyspark.sql.pandas.types import from_arrow_schema

    described: dict[str, Any] = json.loads(from_arrow_schema(schema).json())
    for field in described["fields"]:
        field["metadata"] = dict((marks or {}).get(field["name"], {}))
    if partitioned:
        described["fields"].append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    return described


def _file(table: pa.Table, folder: Place, stage: Place, day: str | None) -> delta.DataFile:
    to = stage / f"{delta.DAY}={day}" if day is not None else stage
    to.mkdir(parents=True, exist_ok=True)
    file = to / "rows.parquet"
    write_rows(table, file)
    return delta.DataFile(relative_path(file, folder).as_posix(), file.stat().st_size, len(table), day)
