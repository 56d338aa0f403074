"""Cramér's V of the chi-square statistic."""

from __future__ import annotations

import numpy as np

from caudal.stages.monitor.bins import Bins, Histogram
from caudal.stages.monitor.measure import Measure

ORDER = 40


def chi_square(bins: Bins, reference: Histogram, window: Histogram) -> float:
    """Return √(χ² / n) of the table of reference and window by bin: Cramér's V, between 0 and 1 whatever the number of rows."""

    table = np.array([reference.counts, window.counts], "float64")
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    return float(np.sqrt(((table - expected) ** 2 / expected).sum() / table.sum()))


MEASURE = Measure("chi_square", chi_square)
