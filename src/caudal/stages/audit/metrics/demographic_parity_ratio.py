"""Least selection rate divided by the greatest; the four-fifths rule asks for 0.8."""

from __future__ import annotations

from caudal.stages.audit.tally import Comparison

ORDER = 51

METRIC = Comparison(
    "demographic_parity_ratio",
    "Demographic parity ratio",
    ("selection_rate",),
    "ratio",
    "least selection rate divided by the greatest; the four-fifths rule asks for 0.8",
)
