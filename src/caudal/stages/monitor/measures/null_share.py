"""The share of rows without a value."""

from __future__ import annotations

from caudal.stages.monitor.bins import Bins, Histogram
from caudal.stages.monitor.measure import Measure

ORDER = 60


def null_share(bins: Bins, reference: Histogram, window: Histogram) -> float:
    """Return the window's share of nulls."""
    return window.nulls / window.rows


MEASURE = Measure("null_share", null_share, scale="share")
