"""Share of the positive labels that are predicted positive (true positive rate, recall)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 12

METRIC = GroupMetric(
    "tpr",
    "Recall (TPR)",
    lambda tally: share(tally.true_positive, tally.true_positive + tally.false_negative),
    "share of the positive labels that are predicted positive (true positive rate, recall)",
    better="higher",
)
