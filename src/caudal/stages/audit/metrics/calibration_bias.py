"""Mean score minus base rate: positive where a group is scored higher than its labels are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.stages.audit.tally import GroupMetric, Tally, share

if TYPE_CHECKING:
    from caudal.stages.audit.tally import Numbers

ORDER = 23


def _of(tally: Tally) -> Numbers:
    """Return (sum of scores − number of positive labels), divided by the rows."""
    assert tally.bin_scores is not None
    assert tally.bin_positives is not None
    return share((tally.bin_scores - tally.bin_positives).sum(axis=-1), tally.rows)


METRIC = GroupMetric(
    "calibration_bias", "Calibration bias", _of, "mean score minus base rate (calibration in the large)", of_scores=True
)
