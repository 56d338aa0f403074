"""Logarithmic loss."""

from __future__ import annotations

import numpy as np

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 20


def score(judged: Judged) -> float | None:
    """Return the mean negative logarithm of the probability that was predicted for the true class."""
    share = judged.probabilities
    if share is None:
        return None
    places = np.searchsorted(np.asarray(judged.classes, object), judged.truth)
    return float(-np.log(share[np.arange(len(places)), places]).mean())


METRIC = Metric("log_loss", "classification", "lower", score, of_probabilities=True)
