"""Square root of the mean squared distance between prediction and label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caudal.stages.audit.tally import GroupMetric, Tally, share

if TYPE_CHECKING:
    from caudal.stages.audit.tally import Numbers

ORDER = 31


def _of(tally: Tally) -> Numbers:
    """Return the root of the mean of squares."""
    root: Numbers = np.sqrt(np.clip(share(tally.squared, tally.rows), 0.0, None))
    return root


METRIC = GroupMetric(
    "rmse",
    "RMSE",
    _of,
    "square root of the mean squared distance between prediction and label",
    forms=("numbers",),
    better="lower",
)
