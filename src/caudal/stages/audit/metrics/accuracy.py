"""Share of the rows that are predicted right."""

from __future__ import annotations

from caudal.stages.audit.tally import GroupMetric, share

ORDER = 20

METRIC = GroupMetric(
    "accuracy",
    "Accuracy",
    lambda tally: share(tally.hits, tally.rows),
    "share of the rows that are predicted right",
    forms=(
        "positive",
        "classes",
    ),
    better="higher",
)
