"""Histograms of a table's columns in each window, counted from Arrow batches: memory grows with windows and bins, never with rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from caudal.stages.monitor.bins import (
    MOST_CATEGORIES,
    Bins,
    CategoryBins,
    Histogram,
    NumberBins,
    category_bins,
    number_bins,
)
from caudal.stages.monitor.windows import local_seconds, start_of_window

SAMPLE = 200_000  # numbers from which the edges are taken


@dataclass(frozen=True)
class WindowCounts:
    """The rows of a window, and the histogram of each column."""

    rows: int
    columns: Mapping[str, Histogram]


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
class _Tally:
    counts: NDArray[np.int64]
    nulls: int = 0


@dataclass
class Counter:
    """Counts batch after batch.

    Parameters
    ----------
    bins : of each column
    within : starts of the windows to count; None: all
    """

    bins: Mapping[str, Bins]
    windowed: Windowed
    within: frozenset[int] | None = None
    _rows: dict[int, int] = field(default_factory=dict)
    _tallies: dict[int, dict[str, _Tally]] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Count the rows of a batch."""

        starts, timed = self.windowed.starts(batch)
        window_starts, places = _distinct(starts[timed], self.windowed.window_s)
        if not window_starts.size:
            return
        for start, rows in zip(window_starts.tolist(), np.bincount(places).tolist(), strict=True):
            if self.within is None or start in self.within:
                self._rows[start] = self._rows.get(start, 0) + rows
        for column, bins in self.bins.items():
            bin_places, valued = bin_indices(batch.column(column), bins)
            bin_places, valued = bin_places[timed], valued[timed]
            flat = np.bincount(places[valued] * bins.size + bin_places[valued], minlength=window_starts.size * bins.size)
            nulls = np.bincount(places[~valued], minlength=window_starts.size)
            for place, start in enumerate(window_starts.tolist()):
                if self.within is not None and start not in self.within:
                    continue
                tally = self._tallies.setdefault(start, {}).setdefault(column, _Tally(np.zeros(bins.size, np.int64)))
                tally.counts += flat[place * bins.size : (place + 1) * bins.size]
                tally.nulls += int(nulls[place])

    def result(self) -> dict[int, WindowCounts]:
        """Return the counts of each window, by its start."""
        return {
            start: WindowCounts(
                rows,
                {
                    column: Histogram(tuple(tally.counts.tolist()), tally.nulls)
                    for column, tally in self._tallies.get(start, {}).items()
                },
            )
            for start, rows in sorted(self._rows.items())
        }


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


def bin_indices(column: pa.Array | pa.ChunkedArray, bins: Bins) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the bin of each row of a column, and whether the row has a value; a number that is not finite counts as none."""

    if isinstance(bins, NumberBins):
        numbers = column.cast(pa.float64(), safe=False)
        values = numbers.fill_null(float("nan")).to_numpy(zero_copy_only=False)
        valued = np.isfinite(values)
        return bins.places(values), valued
    encoded = pc.dictionary_encode(category_texts(column))
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    valued = encoded.is_valid().to_numpy(zero_copy_only=False)
    codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    places = bins.places(encoded.dictionary.to_pylist())
    return (places[codes] if places.size else np.zeros(len(codes), np.int64)), np.asarray(valued, bool)


def category_texts(column: pa.Array | pa.ChunkedArray) -> Any:
    """Return a column of categories as text: truth values as ``true`` and ``false``."""

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def watched_as(kind: pa.DataType) -> str | None:
    """Return how a type is watched: as ``numbers``, as ``categories``, or not at all (times, lists, bytes)."""

    if pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return "categories"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "numbers"
    return None


def bins_of(batches: Iterable[pa.RecordBatch], columns: Sequence[str], seed: int = 0) -> dict[str, Bins | None]:
    """Return the bins of each column from the rows of a reference; None for a column without a value, or with too many categories.

    Quantiles are those of a random sample of each batch, so that a long reference needs no more memory than a short one.
    """

    random = np.random.default_rng(seed)
    numbers: dict[str, list[NDArray[np.float64]]] = {}
    categories: dict[str, dict[str, int]] = {}
    for batch in batches:
        for column in columns:
            values = batch.column(column)
            if watched_as(values.type) == "numbers":
                part = values.cast(pa.float64(), safe=False).drop_null().to_numpy(zero_copy_only=False)
                if part.size > SAMPLE // 10:
                    part = np.concatenate([part[random.integers(0, part.size, SAMPLE // 10)], [part.min(), part.max()]])
                numbers.setdefault(column, []).append(part)
            elif len(counts := categories.setdefault(column, {})) <= MOST_CATEGORIES:
                for entry in pc.value_counts(category_texts(values).drop_null()).to_pylist():
                    counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    bins: dict[str, Bins | None] = {}
    for column in columns:
        if column in numbers:
            bins[column] = number_bins(_sampled(numbers[column], random))
        else:
            bins[column] = category_bins(categories.get(column, {}))
    return bins


def _sampled(parts: list[NDArray[np.float64]], random: np.random.Generator) -> NDArray[np.float64]:

    values = np.concatenate(parts)
    if values.size <= SAMPLE:
        return values
    return np.concatenate([values[random.integers(0, values.size, SAMPLE)], [values.min(), values.max()]])


def is_categorical(bins: Bins) -> bool:
    """Return whether the bins are of categories."""
    return isinstance(bins, CategoryBins)
