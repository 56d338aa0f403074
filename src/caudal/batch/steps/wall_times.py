"""Counts the written wall times that the clocks of the product's time zone showed twice or never."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from caudal.declarations.zone import ClockChange, clock_changes
from caudal.storage.place import Place, readable

_EPOCH = dt.datetime(1970, 1, 1)


def odd_wall_times(stage: Place, columns: Sequence[str], tz: str) -> list[str]:
    """Return a sentence for each column of wall time that has values which the zone's clocks showed twice, or never.

    Only row groups whose statistics say that they may hold such a time are read.

    Parameters
    ----------
    stage : Place, the Parquet files' folder
    columns : columns of wall time (TIMESTAMP_NTZ)
    """
    spans = [_span(change) for change in clock_changes(tz)]
    if not columns or not spans:
        return []
    counts = {column: [0, 0] for column in columns}
    paths: list[Place] = list(stage.rglob("*.parquet"))
    for path in paths:
        with pq.ParquetFile(readable(path)) as file:
            names = {file.schema_arrow.field(place).name for place in range(len(file.schema_arrow))}
            for group in range(file.num_row_groups):
                for column in [column for column in columns if column in names]:
                    near = _spans_within(file.metadata.row_group(group), column, spans)
                    if near:
                        twice, never = _counted(file.read_row_group(group, [column]).column(column), near)
                        counts[column][0] += twice
                        counts[column][1] += never
    return [sentence for column, (twice, never) in counts.items() for sentence in _sentences(column, twice, never, tz)]


def _sentences(column: str, twice: int, never: int, tz: str) -> list[str]:
    sentences = []
    if twice:
        rows = f"{twice:,} row{' has' if twice == 1 else 's have'}"
        sentences.append(
            f"{rows} a time in '{column}' that the clocks of {tz} showed twice: two hours are one there. Declare the column timestamp_utc "
            "where the files say which (an offset, or UTC)."
        )
    if never:
        rows = f"{never:,} row{' has' if never == 1 else 's have'}"
        sentences.append(
            f"{rows} a time in '{column}' that the clocks of {tz} left out; such rows are kept. If it is not local time, declare the column "
            "timestamp_utc."
        )
    return sentences


@dataclass(frozen=True)
class _Span:
    """The wall times that a change of clocks leaves out, or shows twice: from the first one to before the last one."""

    first: dt.datetime
    last: dt.datetime
    left_out: bool


def _span(change: ClockChange) -> _Span:
    ends = sorted((change.at_s + change.before_s, change.at_s + change.after_s))
    first, last = (_EPOCH + dt.timedelta(seconds=end) for end in ends)
    return _Span(first, last, left_out=change.ahead_s > 0)


def _spans_within(group: Any, column: str, spans: Sequence[_Span]) -> Sequence[_Span]:
    """Return the spans of which the column's values in a row group may hold a time, by its statistics."""
    for place in range(group.num_columns):
        chunk = group.column(place)
        if chunk.path_in_schema == column:
            statistics = chunk.statistics
            if statistics is None or not statistics.has_min_max:
                return spans
            low, high = statistics.min, statistics.max
            return [span for span in spans if span.first <= high and span.last > low]
    return []


def _counted(values: Any, spans: Sequence[_Span]) -> tuple[int, int]:
    values = values.cast(pa.timestamp("us"))
    twice = never = 0
    for span in spans:
        first, last = (pa.scalar(end, pa.timestamp("us")) for end in (span.first, span.last))
        count = pc.sum(pc.and_(pc.greater_equal(values, first), pc.less(values, last))).as_py() or 0
        if span.left_out:
            never += count
        else:
            twice += count
    return twice, never
