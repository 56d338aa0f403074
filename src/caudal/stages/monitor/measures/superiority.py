"""The probability that a value of the window is above one of the reference."""

from __future__ import annotations

import numpy as np

from caudal.stages.monitor.bins import Bins, Histogram
from caudal.stages.monitor.measure import Measure

ORDER = 15


def superiority(bins: Bins, reference: Histogram, window: Histogram) -> float:
    """Return P(window > reference) + ½ P(equal), equal being the same bin: ½ where nothing is shifted.

    It is the Mann-Whitney statistic divided by both numbers of rows. Unlike a distance it has a direction, so that a small shift that stays adds up over windows.

    Examples
    --------
    >>> from caudal.stages.monitor.bins import NumberBins
    >>> superiority(NumberBins((0.0,)), Histogram((5, 5)), Histogram((0, 5)))
    0.75
    """

    first, second = np.array(reference.counts) / reference.valued, np.array(window.counts) / window.valued
    below = np.cumsum(first) - first
    return float((second * (below + first / 2)).sum())


MEASURE = Measure("superiority", superiority, "numbers", "share", "both")
