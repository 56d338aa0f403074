"""The embedded log: by Spark, or in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caudal.declarations.connection import Connection
from caudal.stages.ingest.streams import log
from caudal.stages.ingest.streams.tap import LogTap

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KIND = "stream"


def frame(
    spark: SparkSession, connection: Connection, place: Path, *, data: Path | None = None, max_bytes: int | None = None
) -> DataFrame:
    """Return the stream of a log's records."""
    return log.log_frame(spark, connection, place, max_bytes=max_bytes)


def tap(connection: Connection, place: Path, data: Path | None = None) -> LogTap:
    """Return the tap of a log, which needs no Spark."""
    return LogTap(place)
