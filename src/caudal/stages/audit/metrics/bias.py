"""Mean of prediction minus label."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 32

METRIC = GroupMetric(
    "bias",
    "Bias",
    lambda tally: share(tally.error, tally.rows),
    "mean of prediction minus label",
    forms=("numbers",),
)
