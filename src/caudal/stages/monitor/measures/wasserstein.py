"""The Wasserstein distance, in deviations of the reference."""

from __future__ import annotations

import numpy as np

from caudal.stages.monitor.bins import Bins, Histogram, NumberBins
from caudal.stages.monitor.measure import Measure

ORDER = 30


def wasserstein(bins: Bins, reference: Histogram, window: Histogram) -> float:
    """Return the area between the distribution functions of the bins' centers, divided by the reference's standard deviation.

    Where the reference is constant, the area itself is returned.
    """

    assert isinstance(bins, NumberBins)
    centers = bins.centers
    first, second = np.array(reference.counts) / reference.valued, np.array(window.counts) / window.valued
    area = float((np.abs(np.cumsum(first - second))[:-1] * np.diff(centers)).sum())
    mean = float((first * centers).sum())
    deviation = float(np.sqrt((first * (centers - mean) ** 2).sum()))
    return area / deviation if deviation else area


MEASURE = Measure("wasserstein", wasserstein, "numbers")
