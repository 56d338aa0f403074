"""Extract rows into Parquet files by Spark's JDBC reader: one file per key range. The ranges are read separately, without a common snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Observation, functions as F

from caudal.declarations.database import Database
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.stages.ingest.arrival import Engine
from caudal.stages.ingest.sql.earlier import EarlierExtractions, resume_from
from caudal.stages.ingest.sql.extract import ROWS, RangeFile, write_batches
from caudal.stages.ingest.sql.jdbc.columns import JdbcTable, jdbc_table
from caudal.stages.ingest.sql.jdbc.server import DatabaseServer, connect
from caudal.stages.ingest.sql.text_watermark import unordered_text_problem
from caudal.storage.place import Place, readable, remove, spark_path

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from caudal.stages.ingest.sql.earlier import Watermark

# An unchanged table is returned in the same order again, and texts have one notation.
_POSTGRESQL = "SET synchronize_seqscans = off; SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; SET timezone = 'UTC'"


@dataclass(frozen=True)
class JdbcQuery:
    """The options of Spark's reader, and the relation that it reads."""

    options: dict[str, str]
    table: JdbcTable
    postgresql: bool


def extract_by_spark(
    engine: Engine, source: Database, earlier: EarlierExtractions | None, folder: Path, mark: str
) -> list[RangeFile]:
    """Write the new rows by Spark, and return the files of them in ``folder``.

    Parameters
    ----------
    mark : str, written into each file, so that a file that continues a set is unique even if its rows are not
    """
    low, landed_rows = resume_from(source, earlier)
    spark = engine.session()
    with connect(spark, source) as server:
        query = _jdbc_query(server, source)
    remove(engine.folder)
    try:
        row_count = _write_rows(spark, source, query, low, engine.folder)
        parts = _parts(engine.folder)
        _check_complete(source, row_count, parts, engine.folder)
        columns = query.table.columns
        return [
            write_batches(_batches(files), source, columns, landed_rows, folder / f"{number:03}.parquet", mark)
            for number, files in enumerate(parts)
        ]
    finally:
        remove(engine.folder)


def _jdbc_query(server: DatabaseServer, source: Database) -> JdbcQuery:
    table = jdbc_table(server, source)
    options = {
        "url": source.address.url(), "driver": server.driver, "dbtable": table.selection(server), "fetchsize": str(ROWS),
        "preferTimestampNTZ": "true",
    }  # fmt: skip
    if table.texts:
        options["customSchema"] = ", ".join(f"`{name.replace('`', '``')}` STRING" for name in table.texts)
    if server.postgresql:
        options |= {"sessionInitStatement": _POSTGRESQL, "ApplicationName": "caudal", "tcpKeepAlive": "true"}
    return JdbcQuery(options | _ranges(server, source, table), table, server.postgresql)


def _ranges(server: DatabaseServer, source: Database, table: JdbcTable) -> dict[str, str]:
    """Return the reader's options for ranges of the first key; none where there are no rows."""
    if source.parallel == 1:
        return {}
    key = next(column for column in table.columns if column.name == source.key[0])
    name = server.quote_name(key.name)
    ((least, greatest),) = server.rows(f"SELECT min({name}), max({name}) FROM {table.relation}", 2)  # noqa: S608
    if least is None:
        return {}
    if key.why or not isinstance(least, int | Decimal) or isinstance(least, bool):
        raise SourceProblem(
            f"'{source.what}' at {source.address!r} cannot be read in {source.parallel} ranges: its key '{key.name}' is no number.",
            fix="Name a key of numbers first, or leave parallel= out.",
            column=key.name,
        )
    return {
        "partitionColumn": key.name, "lowerBound": str(int(least)), "upperBound": str(int(greatest) + 1), "numPartitions": str(source.parallel),
    }  # fmt: skip


def _write_rows(spark: SparkSession, source: Database, query: JdbcQuery, low: Watermark | None, folder: Place) -> int:
    """Write the rows to ``folder`` by the executors, and return how many they report."""
    frame = spark.read.format("jdbc").options(**query.options).load()
    if source.watermark and frame.schema[source.watermark].dataType.typeName() in ("string", "char", "varchar"):
        raise unordered_text_problem(source, "by a database whose order of texts may differ from the order of their values")
    if low is not None and source.watermark:
        frame = frame.filter(_overlap_condition(frame, source.watermark, low, query.postgresql))
    observation = Observation()
    frame = frame.observe(observation, F.count(F.lit(1)).alias("rows"))
    if source.key:
        frame = frame.sortWithinPartitions(*(F.col(_name(column)) for column in source.key))
    frame.write.mode("overwrite").parquet(spark_path(folder))
    return int(observation.get["rows"])


def _overlap_condition(frame: DataFrame, watermark: str, low: Watermark | None, postgresql: bool) -> Column:
    """Return the condition of the rows to read again; the dialect writes the value into the statement."""
    column = F.col(_name(watermark))
    if not isinstance(low, datetime):
        is_late = column >= F.lit(low)
    elif low.tzinfo is None:
        is_late = column >= F.expr(f"TIMESTAMP_NTZ '{low.isoformat(' ')}'")
    elif postgresql:
        is_late = column >= F.expr(f"TIMESTAMP '{low.astimezone(UTC).isoformat(' ')}'")
    else:  # the dialect would write it without its zone, and the server's zone may differ: Spark compares
        is_late = F.unix_micros(column) >= (low - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return is_late | column.isNull()


def _name(column: str) -> str:
    return f"`{column.replace('`', '``')}`"


def _parts(folder: Place) -> list[list[Place]]:
    """Return the files that Spark wrote, grouped by range, in the order of the ranges."""
    by_range: dict[str, list[Place]] = {}
    files: list[Place] = sorted(folder.glob("part-*.parquet"), key=str) if folder.is_dir() else []
    for file in files:
        by_range.setdefault("-".join(file.name.split("-")[:2]), []).append(file)
    return [by_range[name] for name in sorted(by_range)]


def _batches(files: list[Place]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some files; at least one batch, which may be empty."""
    rows = 0
    for file in files:
        with pq.ParquetFile(readable(file)) as opened_file:
            rows += opened_file.metadata.num_rows
            yield from opened_file.iter_batches(batch_size=ROWS)
            if not rows and file is files[-1]:
                yield pa.RecordBatch.from_pylist([], schema=opened_file.schema_arrow)


def _check_complete(source: Database, expected: int, parts: list[list[Place]], folder: Place) -> None:
    """Raise EnvironmentProblem where the executors report more rows than the files have: each may write to another disk."""
    present = sum(pq.read_metadata(readable(file)).num_rows for files in parts for file in files)
    if expected != present or not parts:
        raise EnvironmentProblem(
            f"Spark's executors have written {expected} rows of '{source.what}', and {present} are in '{folder}': they do not share this machine's disk.",
            fix="Put the lake where all executors can write: --lake s3://… or hdfs://…, or a folder on a shared disk.",
            transient=False,
        )
