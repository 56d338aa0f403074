"""Rows of a stream appended to a Delta table, once for each micro-batch however often it is tried."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from caudal.storage import delta
from caudal.storage.parquet import read
from caudal.storage.place import Place, below, source
from caudal.tables.rows import by_day, write

_SMALL_BYTES = 1 << 20  # what is put together is at most so many times as much as are put together, and fits into memory
_MANY = 24  # small files of a day become one
_SELDOM = 8  # versions from one look for small files to the next: to look is as dear as to commit
_CHECKPOINT = 50  # commits; readers then need not read each of them
_REMOVED_KEPT = "interval 1 days"  # small files that went into larger ones: a hundred thousand of them make each commit slow


def upto(folder: Place) -> float:
    """Return the last micro-batch whose rows the table holds; -1 where it holds none."""
    newest = delta.version_of(folder)
    for number in range(-1 if newest is None else newest, -1, -1):
        if (found := delta.identity(folder, number).get("upto")) is not None:  # a commit that adds a column says nothing
            return float(found)
    return -1


def append(
    folder: Place,
    rows: Sequence[pa.Table],
    files: Sequence[delta.DataFile],
    *,
    moment: str,
    tz: str,
    partitioned: bool,
    identity: Mapping[str, Any],
    marks: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Publish rows, and files with such rows that lie in the table's folder, as the table's next version; return its number.

    Parameters
    ----------
    moment : the column (UTC) whose day in ``tz`` is the partition, where the table has any
    identity : holds ``upto``, the last micro-batch that is in the rows
    marks : what is said of columns (`caudal.engine.marks`)
    """
    stage = folder / f"part-{identity['run_id']}-{identity['upto']}"
    written = list(files)
    schema = rows[0].schema if rows else pq.read_schema(source(folder / files[0].path))
    if rows:
        days = by_day(pa.concat_tables(rows), moment, tz if partitioned else None)
        written += [_file(some, folder, stage, day) for day, some in days]
    version = delta.commit(
        folder, written, spark_schema(schema, partitioned, marks), partitioned=partitioned, replace="none", identity=identity,
        removed_kept=_REMOVED_KEPT,
    )  # fmt: skip
    if version % _CHECKPOINT == _CHECKPOINT - 1:
        delta.checkpoint(folder)
    return version


def compact(folder: Place, *, partitioned: bool, identity: Mapping[str, Any]) -> int:
    """Put the small files of a day into one, where there are many; return how many files went."""
    if (delta.version_of(folder) or 0) % _SELDOM:
        return 0
    current = delta.read(folder)
    gone = 0
    days: dict[str | None, list[delta.DataFile]] = {}
    for file in current.files:
        if file.bytes < _SMALL_BYTES:
            days.setdefault(file.day, []).append(file)
    for day, small in days.items():
        if len(small) < _MANY:
            continue
        table = pa.concat_tables([read(folder / file.path) for file in small])
        place = folder / f"part-{identity['run_id']}-{identity['upto']}-compact"
        written = [_file(table, folder, place, day)]
        schema = dict(current.schema)
        went = frozenset(file.path for file in small)
        delta.commit(folder, written, schema, partitioned=partitioned, replace=went, identity={**identity, "compacted": len(small)})
        gone += len(small)
    if gone:
        pa.default_memory_pool().release_unused()
    return gone


def spark_schema(schema: pa.Schema, partitioned: bool, marks: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return Spark's JSON of a schema of Arrow."""
    from pyspark.sql.pandas.types import from_arrow_schema

    said: dict[str, Any] = json.loads(from_arrow_schema(schema).json())
    for field in said["fields"]:
        field["metadata"] = dict((marks or {}).get(field["name"], {}))
    if partitioned:
        said["fields"].append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    return said


def _file(table: pa.Table, folder: Place, stage: Place, day: str | None) -> delta.DataFile:
    to = stage / f"{delta.DAY}={day}" if day is not None else stage
    to.mkdir(parents=True, exist_ok=True)
    file = to / "rows.parquet"
    write(table, file)
    return delta.DataFile(below(file, folder).as_posix(), file.stat().st_size, len(table), day)
