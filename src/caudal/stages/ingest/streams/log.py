"""The embedded log as a Spark source: Arrow batches directly from the files, read by as many tasks as there are cores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.types import StructType

from caudal.declarations.connection import Connection
from caudal.messaging.log import Reader

SCHEMA = "_partition INT NOT NULL, _offset BIGINT NOT NULL, payload BINARY, arrived TIMESTAMP NOT NULL"
# A smaller task costs more than it saves.
_TASK_BYTES = 256 << 10
Offsets = dict[str, int]


def log_frame(
    spark: SparkSession, connection: Connection, place: Path, *, data: Path | None = None, max_bytes: int | None = None
) -> DataFrame:
    """Return the stream of a log's records."""
    return log_stream(spark, LogSource, place, max_bytes=max_bytes)


def log_stream(
    spark: SparkSession, source: type[DataSource], place: Path, *, max_bytes: int | None = None, **options: str
) -> DataFrame:
    """Return a stream by a Python data source that keeps a log at ``place``."""
    spark.dataSource.register(source)
    chosen = {"folder": str(place.absolute()), "cores": str(spark.sparkContext.defaultParallelism)} | options
    if max_bytes is not None:
        chosen["max_bytes"] = str(max_bytes)
    return spark.readStream.format(source.name()).options(**chosen).load()


class LogSource(DataSource):
    """The Spark data source of the embedded log; options ``folder``, ``cores``, ``max_bytes``."""

    @classmethod
    def name(cls) -> str:
        """Return the data source's name in Spark."""
        return "caudal_log"

    def schema(self) -> str:
        """Return the columns."""
        return SCHEMA

    def streamReader(self, schema: StructType) -> LogStream:  # noqa: N802, ARG002 (Spark's)
        """Return the reader of a stream."""
        return LogStream(Path(self.options["folder"]), int(self.options["cores"]), int(self.options.get("max_bytes", 0)))


@dataclass
class TaskRanges(InputPartition):
    """The ranges that one task reads: ``(partition, start, end)`` of each."""

    ranges: tuple[tuple[int, int, int], ...]


class LogStream(DataSourceStreamReader):
    """A continuous reader; an offset is ``{"<partition>": <offset>}``."""

    def __init__(self, folder: Path, cores: int, max_bytes: int) -> None:
        self._folder, self._cores, self._max_bytes = folder, cores, max_bytes
        self._reader = Reader(folder)
        self._at: Offsets = {}

    def initialOffset(self) -> Offsets:  # noqa: N802
        """Return the beginning."""
        return {}

    def latestOffset(self) -> Offsets:  # noqa: N802
        """Return the end of the log, or the end of the next micro-batch where its size is bounded."""
        ends = {str(partition): end for partition, end in enumerate(self._reader.end())}
        return limit_offsets(self._reader, self._at, ends, self._max_bytes) if self._max_bytes else ends

    def partitions(self, start: Offsets, end: Offsets) -> Sequence[InputPartition]:
        """Return the records between two offsets, cut into tasks."""
        # Spark calls this for each micro-batch, and after a restart with the offset that the stream had reached.
        self._at = end
        ranges = [(int(partition), start.get(partition, 0), until) for partition, until in end.items()]
        return pieces(self._reader, ranges, self._cores)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield a task's records."""
        return log_records(self._folder, partition)


def log_records(folder: Path, piece: InputPartition) -> Iterator[pa.RecordBatch]:
    """Yield the records of a task."""
    if isinstance(piece, TaskRanges):
        reader = Reader(folder)
        for partition, start, end in piece.ranges:
            yield from reader.batches(partition, start, end)


def limit_offsets(reader: Reader, at: Mapping[str, int], ends: Offsets, max_bytes: int) -> Offsets:
    """Return ``ends``, limited to about so many bytes beyond ``at``; each partition gives the same share of its records, so that
    event time advances evenly."""
    spans = {partition: (at.get(partition, 0), end) for partition, end in ends.items()}
    total = sum(reader.size(int(partition), *span) for partition, span in spans.items())
    if total <= max_bytes:
        return ends
    return {
        partition: low + max(1, (high - low) * max_bytes // total) if high > low else high
        for partition, (low, high) in spans.items()
    }


def pieces(reader: Reader, ranges: Sequence[tuple[int, int, int]], cores: int) -> list[TaskRanges]:
    """Return ranges cut into tasks, each with about the same number of records and none too small."""
    ranges = [range_ for range_ in ranges if range_[1] < range_[2]]
    total = sum(end - start for _, start, end in ranges)
    size = sum(reader.size(*range_) for range_ in ranges)
    tasks = max(1, min(cores, total, -(-size // _TASK_BYTES)))
    cut: list[list[tuple[int, int, int]]] = [[] for _ in range(tasks)]
    assigned = 0
    for partition, start, end in ranges:
        while start < end:
            task = assigned * tasks // total
            until = min(end, start + -(-(task + 1) * total // tasks) - assigned)
            cut[task].append((partition, start, until))
            assigned, start = assigned + until - start, until
    return [TaskRanges(tuple(ranges_)) for ranges_ in cut if ranges_]
