"""The type of a measure of drift: it compares two histograms over the same bins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from caudal.stages.monitor.bins import Bins, Histogram

Scale = Literal["distance", "share", "count", "score"]
Side = Literal["high", "low", "both"]


@dataclass(frozen=True)
class Measure:
    """A measure of drift between a reference and a window.

    Parameters
    ----------
    compare : returns the distance; both histograms have rows with a value
    of : which columns it is for
    scale : how its figures are distributed (`caudal.stages.monitor.scale`)
    side : which direction is a change
    """

    name: str
    compare: Callable[[Bins, Histogram, Histogram], float]
    of: Literal["numbers", "categories", "both"] = "both"
    scale: Scale = "distance"
    side: Side = "high"


def shares(reference: Histogram, window: Histogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of each bin in both histograms, without the bins that both leave empty."""

    first, second = np.array(reference.counts, "float64"), np.array(window.counts, "float64")
    used = (first + second) > 0
    return first[used] / first.sum(), second[used] / second.sum()
