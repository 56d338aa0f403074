"""Share of the negative predictions whose label is positive (false omission rate)."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 18

METRIC = GroupMetric(
    "false_omission_rate",
    "FOR",
    lambda tally: share(tally.false_negative, tally.false_negative + tally.true_negative),
    "share of the negative predictions whose label is positive (false omission rate)",
    better="lower",
)
