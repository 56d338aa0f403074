"""Share of the rows that are predicted positive (predicted prevalence)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 11

METRIC = GroupMetric(
    "selection_rate",
    "Selection rate",
    lambda tally: share(tally.true_positive + tally.false_positive, tally.rows),
    "share of the rows that are predicted positive (predicted prevalence)",
)
