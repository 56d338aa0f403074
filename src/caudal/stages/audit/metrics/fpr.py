"""Share of the negative labels that are predicted positive (false positive rate)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 13

METRIC = GroupMetric(
    "fpr",
    "FPR",
    lambda tally: share(tally.false_positive, tally.false_positive + tally.true_negative),
    "share of the negative labels that are predicted positive (false positive rate)",
    better="lower",
)
