"""What servers keep of the requests for predictions, as measurements of a minute: requests, errors and seconds, and inputs that models have not learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, measurements

KIND = "serving"
REQUESTS = "requests"
"""Number of requests within a minute; ``detail`` has those that the server failed at, the rows sent, and the 95th percentile of the seconds."""
RANGE, UNKNOWN, MISSING = "range", "category", "missing"
"""Number of rows of which an input was beyond the range of the training rows, of a category that was not among them, or missing."""


def served_minutes(ledger: Ledger, product: str, since: float) -> list[Measurement]:
    """Return what servers have written of a product's models for the minutes from ``since`` on, newest first."""
    return measurements(ledger, product=product, subject_kind=KIND, metric=(REQUESTS, RANGE, UNKNOWN, MISSING), since=since)


def learned_range(document: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the range of a numeric input among the training rows, by its document in a signature; None where the version does not know it.

    Versions of an older caudal keep the range as limits of what they take.

    Examples
    --------
    >>> learned_range({"type": "double", "seen": [0.5, 120.0]}), learned_range({"type": "double", "minimum": 0.0, "maximum": 9.0})
    ((0.5, 120.0), (0.0, 9.0))
    >>> learned_range({"type": "double", "minimum": 0.0}), learned_range({"type": "string", "minimum": 0, "maximum": 1})
    (None, None)
    """
    if document.get("type") not in ("double", "long"):
        return None
    seen = document.get("seen")
    if seen:
        return float(seen[0]), float(seen[1])
    low, high = document.get("minimum"), document.get("maximum")
    return None if low is None or high is None else (float(low), float(high))
