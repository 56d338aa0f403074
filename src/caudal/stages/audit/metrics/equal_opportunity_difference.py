"""Greatest difference of true positive rates between groups (Hardt et al. 2016)."""

from __future__ import annotations

from caudal.stages.audit.tally import Comparison

ORDER = 52

METRIC = Comparison(
    "equal_opportunity_difference",
    "Equal opportunity difference",
    ("tpr",),
    "difference",
    "greatest difference of true positive rates between groups (Hardt et al. 2016)",
)
