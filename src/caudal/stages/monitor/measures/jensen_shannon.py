"""The Jensen-Shannon distance."""

from __future__ import annotations

import numpy as np

from caudal.stages.monitor.bins import Bins, Histogram
from caudal.stages.monitor.measure import Measure, shares

ORDER = 50


def jensen_shannon(bins: Bins, reference: Histogram, window: Histogram) -> float:
    """Return the square root of the Jensen-Shannon divergence to the base 2: between 0 and 1, and a metric (Endres and Schindelin 2003)."""

    first, second = shares(reference, window)
    middle = (first + second) / 2

    def divergence(part: np.ndarray) -> float:
        held = part > 0
        return float((part[held] * np.log2(part[held] / middle[held])).sum())

    return float(np.sqrt(max((divergence(first) + divergence(second)) / 2, 0.0)))


MEASURE = Measure("jensen_shannon", jensen_shannon)
