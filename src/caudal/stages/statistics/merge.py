"""Partials of the same panes become one; the order in which they come does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caudal.stages.statistics.partial import Partials, group_of
from caudal.stages.statistics.sketch import counted, sketched

Array = np.ndarray[Any, Any]
MANY = 4096  # samples of a group: with more, there are fewer keys than readings


def merged(parts: Sequence[Partials]) -> Partials:
    """Return the sum of partials: counts and sums added, bounds widened, samples gathered in order."""
    parts = [one for one in parts if len(one)] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    device, pane = _all(parts, "device"), _all(parts, "pane")
    group = group_of(device, pane)
    order = np.argsort(group, kind="stable")
    device, pane, group = device[order], pane[order], group[order]
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))

    def added(name: str, axis: int = 0) -> Array:
        return np.add.reduceat(np.take(_all(parts, name, axis), order, axis=axis), starts, axis=axis)

    loose, keys, sketch = _counted(group[starts], _all(parts, "loose"), _all(parts, "keys"), _all(parts, "sketch", 1))
    kept, values = _all(parts, "kept"), _all(parts, "values")
    line = np.lexsort((kept[:, 2], kept[:, 1], kept[:, 0]))
    return Partials(
        device[starts], pane[starts], added("samples"), np.maximum.reduceat(_all(parts, "newest")[order], starts), added("count"),
        np.minimum.reduceat(_all(parts, "low")[order], starts, axis=0), np.maximum.reduceat(_all(parts, "high")[order], starts, axis=0),
        added("sums", 1), added("squares", 1), added("ranges"), loose, keys, sketch, kept[line], values[line],
    )  # fmt: skip


def _counted(group: Array, loose: Array, keys: Array, sketch: Array) -> tuple[Array, Array, Array]:
    """Return loose samples and the sketch, into which goes what has become too many."""
    at = np.searchsorted(group, loose)
    many = (np.bincount(at, minlength=len(group)) > MANY)[at]
    if not many.any():
        return loose, keys, sketched(sketch)
    return loose[~many], keys[~many], sketched(np.concatenate([sketch, counted(loose[many], keys[many])], axis=1))


def _all(parts: Sequence[Partials], name: str, axis: int = 0) -> Array:
    return np.concatenate([getattr(one, name) for one in parts], axis=axis)
