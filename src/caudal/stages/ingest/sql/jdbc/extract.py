"""Rows → Parquet files, by Spark's JDBC reader: one file a key range. The ranges are read one by one and are of no common snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.declarations.database import Database
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.stages.ingest.arrival import Engine
from caudal.stages.ingest.sql.extract import ROWS, Range, put
from caudal.stages.ingest.sql.jdbc.columns import Asked, asked
from caudal.stages.ingest.sql.jdbc.server import Server, connected
from caudal.stages.ingest.sql.known import Before, goes_on
from caudal.stages.ingest.sql.text_watermark import refused
from caudal.storage.place import Place, readable as opened, remove, spark_path

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

# A table that nobody changed comes in the same order again, and what comes as text is written in one way.
_POSTGRESQL = "SET synchronize_seqscans = off; SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; SET timezone = 'UTC'"


@dataclass(frozen=True)
class Question:
    """What Spark's reader is told."""

    options: dict[str, str]
    asked: Asked
    postgresql: bool


def extract(engine: Engine, source: Database, earlier: Before | None, folder: Path, mark: str) -> list[Range]:
    """Let Spark write the rows that are asked for, and return the files that are made of them in ``folder``.

    Parameters
    ----------
    mark : str, written into each file: a file that continues a set is like no other, even when its rows are
    """
    low, known = goes_on(source, earlier)
    spark = engine.session()
    with connected(spark, source) as server:
        question = _question(server, source)
    remove(engine.room)
    try:
        told = _brought(spark, source, question, low, engine.room)
        parts = _parts(engine.room)
        _whole(source, told, parts, engine.room)
        found = question.asked.columns
        return [
            put(_batches(files), source, found, known, folder / f"{number:03}.parquet", mark) for number, files in enumerate(parts)
        ]
    finally:
        remove(engine.room)


def _question(server: Server, source: Database) -> Question:
    wanted = asked(server, source)
    options = {
        "url": source.address.url(), "driver": server.driver, "dbtable": wanted.selection(server), "fetchsize": str(ROWS),
        "preferTimestampNTZ": "true",
    }  # fmt: skip
    if wanted.texts:
        options["customSchema"] = ", ".join(f"`{name.replace('`', '``')}` STRING" for name in wanted.texts)
    if server.postgresql:
        options |= {"sessionInitStatement": _POSTGRESQL, "ApplicationName": "caudal", "tcpKeepAlive": "true"}
    return Question(options | _ranges(server, source, wanted), wanted, server.postgresql)


def _ranges(server: Server, source: Database, wanted: Asked) -> dict[str, str]:
    """Return into which ranges of the first key Spark is to cut, none where there are no rows."""
    if source.parallel == 1:
        return {}
    key = next(column for column in wanted.columns if column.name == source.key[0])
    name = server.quoted(key.name)
    ((least, most),) = server.rows(f"SELECT min({name}), max({name}) FROM {wanted.relation}", 2)  # noqa: S608
    if least is None:
        return {}
    if key.why or not isinstance(least, int | Decimal) or isinstance(least, bool):
        raise SourceProblem(
            f"'{source.what}' at {source.address!r} cannot be taken in {source.parallel} ranges: its key '{key.name}' is no number.",
            fix="Name a key of numbers first, or leave parallel= out.",
            column=key.name,
        )
    return {
        "partitionColumn": key.name, "lowerBound": str(int(least)), "upperBound": str(int(most) + 1), "numPartitions": str(source.parallel),
    }  # fmt: skip


def _brought(spark: SparkSession, source: Database, question: Question, low: Any, room: Place) -> int:
    """Let the executors write the rows to ``room`` and return how many they say there are."""
    from pyspark.sql import Observation, functions as F

    frame = spark.read.format("jdbc").options(**question.options).load()
    if source.watermark and frame.schema[source.watermark].dataType.typeName() in ("string", "char", "varchar"):
        raise refused(source, "by a database that need not put texts in the order of what they mean")
    if low is not None and source.watermark:
        frame = frame.filter(_late(frame, source.watermark, low, question.postgresql))
    seen = Observation()
    frame = frame.observe(seen, F.count(F.lit(1)).alias("rows"))
    if source.key:
        frame = frame.sortWithinPartitions(*(F.col(_name(column)) for column in source.key))
    frame.write.mode("overwrite").parquet(spark_path(room))
    return int(seen.get["rows"])


def _late(frame: DataFrame, watermark: str, low: Any, postgresql: bool) -> Any:
    """Return which rows are asked for again; the dialect writes the value into the statement."""
    from pyspark.sql import functions as F

    column = F.col(_name(watermark))
    if not isinstance(low, datetime):
        least = column >= F.lit(low)
    elif low.tzinfo is None:
        least = column >= F.expr(f"TIMESTAMP_NTZ '{low.isoformat(' ')}'")
    elif postgresql:
        least = column >= F.expr(f"TIMESTAMP '{low.astimezone(UTC).isoformat(' ')}'")
    else:  # the dialect would write it without its zone, and the server's need not be ours: Spark compares
        least = F.unix_micros(column) >= (low - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return least | column.isNull()


def _name(column: str) -> str:
    return f"`{column.replace('`', '``')}`"


def _parts(room: Place) -> list[list[Place]]:
    """Return the files that Spark wrote, in the order of the ranges, those of one range together."""
    found: dict[str, list[Place]] = {}
    written: list[Place] = sorted(room.glob("part-*.parquet"), key=str) if room.is_dir() else []
    for file in written:
        found.setdefault("-".join(file.name.split("-")[:2]), []).append(file)
    return [found[name] for name in sorted(found)]


def _batches(files: list[Place]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some files, and at least one batch, which may have none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    for file in files:
        with pq.ParquetFile(opened(file)) as held:
            rows += held.metadata.num_rows
            yield from held.iter_batches(batch_size=ROWS)
            if not rows and file is files[-1]:
                yield pa.RecordBatch.from_pylist([], schema=held.schema_arrow)


def _whole(source: Database, told: int, parts: list[list[Place]], room: Place) -> None:
    """Hold what the executors say against what is there: each may have a disk of its own."""
    import pyarrow.parquet as pq

    there = sum(pq.read_metadata(opened(file)).num_rows for files in parts for file in files)
    if told != there or not parts:
        raise EnvironmentProblem(
            f"Spark's executors have written {told} rows of '{source.what}', and {there} are in '{room}': they do not share this machine's disk.",
            fix="Put the lake where all of them reach it: --lake s3://… or hdfs://…, or a folder on a shared disk.",
            transient=False,
        )
