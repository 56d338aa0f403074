"""Share of wrong predictions."""

from __future__ import annotations

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 22


def score(judged: Judged) -> float:
    """Return the share of predictions that differ from the label."""
    return 1 - float((judged.truth == judged.guess).mean())


METRIC = Metric("error_rate", "classification", "lower", score)
