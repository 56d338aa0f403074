"""Bins of a column by its reference, and histograms over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caudal.stages.monitor.column_counts import MOST_CATEGORIES, CategoryCounts, ColumnCounts, NumberCounts

QUANTILES = 20
FEW_VALUES = 20  # so many different numbers have a bin each
GUARDS = (0.5, 1.5, 4.0)  # bins beyond the reference's range, as multiples of the range, so that a shift to outside is measured too
OWN_BINS = 30  # categories with a bin of their own; the rarer ones share one


@dataclass(frozen=True)
class NumberBins:
    """Bins of numbers: ``edges`` ascending; the first bin is below all of them, the last not below the last (overflow bins).

    Examples
    --------
    >>> NumberBins((0.0, 10.0)).places([-1, 0, 9.9, 10]).tolist()
    [0, 1, 1, 2]
    """

    edges: tuple[float, ...]

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.edges) + 1

    @cached_property
    def centers(self) -> NDArray[np.float64]:
        """A number that stands for each bin: its middle, and the nearest edge for an overflow bin."""

        return np.array([self.edges[0], *((low + high) / 2 for low, high in pairwise(self.edges)), self.edges[-1]])

    def places(self, values: Any) -> NDArray[np.int64]:
        """Return the bin of each number."""

        return np.searchsorted(np.asarray(self.edges), np.asarray(values), side="right")

    def label(self, place: int) -> str:
        """Return the name of a bin."""
        if place == 0:
            return f"below {self.edges[0]:.6g}"
        if place == len(self.edges):
            return f"from {self.edges[-1]:.6g}"
        return f"{self.edges[place - 1]:.6g} to {self.edges[place]:.6g}"


@dataclass(frozen=True)
class CategoryBins:
    """Bins of categories: one for each frequent one, one for the rest that the reference knows, and the last for new ones.

    ``unseen`` is the share of rows with a new category that is to be expected: that of categories seen once (Good 1953, equation (9)).

    Examples
    --------
    >>> CategoryBins(("a", "b"), ("c",)).places(["b", "c", "z"]).tolist()
    [1, 2, 3]
    """

    frequent: tuple[str, ...]
    rest: tuple[str, ...] = ()
    unseen: float = 0.0

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.frequent) + 2

    @cached_property
    def _places(self) -> Mapping[str, int]:
        places = dict.fromkeys(self.rest, len(self.frequent))
        return places | {category: place for place, category in enumerate(self.frequent)}

    def places(self, values: Iterable[str]) -> NDArray[np.int64]:
        """Return the bin of each category."""

        return np.array([self._places.get(value, len(self.frequent) + 1) for value in values], dtype=np.int64)

    def label(self, place: int) -> str:
        """Return the name of a bin."""
        return [*self.frequent, "other known ones", "new ones"][place]


Bins = NumberBins | CategoryBins


@dataclass(frozen=True)
class Histogram:
    """The rows of a column by bin; those without a value are counted apart.

    Examples
    --------
    >>> Histogram((1, 2), 1) + Histogram((0, 3), 0)
    Histogram(counts=(1, 5), nulls=1)
    """

    counts: tuple[int, ...]
    nulls: int = 0

    @property
    def valued(self) -> int:
        """Rows with a value."""
        return sum(self.counts)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.valued + self.nulls

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)), self.nulls + other.nulls)

    def __sub__(self, part: Histogram) -> Histogram:
        """Return the histogram without a part of its rows."""
        return Histogram(
            tuple(max(a - b, 0) for a, b in zip(self.counts, part.counts, strict=True)), max(self.nulls - part.nulls, 0)
        )


def bins_of(reference: ColumnCounts) -> Bins | None:
    """Return the bins of a reference; None where it has no value, or too many categories."""
    return number_bins(reference) if isinstance(reference, NumberCounts) else category_bins(reference)


def number_bins(reference: NumberCounts) -> NumberBins | None:
    """Return the bins of a reference's numbers: its quantiles, with guard bins outside; None where there is no finite number.

    Examples
    --------
    >>> low, same, high = number_bins(NumberCounts(np.array([3.0]), np.array([3]))).places([2.5, 3, 3.5]).tolist()
    >>> low < same < high
    True
    """
    values = reference.values
    if not values.size:
        return None
    low, high = float(values[0]), float(values[-1])
    if values.size <= FEW_VALUES:
        inner = values[:-1] / 2 + values[1:] / 2
    else:
        ranks = np.linspace(0, 1, QUANTILES + 1)[1:-1] * reference.valued
        inner = np.unique(values[np.searchsorted(np.cumsum(reference.counts), ranks)])
    span = high - low if high > low else max(abs(high), 1.0)
    span = min(span, float(np.finfo(np.float64).max) / 8)
    beyond = np.nextafter(high, np.inf)  # the greatest value belongs inside
    guards = [*(low - span * share for share in GUARDS), low, float(beyond), *(high + span * share for share in GUARDS)]
    edges = np.clip([*guards, *inner.tolist()], -np.finfo(np.float64).max, np.finfo(np.float64).max)
    return NumberBins(tuple(np.unique(edges).tolist()))


def category_bins(reference: CategoryCounts) -> CategoryBins | None:
    """Return the bins of a reference's categories by their counts; None where there is none, or there are too many."""
    counts = reference.counts
    if not counts or reference.others or len(counts) > MOST_CATEGORIES:
        return None
    ordered = sorted(counts, key=lambda category: (-counts[category], category))
    once = sum(count == 1 for count in counts.values())
    return CategoryBins(tuple(ordered[:OWN_BINS]), tuple(ordered[OWN_BINS:]), once / sum(counts.values()))


def histogram(bins: Bins, counts: ColumnCounts | None) -> Histogram | None:
    """Return the rows of a window by bin; None where the window has not the column, or has it with another type."""
    if isinstance(counts, NumberCounts) and isinstance(bins, NumberBins):
        by_bin = np.bincount(bins.places(counts.values), weights=counts.counts, minlength=bins.size)
        return Histogram(tuple(by_bin.astype(np.int64).tolist()), counts.nulls)
    if isinstance(counts, CategoryCounts) and isinstance(bins, CategoryBins):
        rows = np.fromiter(counts.counts.values(), np.int64, len(counts.counts))
        by_bin = np.bincount(bins.places(counts.counts), weights=rows, minlength=bins.size).astype(np.int64)
        by_bin[-1] += counts.others
        return Histogram(tuple(by_bin.tolist()), counts.nulls)
    return None


def sum_of(histograms: Sequence[Histogram]) -> Histogram:
    """Return the histogram of all parts together."""
    total = histograms[0]
    for part in histograms[1:]:
        total = total + part
    return total
