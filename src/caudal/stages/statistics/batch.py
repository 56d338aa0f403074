"""Compute the statistics of all captured samples at once: the same rows as the stream's, by the same functions."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pyarrow as pa

from caudal.declarations.statistics import Statistics
from caudal.engine.marks import EVENT_TIME, KEY, KNOWN, STEP_S
from caudal.stages.statistics.finish import window_rows, window_schema, windows
from caudal.stages.statistics.merge import merge_partials
from caudal.stages.statistics.partial import partials
from caudal.stages.statistics.samples import of_table
from caudal.stages.statistics.seen import Seen

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_CHUNK_WINDOWS = 3600  # windows of one device whose samples a task holds at once
_SIZE = "_chunk"


def statistics(samples: DataFrame, declared: Statistics) -> DataFrame:
    """Return the rows of every window that has samples; a sample that arrives twice counts once.

    Parameters
    ----------
    samples : DataFrame, device, seq, at, one column a channel
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    chunk_us = declared.pane_us * max(declared.panes, _CHUNK_WINDOWS)
    at = F.unix_micros(F.col("at").cast("timestamp"))
    first_chunk = F.floor(at / F.lit(chunk_us))
    # Sliding windows reach into the next chunk, so its task gets the samples too.
    last_chunk = F.floor((at + F.lit(declared.width_us - declared.pane_us)) / F.lit(chunk_us))
    chunked = samples.select("device", "seq", "at", *declared.channels, F.explode(F.sequence(first_chunk, last_chunk)).alias(_SIZE))

    def chunk(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:  # Spark derives the kind of function from these type hints
        return _chunk(key[1].as_py(), table, declared, chunk_us)

    if declared.gap_us:
        result = _sessions(chunked, declared)
    else:
        result = chunked.groupBy("device", _SIZE).applyInArrow(chunk, from_arrow_schema(window_schema(declared)))
    for name, metadata in marks(declared).items():
        result = result.withMetadata(name, dict(metadata))
    return result


def marks(declared: Statistics) -> dict[str, dict[str, object]]:
    """Return the metadata of columns: keys, the window's start and end, and that all others are known when the window ends."""
    metadata: dict[str, dict[str, object]] = {column.name: {KNOWN: "window_end"} for column in window_schema(declared)}
    width: dict[str, object] = {STEP_S: int(declared.width_s) if declared.width_s.is_integer() else declared.width_s}
    if declared.gap_us:
        width = {}  # sessions have no fixed length
    return metadata | {
        "device": {KEY: True},
        "sensor": {KEY: True},
        "window_start": {EVENT_TIME: True, **width},
        "window_end": width,
    }


def _chunk(number: int, table: pa.Table, declared: Statistics, chunk_us: int) -> pa.Table:
    samples = of_table(table, declared.channels)
    is_new = Seen().new(samples.group(declared.pane_us), samples.seq, samples.at_us)
    parts = windows(partials(samples.where(is_new), declared), declared)
    return window_rows(parts.where(parts.pane * declared.pane_us // chunk_us == number), declared)


def _sessions(chunked: DataFrame, declared: Statistics) -> DataFrame:
    """Return the rows of sessions: partials of chunks merged for each device, because a session may be longer than a chunk."""
    from pyspark.sql.pandas.types import from_arrow_schema

    def partial_of_chunk(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:
        samples = of_table(table, declared.channels)
        new = Seen().new(samples.group(declared.pane_us), samples.seq, samples.at_us)
        pickled = pickle.dumps(partials(samples.where(new), declared), protocol=5)
        return pa.table({"device": pa.array([key[0].as_py()], pa.int64()), "part": pa.array([pickled], pa.binary())})

    def merge_sessions(table: pa.Table) -> pa.Table:
        parts = [pickle.loads(value) for value in table.column("part").to_pylist()]  # noqa: S301 (written by the task before)
        return window_rows(merge_partials(parts, declared.gap_us), declared)

    parts = chunked.groupBy("device", _SIZE).applyInArrow(partial_of_chunk, "device long, part binary")
    return parts.groupBy("device").applyInArrow(merge_sessions, from_arrow_schema(window_schema(declared)))
