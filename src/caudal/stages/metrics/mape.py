"""Mean absolute error as a share of the label."""

from __future__ import annotations

import numpy as np

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 12


def score(judged: Judged) -> float | None:
    """Return the mean distance of predictions from labels as a share of the label; None where every label is 0."""
    nonzero = judged.values != 0  # a share of nothing has no value: such rows are left out
    return float((judged.absolute_error[nonzero] / np.abs(judged.values[nonzero])).mean()) if nonzero.any() else None


METRIC = Metric("mape", "regression", "lower", score)
