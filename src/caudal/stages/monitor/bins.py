"""Fixed bins of a column, and histograms over them: they add up, so that a window, a day or a reference is the sum of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from caudal.json_value import JsonObject

QUANTILES = 20
FEW_VALUES = 20  # so many different numbers have a bin each
GUARDS = (0.5, 1.5, 4.0)  # bins beyond the reference's range, as multiples of the range, so that a shift to outside is measured too
OWN_BINS = 30  # categories with a bin of their own; the rarer ones share one
MOST_CATEGORIES = 1000


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

    def as_json(self) -> JsonObject:
        """Return the bins as JSON."""
        return {"edges": list(self.edges)}


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

    def as_json(self) -> JsonObject:
        """Return the bins as JSON."""
        return {"frequent": list(self.frequent), "rest": list(self.rest), "unseen": self.unseen}


Bins = NumberBins | CategoryBins


def bins_from_json(document: Mapping[str, Any]) -> Bins:
    """Return the bins of their JSON."""
    if "edges" in document:
        return NumberBins(tuple(float(edge) for edge in document["edges"]))
    return CategoryBins(tuple(document["frequent"]), tuple(document["rest"]), float(document["unseen"]))


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


def number_bins(values: NDArray[Any]) -> NumberBins | None:
    """Return the bins of a reference's numbers: its quantiles, with guard bins outside; None where there is no finite number.

    Examples
    --------
    >>> low, same, high = number_bins([3, 3, 3]).places([2.5, 3, 3.5]).tolist()
    >>> low < same < high
    True
    """

    finite = np.asarray(values, "float64")
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return None
    distinct = np.unique(finite)
    low, high = float(distinct[0]), float(distinct[-1])
    if distinct.size <= FEW_VALUES:
        inner = (distinct[:-1] + distinct[1:]) / 2
    else:
        inner = np.unique(np.quantile(finite, np.linspace(0, 1, QUANTILES + 1)[1:-1]))
    span = high - low if high > low else max(abs(high), 1.0)
    beyond = np.nextafter(high, np.inf)  # the greatest value belongs inside
    guards = [*(low - span * share for share in GUARDS), low, float(beyond), *(high + span * share for share in GUARDS)]
    return NumberBins(tuple(float(edge) for edge in np.unique([*guards, *inner])))


def category_bins(counts: Mapping[str, int]) -> CategoryBins | None:
    """Return the bins of a reference's categories by their counts; None where there is none, or there are too many."""
    if not counts or len(counts) > MOST_CATEGORIES:
        return None
    ordered = sorted(counts, key=lambda category: (-counts[category], category))
    once = sum(count == 1 for count in counts.values())
    return CategoryBins(tuple(ordered[:OWN_BINS]), tuple(ordered[OWN_BINS:]), once / sum(counts.values()))


def sum_of(histograms: Sequence[Histogram]) -> Histogram:
    """Return the histogram of all parts together."""
    total = histograms[0]
    for histogram in histograms[1:]:
        total = total + histogram
    return total
