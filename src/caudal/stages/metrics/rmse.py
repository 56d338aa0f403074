"""Root mean squared error."""

from __future__ import annotations

import numpy as np

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 11


def score(judged: Judged) -> float:
    """Return the root of the mean squared distance of predictions from labels, in the label's unit."""
    return float(np.sqrt(np.square(judged.absolute_error).mean()))


METRIC = Metric("rmse", "regression", "lower", score)
