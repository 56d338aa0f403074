"""Share of the negative predictions whose label is negative (negative predictive value)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 19

METRIC = GroupMetric(
    "npv",
    "NPV",
    lambda tally: share(tally.true_negative, tally.false_negative + tally.true_negative),
    "share of the negative predictions whose label is negative (negative predictive value)",
    better="higher",
)
