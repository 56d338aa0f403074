"""Share of the negative labels that are predicted negative (true negative rate, specificity)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 15

METRIC = GroupMetric(
    "tnr",
    "TNR",
    lambda tally: share(tally.true_negative, tally.false_positive + tally.true_negative),
    "share of the negative labels that are predicted negative (true negative rate, specificity)",
    better="higher",
)
