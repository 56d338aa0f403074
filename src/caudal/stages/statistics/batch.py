"""The statistics of captured samples, all at once: the rows that the stream gives, by the same functions."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pyarrow as pa

from caudal.declarations.statistics import Statistics
from caudal.engine.marks import EVENT_TIME, KEY, KNOWN, STEP_S
from caudal.stages.statistics.finish import rows, schema, windows
from caudal.stages.statistics.merge import merged
from caudal.stages.statistics.partial import partials
from caudal.stages.statistics.samples import of_table
from caudal.stages.statistics.seen import Seen

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_CHUNK_WINDOWS = 3600  # a task holds the samples of so many windows of one device at once
_SIZE = "_chunk"


def statistics(samples: DataFrame, declared: Statistics) -> DataFrame:
    """Return the rows of every window that has samples; a sample that comes twice counts once.

    Parameters
    ----------
    samples : DataFrame, device, seq, at, one column a channel
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    chunk_us = declared.pane_us * max(declared.panes, _CHUNK_WINDOWS)
    at = F.unix_micros(F.col("at").cast("timestamp"))
    first = F.floor(at / F.lit(chunk_us))
    # Windows that slide reach into the next chunk; its task gets the samples too.
    last = F.floor((at + F.lit(declared.width_us - declared.pane_us)) / F.lit(chunk_us))
    spread = samples.select("device", "seq", "at", *declared.channels, F.explode(F.sequence(first, last)).alias(_SIZE))

    def chunk(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:  # Spark reads what it is given from these hints
        return _chunk(key[1].as_py(), table, declared, chunk_us)

    if declared.gap_us:
        made = _sessions(spread, declared)
    else:
        made = spread.groupBy("device", _SIZE).applyInArrow(chunk, from_arrow_schema(schema(declared)))
    for name, said in marks(declared).items():
        made = made.withMetadata(name, dict(said))
    return made


def marks(declared: Statistics) -> dict[str, dict[str, object]]:
    """Return what is said of columns: keys, the window's ends, and that all else is known when the window ends."""
    told: dict[str, dict[str, object]] = {column.name: {KNOWN: "window_end"} for column in schema(declared)}
    width: dict[str, object] = {STEP_S: int(declared.width_s) if declared.width_s.is_integer() else declared.width_s}
    if declared.gap_us:
        width = {}  # each is as long as it is
    return told | {"device": {KEY: True}, "sensor": {KEY: True}, "window_start": {EVENT_TIME: True, **width}, "window_end": width}


def _chunk(number: int, table: pa.Table, declared: Statistics, chunk_us: int) -> pa.Table:
    samples = of_table(table, declared.channels)
    new = Seen().new(samples.group(declared.pane_us), samples.seq, samples.at_us)
    parts = windows(partials(samples.where(new), declared), declared)
    return rows(parts.where(parts.pane * declared.pane_us // chunk_us == number), declared)


def _sessions(spread: DataFrame, declared: Statistics) -> DataFrame:
    """Return the rows of sessions: what chunks add up to, put together for each device, for a session may be longer than a chunk."""
    from pyspark.sql.pandas.types import from_arrow_schema

    def part(key: tuple[pa.Scalar, ...], table: pa.Table) -> pa.Table:
        samples = of_table(table, declared.channels)
        new = Seen().new(samples.group(declared.pane_us), samples.seq, samples.at_us)
        found = pickle.dumps(partials(samples.where(new), declared), protocol=5)
        return pa.table({"device": pa.array([key[0].as_py()], pa.int64()), "part": pa.array([found], pa.binary())})

    def whole(table: pa.Table) -> pa.Table:
        parts = [pickle.loads(value) for value in table.column("part").to_pylist()]  # noqa: S301 (our own, of the task before)
        return rows(merged(parts, declared.gap_us), declared)

    parts = spread.groupBy("device", _SIZE).applyInArrow(part, "device long, part binary")
    return parts.groupBy("device").applyInArrow(whole, from_arrow_schema(schema(declared)))
