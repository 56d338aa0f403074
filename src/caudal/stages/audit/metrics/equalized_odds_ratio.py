"""The smaller of the smallest ratios of true and of false positive rates."""

from __future__ import annotations

from caudal.stages.audit.tally import Comparison

ORDER = 54

METRIC = Comparison(
    "equalized_odds_ratio",
    "Equalised odds ratio",
    ("tpr", "fpr"),
    "ratio",
    "the smaller of the smallest ratios of true and of false positive rates",
)
