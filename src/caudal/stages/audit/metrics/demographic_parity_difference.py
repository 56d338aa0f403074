"""Greatest difference of selection rates between groups."""

from __future__ import annotations

from caudal.stages.audit.tally import Comparison

ORDER = 50

METRIC = Comparison(
    "demographic_parity_difference",
    "Demographic parity difference",
    ("selection_rate",),
    "difference",
    "greatest difference of selection rates between groups",
)
