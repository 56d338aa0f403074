"""The population stability index."""

from __future__ import annotations

import numpy as np

from caudal.stages.monitor.bins import Bins, Histogram
from caudal.stages.monitor.measure import Measure

ORDER = 10


def psi(bins: Bins, reference: Histogram, window: Histogram) -> float:
    """Return Σ (w − r) ln(w / r) over the bins, each count with half a row added, so that an empty bin has a finite share.

    It is the symmetric Kullback-Leibler divergence (Jeffreys 1946), in credit scoring called stability index (Siddiqi 2006).

    Examples
    --------
    >>> from caudal.stages.monitor.bins import NumberBins
    >>> round(psi(NumberBins((0.0,)), Histogram((500, 500)), Histogram((250, 750))), 3)
    0.274
    """

    first, second = np.array(reference.counts, "float64"), np.array(window.counts, "float64")
    used = (first + second) > 0
    first, second = first[used] + 0.5, second[used] + 0.5
    first, second = first / first.sum(), second / second.sum()
    return float(((second - first) * np.log(second / first)).sum())


MEASURE = Measure("psi", psi)
