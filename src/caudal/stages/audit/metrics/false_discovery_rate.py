"""Share of the positive predictions whose label is negative (false discovery rate)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 17

METRIC = GroupMetric(
    "false_discovery_rate",
    "FDR",
    lambda tally: share(tally.false_positive, tally.true_positive + tally.false_positive),
    "share of the positive predictions whose label is negative (false discovery rate)",
    better="lower",
)
