"""Share of the rows that are predicted wrong."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 21

METRIC = GroupMetric(
    "error_rate",
    "Error rate",
    lambda tally: share(tally.rows - tally.hits, tally.rows),
    "share of the rows that are predicted wrong",
    forms=(
        "positive",
        "classes",
    ),
    better="lower",
)
