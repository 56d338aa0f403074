"""The share of categories that the reference does not know."""

from __future__ import annotations

from caudal.stages.monitor.bins import Bins, Histogram
from caudal.stages.monitor.measure import Measure

ORDER = 70


def new_share(bins: Bins, reference: Histogram, window: Histogram) -> float:
    """Return the share of rows in the last bin, that of new categories, among those with a value."""
    return window.counts[-1] / window.valued


MEASURE = Measure("new_share", new_share, "categories", "share")
