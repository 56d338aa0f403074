"""A sketch of a distribution that can be merged without error: readings counted by integer keys, finer near a centre.

The keys are those of a log-linear histogram, as in HdrHistogram: the bits of ``1 + |x - centre| / resolution`` as a float32, cut to
6 bits of the mantissa, so that a bin is at most 1/64 of its lower bound wide. Counts of equal keys are added, so order does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from caudal.stages.statistics.numbering import Floats, Integers, Readings

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHIFT = 17  # of the 23 bits of a float32's mantissa, 6 remain
MISSING = np.int16(-(1 << 15))
_KEY_BITS = 15  # keys are within ±2^13
_MIDDLE = 1 << (_KEY_BITS - 1)
_SLOT_BITS = 31  # with up to 2^16 sensors
_ONE = int(np.float32(1).view(np.int32)) >> _SHIFT


def sketch_keys(values: Readings, centre: float, resolution: float) -> NDArray[np.int32]:
    """Return the key of each value, int32; keys ascend with the values.

    Examples
    --------
    >>> sketch_keys(np.array([-2.0, 0.0, 2.0], np.float32), 0.0, 1.0).tolist()
    [-96, 0, 96]
    """
    scaled = (values - np.float32(centre)) * np.float32(1 / resolution)
    below = np.signbit(scaled)
    np.abs(scaled, out=scaled)
    scaled += np.float32(1)
    key = (scaled.view(np.int32) >> _SHIFT) - np.int32(_ONE)
    np.negative(key, out=key, where=below)
    return key


def values_of(key: NDArray[np.integer], centre: float, resolution: float) -> Floats:
    """Return the middle of each key's bin, float64."""
    size = np.abs(key).astype(np.int32) + np.int32(_ONE)
    low = (size << _SHIFT).view(np.float32).astype(np.float64)
    high = ((size + 1) << _SHIFT).view(np.float32).astype(np.float64)
    middle = np.where(key == 0, 0.0, (low + high) / 2 - 1)
    values: Floats = centre + np.sign(key) * middle * resolution
    return values


def sketch_of(group: Integers, keys: NDArray[np.int16]) -> Integers:
    """Return the sketch of readings.

    Parameters
    ----------
    group : int64 [n]; keys : int16 [n, c], `MISSING` where there is no reading
    """
    groups, at = np.unique(group, return_inverse=True)
    code = _sorted_codes(at, keys, len(groups))
    firsts = _changes(code)
    cell, key = np.divmod(code[firsts].astype(np.int64), 1 << _KEY_BITS)
    at, sensor = np.divmod(cell, keys.shape[1])
    return np.stack([groups[at], (sensor << _KEY_BITS) + key, np.diff(np.append(firsts, len(code)))])


def _sorted_codes(at: Integers, keys: NDArray[np.int16], groups: int) -> Integers:
    """Return one number for group, sensor and key of each reading, sorted."""
    c = keys.shape[1]
    kind = np.int32 if groups * c << _KEY_BITS < 1 << 31 else np.int64
    code = ((at * c).astype(kind)[:, None] + np.arange(c, dtype=kind)) << _KEY_BITS
    code += keys
    code += kind(_MIDDLE)
    code = code.ravel() if keys.min(initial=0) > MISSING else code[keys > MISSING]
    code.sort()
    codes: Integers = code
    return codes


def merge_sketch(rows: Integers) -> Integers:
    """Return a sketch in order, with the counts of equal keys added.

    Groups in one piece are moved to their position; only groups in several pieces are sorted.
    """
    starts = _changes(rows[0])
    groups = rows[0, starts]
    if np.all(groups[1:] > groups[:-1]):
        return rows
    lengths = np.diff(np.append(starts, rows.shape[1]))
    order = np.argsort(groups, kind="stable")
    starts, lengths, groups = starts[order], lengths[order], groups[order]
    rows = rows[:, np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(rows.shape[1])]
    same = groups[1:] == groups[:-1]
    if not same.any():
        return rows
    is_split = np.repeat(np.append(same, False) | np.append(False, same), lengths)
    number = np.repeat(np.cumsum(np.append(True, ~same)), lengths)[is_split]
    group, slot, readings = rows[:, is_split]
    key = (number << _SLOT_BITS) + slot
    order = np.argsort(key)
    key = key[order]
    firsts = _changes(key)
    first = order[firsts]
    added = np.stack([group[first], slot[first], np.add.reduceat(readings[order], firsts)])
    return added if is_split.all() else merge_sketch(np.concatenate([rows[:, ~is_split], added], axis=1))


def _changes(numbers: Integers) -> Integers:
    """Return the positions where the number differs from the one before."""
    return np.flatnonzero(np.concatenate(([True], numbers[1:] != numbers[:-1]))[: len(numbers)])


def quantiles_of_loose(
    at: Integers, keys: NDArray[np.int16], count: Integers, quantiles: Sequence[float], centre: float, resolution: float
) -> Floats:
    """Return the quantiles of readings that are not in a sketch, float64 [g, c, quantiles]; NaN where there are none.

    Parameters
    ----------
    at : int64 [n], the group of each sample, 0 … g - 1; keys : int16 [n, c]
    count : int64 [g, c], the number of readings of each
    """
    out = np.full((*count.shape, len(quantiles)), np.nan)
    order = np.arange(len(at)) if np.all(at[1:] >= at[:-1]) else np.argsort(at, kind="stable")
    lengths = np.bincount(at, minlength=len(count))
    firsts = np.cumsum(lengths) - lengths
    # Groups of one length are sorted together, each sensor's keys by themselves: NumPy sorts short rows of small integers many times as fast as
    # one long row of numbers for group, sensor and key.
    for length in np.unique(lengths[lengths > 0]).tolist():
        groups = np.flatnonzero(lengths == length)
        samples = order[firsts[groups][:, None] + np.arange(length)]
        cells = np.ascontiguousarray(keys[samples].transpose(0, 2, 1))
        cells.sort(axis=2)
        n = count[groups]
        for i, q in enumerate(quantiles):
            place = np.minimum(
                length - n + np.maximum(1, np.ceil(q * n).astype(np.int64)) - 1, length - 1
            )  # missing ones come first
            key = np.take_along_axis(cells, place[:, :, None], axis=2)[:, :, 0].astype(np.int32)
            out[groups, :, i] = np.where(n > 0, values_of(key, centre, resolution), np.nan)
    return out


def quantiles_of_counted(
    at: Integers, sketch: Integers, groups: int, channels: int, quantiles: Sequence[float], centre: float, resolution: float
) -> Floats:
    """Return the quantiles of a sketch, float64 [groups, channels, quantiles]; NaN where there are no readings.

    Parameters
    ----------
    at : int64 [k], the group of each row, 0 … groups - 1
    """
    cells = groups * channels
    out = np.full((cells, len(quantiles)), np.nan)
    sensor, key = sketch[1] >> _KEY_BITS, (sketch[1] & ((1 << _KEY_BITS) - 1)) - _MIDDLE
    cell, running = at * channels + sensor, np.cumsum(sketch[2])
    starts, ends = np.searchsorted(cell, np.arange(cells)), np.searchsorted(cell, np.arange(cells), side="right")
    has = ends > starts
    before = np.append(0, running)[starts[has]]
    total = running[ends[has] - 1] - before
    for i, q in enumerate(quantiles):
        rank = before + np.maximum(1, np.ceil(q * total)).astype(np.int64)
        out[has, i] = values_of(key[np.searchsorted(running, rank)], centre, resolution)
    return out.reshape(groups, channels, len(quantiles))
