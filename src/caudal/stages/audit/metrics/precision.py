"""Share of the positive predictions whose label is positive (positive predictive value)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 16

METRIC = GroupMetric(
    "precision",
    "Precision",
    lambda tally: share(tally.true_positive, tally.true_positive + tally.false_positive),
    "share of the positive predictions whose label is positive (positive predictive value)",
    better="higher",
)
