"""What repetitions say of two platforms: spreads, and ratios with their intervals of confidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median, variance
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caudal.report.documents.comparison import PairDocument, PlatformDocument, Spread

CONFIDENCE = 0.95
COMPARED = ("work_s", "total_s")
"""The measures of which one platform may be said to be faster."""


def spread(values: Sequence[float]) -> Spread:
    """Return what repetitions gave, in the order in which they ran."""
    return {"values": list(values), "median": median(values), "low": min(values), "high": max(values)}


def compare_pairs(platforms: Sequence[PlatformDocument]) -> list[PairDocument]:
    """Return each measured platform beside each that stands after it, for each of the measures that are compared."""
    measured = [each for each in platforms if each["state"] == "measured"]
    return [
        _pair(measure, first, second)
        for measure in COMPARED
        for place, first in enumerate(measured)
        for second in measured[place + 1 :]
        if measure in first["spreads"] and measure in second["spreads"]
    ]


def _pair(measure: str, first: PlatformDocument, second: PlatformDocument) -> PairDocument:
    ratio, low, high = ratio_interval(first["spreads"][measure]["values"], second["spreads"][measure]["values"])
    if low is None or high is None:
        claim = "too few repetitions"
    else:
        claim = "faster" if high < 1 else "slower" if low > 1 else "no difference shown"
    return {
        "measure": measure, "platform": first["platform"], "beside": second["platform"], "ratio": ratio, "low": low, "high": high,
        "confidence": CONFIDENCE, "claim": claim,
    }  # fmt: skip


def ratio_interval(values: Sequence[float], others: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return the ratio of two geometric means, with the ends of its interval of confidence (Welch's, of logarithms).

    Times of repetitions are skewed to the right, and what is asked is a ratio: so their logarithms are compared. The ends are None where one side
    has fewer than two values.

    Examples
    --------
    >>> ratio_interval([2.0], [1.0])
    (2.0, None, None)
    """
    logs, other_logs = ([math.log(max(value, 1e-9)) for value in side] for side in (values, others))
    difference = fmean(logs) - fmean(other_logs)
    if len(logs) < 2 or len(other_logs) < 2:
        return math.exp(difference), None, None
    from scipy.stats import t  # comes with scikit-learn

    parts = variance(logs) / len(logs), variance(other_logs) / len(other_logs)
    error = math.sqrt(sum(parts))
    if error == 0:
        return math.exp(difference), math.exp(difference), math.exp(difference)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(logs) - 1) + parts[1] ** 2 / (len(other_logs) - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return math.exp(difference), math.exp(difference - half), math.exp(difference + half)


def spreads(repetitions: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return the spread of each measure that all repetitions have."""
    names = [name for name in (repetitions[0] if repetitions else {}) if all(name in each for each in repetitions)]
    return {name: spread([each[name] for each in repetitions]) for name in names}
