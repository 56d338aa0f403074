"""Share of the positive labels that are predicted negative (false negative rate)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 14

METRIC = GroupMetric(
    "fnr",
    "FNR",
    lambda tally: share(tally.false_negative, tally.true_positive + tally.false_negative),
    "share of the positive labels that are predicted negative (false negative rate)",
    better="lower",
)
