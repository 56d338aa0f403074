"""Mean distance between prediction and label."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 30

METRIC = GroupMetric(
    "mae",
    "MAE",
    lambda tally: share(tally.absolute, tally.rows),
    "mean distance between prediction and label",
    forms=("numbers",),
    better="lower",
)
