"""Share of correct predictions."""

from __future__ import annotations

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 21


def score(judged: Judged) -> float:
    """Return the share of predictions that equal the label."""
    return float((judged.truth == judged.guess).mean())


METRIC = Metric("accuracy", "classification", "higher", score)
