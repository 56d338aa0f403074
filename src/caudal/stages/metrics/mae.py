"""Mean absolute error."""

from __future__ import annotations

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 10


def score(judged: Judged) -> float:
    """Return the mean distance of predictions from labels, in the label's unit."""
    return float(judged.absolute_error.mean())


METRIC = Metric("mae", "regression", "lower", score)
