"""The largest error."""

from __future__ import annotations

from caudal.stages.metrics.judged import Judged, Metric


def score(judged: Judged) -> float:
    """Return how far the worst prediction is off."""
    return float(judged.absolute_error.max())


METRIC = Metric("worst", "regression", "lower", score)
