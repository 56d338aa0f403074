"""The statistics of captured samples, all at once: the rows that the stream gives, by the same functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from caudal.spec.statistics import Statistics
from caudal.stages.statistics.finish import rows, schema, windows
from caudal.stages.statistics.partial import partials
from caudal.stages.statistics.samples import of_table

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

    return spread.groupBy("device", _SIZE).applyInArrow(chunk, from_arrow_schema(schema(declared)))


def _chunk(number: int, table: pa.Table, declared: Statistics, chunk_us: int) -> pa.Table:
    samples = of_table(table, declared.channels)
    first = np.unique(samples.key, return_index=True)[1]
    parts = windows(partials(samples.where(first), declared), declared)
    return rows(parts.where(parts.pane * declared.pane_us // chunk_us == number), declared)
