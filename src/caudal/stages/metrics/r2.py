"""Coefficient of determination."""

from __future__ import annotations

import numpy as np

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 13


def score(judged: Judged) -> float | None:
    """Return the share of the labels' variance that predictions explain; None where all labels are equal."""
    if judged.values.min() == judged.values.max():  # the mean of equal numbers may differ from them in the last digit
        return None
    scatter = float(np.square(judged.values - judged.values.mean()).sum())
    return 1 - float(np.square(judged.absolute_error).sum()) / scatter if scatter else None


METRIC = Metric("r2", "regression", "higher", score)
