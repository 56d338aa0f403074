"""The scale on which a kind of figure is about normal, and what the number of rows alone makes of it."""

from __future__ import annotations

import math

from caudal.stages.monitor.measure import Scale

_LEAST_DISTANCE = 1e-9
_DISTANCE_FLOOR = 0.1  # sampling alone makes distances differ by more than a tenth


def scaled(value: float, scale: Scale) -> float:
    """Return a figure on its scale: the logarithm of a distance or a count, the arcsine of a root of a share; a score is left as it is.

    Examples
    --------
    >>> scaled(1.0, "share") == math.pi / 2, scaled(0, "count"), scaled(0.25, "score")
    (True, 0.0, 0.25)
    """
    if scale == "distance":
        return math.log(max(value, 0.0) + _LEAST_DISTANCE)
    if scale == "share":
        return math.asin(math.sqrt(min(max(value, 0.0), 1.0)))
    if scale == "count":
        return math.log1p(value)
    return value


def floor_of(scale: Scale, rows: int, value: float = 0.0) -> float:
    """Return the least standard deviation on the scale for figures of so many rows."""
    rows = max(rows, 1)
    if scale == "distance":
        return _DISTANCE_FLOOR
    if scale == "share":
        return 0.5 / math.sqrt(rows)
    if scale == "count":
        return 1 / math.sqrt(rows)
    return abs(value) / math.sqrt(rows)
