"""A sketch of a distribution that adds up without error: readings counted by whole-numbered keys, finer near a centre.

The keys are those of a log-linear histogram, as HdrHistogram has them: the bits of ``1 + |x - centre| / resolution`` as a float32, cut to
6 bits of the mantissa, so that a bin is at most 1/64 of its lower bound wide. Counts of equal keys are added, which has no order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_SHIFT = 17  # of the 23 bits of a float32's mantissa, 6 remain
_ONE = int(np.float32(1).view(np.int32)) >> _SHIFT


def keys(values: Array, centre: float, resolution: float) -> Array:
    """Return the key of each value, int32; keys ascend with the values.

    Examples
    --------
    >>> keys(np.array([-2.0, 0.0, 2.0], np.float32), 0.0, 1.0).tolist()
    [-96, 0, 96]
    """
    away = (values - np.float32(centre)) * np.float32(1 / resolution)
    below = np.signbit(away)
    np.abs(away, out=away)
    away += np.float32(1)
    key = (away.view(np.int32) >> _SHIFT) - np.int32(_ONE)
    np.negative(key, out=key, where=below)
    return key


def values_of(key: Array, centre: float, resolution: float) -> Array:
    """Return the middle of each key's bin, float64."""
    size = np.abs(key).astype(np.int32) + np.int32(_ONE)
    low = (size << _SHIFT).view(np.float32).astype(np.float64)
    high = ((size + 1) << _SHIFT).view(np.float32).astype(np.float64)
    middle = np.where(key == 0, 0.0, (low + high) / 2 - 1)
    return centre + np.sign(key) * middle * resolution


def quantiles(
    slot: Array, key: Array, readings: Array, slots: int, wanted: Sequence[float], centre: float, resolution: float
) -> Array:
    """Return the quantiles of each slot, float64 [slots, wanted]; NaN where a slot has no readings.

    Parameters
    ----------
    slot, key, readings : int64 [k], in order of (slot, key), no pair twice
    """
    out = np.full((slots, len(wanted)), np.nan)
    if len(slot) == 0:
        return out
    running = np.cumsum(readings)
    starts = np.searchsorted(slot, np.arange(slots))
    ends = np.searchsorted(slot, np.arange(slots), side="right")
    has = ends > starts
    before = np.where(starts > 0, running[np.maximum(starts, 1) - 1], 0)
    total = np.where(has, running[np.maximum(ends, 1) - 1] - before, 0)
    for i, q in enumerate(wanted):
        rank = before + np.maximum(1, np.ceil(q * total)).astype(np.int64)
        at = np.searchsorted(running, rank)
        out[has, i] = values_of(key[at[has]], centre, resolution)
    return out
