"""The Kolmogorov-Smirnov distance."""

from __future__ import annotations

import numpy as np

from caudal.stages.monitor.bins import Bins, Histogram
from caudal.stages.monitor.measure import Measure

ORDER = 20


def ks(bins: Bins, reference: Histogram, window: Histogram) -> float:
    """Return the greatest difference of the distribution functions at the edges; for values within the bins it is a lower bound.

    Examples
    --------
    >>> from caudal.stages.monitor.bins import NumberBins
    >>> ks(NumberBins((0.0, 1.0)), Histogram((5, 5, 0)), Histogram((0, 5, 5)))
    0.5
    """

    first, second = np.cumsum(reference.counts) / reference.valued, np.cumsum(window.counts) / window.valued
    return float(np.abs(first - second).max())


MEASURE = Measure("ks", ks, "numbers")
