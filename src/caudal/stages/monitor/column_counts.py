"""The rows of a column in a window by value: exact for few values, else by 256 values at most that stand for equal parts of the rows.

What is kept depends on the rows alone, neither on their order nor on what was counted before, and parts are put together by adding counts. A reference is therefore the same
however many runs counted its windows, and bins can be taken from any reference afterwards.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

if TYPE_CHECKING:
    from caudal.json_value import JsonObject

MOST_VALUES = 256
MOST_KEYS = 65_536  # values that are told apart while a window is counted
FEWER_KEYS = 4096  # where many windows are counted at a time
MOST_CATEGORIES = 1000
MOST_NAMES = 20_000  # categories that are told apart while a window is counted

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NumberCounts:
    """Rows of a column of numbers.

    Parameters
    ----------
    values : float64 [k], ascending
    counts : int64 [k], the rows of each
    nulls : rows without a finite number
    """

    values: Floats
    counts: Integers
    nulls: int = 0

    @property
    def valued(self) -> int:
        """Rows with a value."""
        return int(self.counts.sum())

    @property
    def rows(self) -> int:
        """All rows."""
        return self.valued + self.nulls

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, NumberCounts) and self.nulls == other.nulls and np.array_equal(self.values, other.values)
            and np.array_equal(self.counts, other.counts)
        )  # fmt: skip

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def as_json(self) -> JsonObject:
        """Return the counts as JSON."""
        return {"values": _packed(self.values), "counts": _packed(self.counts), "nulls": self.nulls}


@dataclass(frozen=True)
class CategoryCounts:
    """Rows of a column of categories.

    Parameters
    ----------
    counts : the rows of each of the 1,000 most frequent
    others : rows of all others
    nulls : rows without one
    """

    counts: Mapping[str, int]
    others: int = 0
    nulls: int = 0

    @property
    def valued(self) -> int:
        """Rows with a value."""
        return sum(self.counts.values()) + self.others

    @property
    def rows(self) -> int:
        """All rows."""
        return self.valued + self.nulls

    def as_json(self) -> JsonObject:
        """Return the counts as JSON."""
        return {"categories": dict(self.counts), "others": self.others, "nulls": self.nulls}


ColumnCounts = NumberCounts | CategoryCounts


def counts_from_json(document: Mapping[str, Any]) -> ColumnCounts:
    """Return the counts of their JSON."""
    if "categories" in document:
        return CategoryCounts(dict(document["categories"]), int(document["others"]), int(document["nulls"]))
    return NumberCounts(_unpacked(document["values"], "<f8"), _unpacked(document["counts"], "<i8"), int(document["nulls"]))


def together(parts: Sequence[ColumnCounts]) -> ColumnCounts | None:
    """Return the counts of all parts; None where there is none, or a column's type has changed between them."""
    if parts and all(isinstance(part, NumberCounts) for part in parts):
        numbers = [part for part in parts if isinstance(part, NumberCounts)]
        values, counts = _added(
            np.concatenate([part.values for part in numbers]), np.concatenate([part.counts for part in numbers])
        )
        return NumberCounts(values, counts, sum(part.nulls for part in numbers))
    if parts and all(isinstance(part, CategoryCounts) for part in parts):
        categories = [part for part in parts if isinstance(part, CategoryCounts)]
        summed: dict[str, int] = {}
        for part in categories:
            for name, count in part.counts.items():
                summed[name] = summed.get(name, 0) + count
        return CategoryCounts(summed, sum(part.others for part in categories), sum(part.nulls for part in categories))
    return None


@dataclass
class NumberTally:
    """Counts numbers batch by batch.

    While more than ``most_keys`` values are told apart, one more of their lowest bits is left out. Further rows only add values, so that the bits that are left out in the end
    are the same in whatever order the rows come (uniform collapse: Epicoco and others 2020, "UDDSketch").

    Examples
    --------
    >>> tally = NumberTally()
    >>> tally.add(pa.array([2.5, None, 1.0, 2.5]))
    >>> tally.result()
    NumberCounts(values=array([1. , 2.5]), counts=array([1, 2]), nulls=1)
    """

    most_keys: int = MOST_KEYS
    shift: int = 0
    nulls: int = 0
    _keys: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    _counts: Integers = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, column: pa.Array | pa.ChunkedArray) -> None:
        """Add the numbers of a column; those that are not finite count as nulls."""
        distinct = pc.value_counts(column)
        values = distinct.field("values").cast(pa.float64(), safe=False).fill_null(float("nan")).to_numpy(zero_copy_only=False)
        counts = distinct.field("counts").to_numpy(zero_copy_only=False).astype(np.int64)
        finite = np.isfinite(values)
        self.nulls += int(counts[~finite].sum())
        if not finite.all():
            values, counts = values[finite], counts[finite]
        self._keys, self._counts = _added(
            np.concatenate([self._keys, _keys_of(values) >> self.shift]), np.concatenate([self._counts, counts])
        )
        while self._keys.size > self.most_keys:
            self.shift += 1
            self._keys, self._counts = _added(self._keys >> 1, self._counts)

    def result(self) -> NumberCounts:
        """Return the counts; where there are more than 256 values, the most frequent of each 256th part of the rows stands for it."""
        values, counts = _values_of(self._keys, self.shift), self._counts
        if values.size > MOST_VALUES:
            part = ((2 * np.cumsum(counts) - counts) * MOST_VALUES) // (2 * counts.sum())
            order = np.lexsort((-counts, part))
            firsts = np.flatnonzero(np.diff(part[order], prepend=-1))
            values, counts = values[order[firsts]], np.add.reduceat(counts, np.flatnonzero(np.diff(part, prepend=-1)))
        return NumberCounts(values, counts, self.nulls)


@dataclass
class CategoryTally:
    """Counts categories batch by batch; from the 20,001st different one on, all of them are told apart no more.

    Examples
    --------
    >>> tally = CategoryTally()
    >>> tally.add(pa.array(["b", None, "a", "b"]))
    >>> tally.result()
    CategoryCounts(counts={'b': 2, 'a': 1}, others=0, nulls=1)
    """

    nulls: int = 0
    _counts: dict[str, int] | None = field(default_factory=dict)
    _valued: int = 0

    def add(self, column: pa.Array | pa.ChunkedArray) -> None:
        """Add the categories of a column."""
        self.nulls += column.null_count
        self._valued += len(column) - column.null_count
        if self._counts is None:
            return
        distinct = pc.value_counts(column)
        for name, count in zip(distinct.field("values").to_pylist(), distinct.field("counts").to_pylist(), strict=True):
            if name is not None:
                self._counts[name] = self._counts.get(name, 0) + count
        if len(self._counts) > MOST_NAMES:
            self._counts = None

    def result(self) -> CategoryCounts:
        """Return the counts."""
        counts = self._counts or {}
        most = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_CATEGORIES])
        return CategoryCounts(most, self._valued - sum(most.values()), self.nulls)


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


def column_counts_of(columns: Iterable[pa.Array | pa.ChunkedArray]) -> ColumnCounts:
    """Return the counts of a column that comes in parts of one type."""
    tally: NumberTally | CategoryTally | None = None
    for column in columns:
        if watched_as(column.type) == "numbers":
            tally = tally or NumberTally()
            tally.add(column)
        else:
            tally = tally or CategoryTally()
            tally.add(category_texts(column))
    return (tally or NumberTally()).result()


def only_grows(windows: Sequence[NumberCounts]) -> bool:
    """Return whether nearly all of each window lies above the one before (or below): an identifier, a counter, a time.

    Parameters
    ----------
    windows : in order of time; fewer than nine say nothing

    Examples
    --------
    >>> windows = [column_counts_of([pa.array(range(100 * day, 100 * day + 100))]) for day in range(12)]
    >>> only_grows(windows), only_grows([windows[5 * n % 12] for n in range(12)])
    (True, False)
    """
    spans = [_span(window) for window in windows if window.valued]
    if len(spans) < 9:
        return False
    low, high = np.array(spans).T
    above, below = (low[1:] > high[:-1]).mean(), (high[1:] < low[:-1]).mean()
    return bool(max(above, below) >= 0.9)


def _span(window: NumberCounts) -> tuple[float, float]:
    """Return the range of nine in ten of the rows."""
    ranks = np.searchsorted(np.cumsum(window.counts), np.array([0.05, 0.95]) * window.valued)
    low, high = window.values[np.minimum(ranks, window.values.size - 1)].tolist()
    return low, high


def _added(keys: NDArray[Any], counts: Integers) -> tuple[NDArray[Any], Integers]:
    """Return the different keys, ascending, with the sums of their counts."""
    if not keys.size:
        return keys, counts
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    firsts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[firsts], np.add.reduceat(counts, firsts)


def _keys_of(values: Floats) -> Integers:
    """Return whole numbers in the order of the values: the bits of a float64, those below zero turned round."""
    bits = (values + 0.0).view(np.int64)  # -0.0 becomes 0.0
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _values_of(keys: Integers, shift: int) -> Floats:
    """Return the least value of each key: a round number, which many rows may share, stands for itself."""
    least = keys << shift
    bits = np.where(least < 0, np.int64(-(2**63)) - least, least)
    return bits.view(np.float64)


def _packed(numbers: NDArray[Any]) -> str:
    return base64.b85encode(zlib.compress(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes(), 6)).decode("ascii")


def _unpacked(text: str, dtype: str) -> Any:
    return np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype).astype(dtype.replace("<", "="))
