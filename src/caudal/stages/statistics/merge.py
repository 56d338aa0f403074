"""Partials of the same panes become one; the order in which they come does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caudal.stages.statistics.partial import Partials
from caudal.stages.statistics.samples import PANE_BITS

Array = np.ndarray[Any, Any]


def merged(parts: Sequence[Partials]) -> Partials:
    """Return the sum of partials: counts and sums added, bounds widened, samples gathered in order."""
    parts = [one for one in parts if len(one)] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    device, pane = _all(parts, "device"), _all(parts, "pane")
    order = np.argsort((device << PANE_BITS) + pane, kind="stable")
    device, pane = device[order], pane[order]
    starts = np.flatnonzero(np.concatenate(([True], (device[1:] != device[:-1]) | (pane[1:] != pane[:-1]))))

    def added(name: str, axis: int = 0) -> Array:
        return np.add.reduceat(np.take(_all(parts, name, axis), order, axis=axis), starts, axis=axis)

    kept, values = _all(parts, "kept"), _all(parts, "values")
    line = np.lexsort((kept[:, 2], kept[:, 1], kept[:, 0]))
    return Partials(
        device[starts], pane[starts], added("samples"), np.maximum.reduceat(_all(parts, "newest")[order], starts), added("count"),
        np.minimum.reduceat(_all(parts, "low")[order], starts, axis=0), np.maximum.reduceat(_all(parts, "high")[order], starts, axis=0),
        added("sums", 1), added("squares", 1), added("ranges"), sketched(_all(parts, "sketch")), kept[line], values[line],
    )  # fmt: skip


def sketched(rows: Array) -> Array:
    """Return sketch rows in order, those of the same key added."""
    if len(rows) == 0:
        return rows
    rows = rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))]
    new = np.any(rows[1:, :4] != rows[:-1, :4], axis=1)
    starts = np.flatnonzero(np.concatenate(([True], new)))
    out = rows[starts]
    out[:, 4] = np.add.reduceat(rows[:, 4], starts)
    return out


def _all(parts: Sequence[Partials], name: str, axis: int = 0) -> Array:
    return np.concatenate([getattr(one, name) for one in parts], axis=axis)
