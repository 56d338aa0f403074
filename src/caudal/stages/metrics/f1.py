"""Harmonic mean of precision and recall."""

from __future__ import annotations

from sklearn.metrics import f1_score

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 24


def score(judged: Judged) -> float:
    """Return F1 of the positive class; with more than two classes, the mean over all classes."""
    if judged.binary:
        positive = judged.classes[-1]
        return float(f1_score(judged.truth == positive, judged.guess == positive, zero_division=0))
    return float(f1_score(judged.truth, judged.guess, average="macro", zero_division=0))


METRIC = Metric("f1", "classification", "higher", score)
