"""The greater of the greatest differences of true and of false positive rates (Hardt et al. 2016)."""

from __future__ import annotations

from caudal.stages.audit.tally import Comparison

ORDER = 53

METRIC = Comparison(
    "equalized_odds_difference",
    "Equalised odds difference",
    ("tpr", "fpr"),
    "difference",
    "the greater of the greatest differences of true and of false positive rates (Hardt et al. 2016)",
)
