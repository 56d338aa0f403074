"""Expected calibration error: distance between score and share of positive labels, mean over the rows of ten bins of equal width.

Naeini, Cooper, Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning", AAAI, equation 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caudal.stages.audit.tally import GroupMetric, Tally, share

if TYPE_CHECKING:
    from caudal.stages.audit.tally import Numbers

ORDER = 22


def _of(tally: Tally) -> Numbers:
    """Return Σ over bins of |sum of scores − number of positive labels|, divided by the rows."""
    assert tally.bin_scores is not None
    assert tally.bin_positives is not None
    return share(np.abs(tally.bin_scores - tally.bin_positives).sum(axis=-1), tally.rows)


METRIC = GroupMetric(
    "calibration_error",
    "Calibration error",
    _of,
    "mean distance between score and share of positive labels, over ten bins of the score (expected calibration error)",
    better="lower",
    of_scores=True,
)
