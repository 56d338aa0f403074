"""Share of the rows whose label is positive (prevalence)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 10

METRIC = GroupMetric(
    "base_rate",
    "Base rate",
    lambda tally: share(tally.true_positive + tally.false_negative, tally.rows),
    "share of the rows whose label is positive (prevalence)",
)
