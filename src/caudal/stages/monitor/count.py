"""The counts of a table's columns in each window, from Arrow batches: memory grows with windows and columns, never with rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from caudal.stages.monitor.column_counts import (
    FEWER_KEYS,
    CategoryTally,
    ColumnCounts,
    NumberTally,
    category_texts,
    watched_as,
)
from caudal.stages.monitor.windows import local_seconds, start_of_window


@dataclass(frozen=True)
class WindowCounts:
    """The rows of a window, and the counts of each column."""

    rows: int
    columns: Mapping[str, ColumnCounts]


@dataclass(frozen=True)
class Windowed:
    """Which window a row belongs to.

    Parameters
    ----------
    event_time : the column; None: all rows are in one window, 0
    window_s : length of a window in seconds
    tz : the clocks that windows follow
    """

    event_time: str | None
    window_s: int
    tz: str

    def starts(self, batch: pa.RecordBatch | pa.Table) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the start of each row's window, and whether the row has a time."""

        if self.event_time is None:
            return np.zeros(batch.num_rows, np.int64), np.ones(batch.num_rows, bool)
        seconds = local_seconds(batch.column(self.event_time), self.tz)
        timed = seconds.is_valid().to_numpy(zero_copy_only=False)
        starts = start_of_window(seconds.fill_null(0).to_numpy(zero_copy_only=False), self.window_s)
        return np.asarray(starts, np.int64), np.asarray(timed, bool)


@dataclass
class Counter:
    """Counts batch after batch.

    Parameters
    ----------
    columns : the counted columns
    within : starts of the windows to count; None: all
    most_keys : different numbers of a column that are told apart while a window is counted
    """

    columns: Sequence[str]
    windowed: Windowed
    within: frozenset[int] | None = None
    most_keys: int = FEWER_KEYS
    _rows: dict[int, int] = field(default_factory=dict)
    _tallies: dict[tuple[int, str], NumberTally | CategoryTally] = field(default_factory=dict)
    _closed: dict[tuple[int, str], ColumnCounts] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Count the rows of a batch."""
        starts, timed = self.windowed.starts(batch)
        window_starts, places = _distinct(starts[timed], self.windowed.window_s)
        if not window_starts.size:
            return
        rows = np.bincount(places, minlength=window_starts.size)
        order = None if window_starts.size == 1 and timed.all() else np.flatnonzero(timed)[np.argsort(places, kind="stable")]
        firsts = np.cumsum(rows) - rows
        wanted = [
            (start, int(first), int(count))
            for start, first, count in zip(window_starts.tolist(), firsts, rows, strict=True)
            if self.within is None or start in self.within
        ]
        for start, _, count in wanted:
            self._rows[start] = self._rows.get(start, 0) + count
        for name in self.columns if wanted else ():
            column = batch.column(name)
            is_number = watched_as(column.type) == "numbers"
            column = column if is_number else category_texts(column)
            column = column if order is None else column.take(pa.array(order))
            for start, first, count in wanted:
                tally = self._tallies.get((start, name))
                if tally is None:
                    tally = self._tallies[start, name] = NumberTally(self.most_keys) if is_number else CategoryTally()
                tally.add(column.slice(first, count))

    def close(self, before: float = math.inf) -> None:
        """Need less memory for the windows that end before a time, seconds since 1970 by the clock: no more rows of theirs come."""
        for key in [key for key in self._tallies if key[0] + self.windowed.window_s <= before]:
            self._closed[key] = self._tallies.pop(key).result()

    def result(self) -> dict[int, WindowCounts]:
        """Return the counts of each window, by its start."""
        self.close()
        columns: dict[int, dict[str, ColumnCounts]] = {start: {} for start in sorted(self._rows)}
        for (start, name), counts in self._closed.items():
            columns[start][name] = counts
        return {start: WindowCounts(self._rows[start], of_columns) for start, of_columns in columns.items()}


def _distinct(starts: NDArray[np.int64], window_s: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the windows of some rows in order, and the place of each row's window among them; without sorting where they lie close together."""

    if not starts.size:
        return starts, starts
    numbers = (starts - starts.min()) // window_s
    if numbers.max() > 100_000:  # a stray time decades away
        distinct, places = np.unique(starts, return_inverse=True)
        return distinct, places
    present = np.bincount(numbers) > 0
    return np.flatnonzero(present) * window_s + starts.min(), (np.cumsum(present) - 1)[numbers]
