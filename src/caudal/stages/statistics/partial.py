"""Samples → what can be added up: per device, pane and sensor, counts, bounds and sums that have no order.

A double is added in pieces that are whole numbers below 2^53, so that a sum is the same to the bit however the samples are spread over
messages, tasks, batches and restarts: `run` and `stream` give the same rows. Values keep 2^-50, their squares 2^-70. Readings
that are no number, or of magnitude 2^24 and above, are missing readings.

Cost: about 25 ns a reading in NumPy, of which half are the sums of squares (see ``benchmarks/stream``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from caudal.spec.statistics import Statistics
from caudal.stages.statistics.samples import PANE_BITS, Samples
from caudal.stages.statistics.sketch import keys

Array = np.ndarray[Any, Any]
LARGEST = float(1 << 24)
LONGEST = 1 << 14  # samples that are added as doubles before they become whole numbers of 64 bits
SUM_UNITS = (2.0**-10, 2.0**-50)
SQUARE_UNITS = (2.0**10, 2.0**-30, 2.0**-70)


@dataclass(frozen=True)
class Partials:
    """What has been added up of panes; groups are rows, in order of (device, pane), none twice.

    Parameters
    ----------
    device, pane : int64 [g]
    samples : int64 [g], samples taken, and ``newest`` int64 [g], the event time of the last one, microseconds
    count : int64 [g, c], readings that are numbers
    low, high : float32 [g, c], least and greatest; +inf and -inf where there is none
    sums : int64 [2, g, c] in units of ``SUM_UNITS``; squares : int64 [3, g, c] in units of ``SQUARE_UNITS``
    ranges : int64 [g, c, edges + 1]
    sketch : int64 [k, 5], rows (device, pane, sensor, key, readings), in order, no key twice
    kept : samples in full, where bands need them: int64 [m, 3] (device, pane, at_us) and ``values`` float32 [m, c]
    """

    device: Array
    pane: Array
    samples: Array
    newest: Array
    count: Array
    low: Array
    high: Array
    sums: Array
    squares: Array
    ranges: Array
    sketch: Array
    kept: Array
    values: Array

    def __len__(self) -> int:
        return len(self.device)

    @property
    def bytes(self) -> int:
        """Bytes that it takes."""
        return sum(getattr(self, one.name).nbytes for one in fields(self))

    def where(self, mask: Array) -> Partials:
        """Return the groups that a mask names, with their sketch and samples."""
        keys = _key(self.device[mask], self.pane[mask])
        return replace(
            self,
            device=self.device[mask], pane=self.pane[mask], samples=self.samples[mask], newest=self.newest[mask],
            count=self.count[mask], low=self.low[mask], high=self.high[mask], sums=self.sums[:, mask], squares=self.squares[:, mask],
            ranges=self.ranges[mask],
            sketch=self.sketch[np.isin(_key(self.sketch[:, 0], self.sketch[:, 1]), keys)] if len(self.sketch) else self.sketch,
            kept=self.kept[chosen := np.isin(_key(self.kept[:, 0], self.kept[:, 1]), keys)], values=self.values[chosen],
        )  # fmt: skip


def empty(declared: Statistics) -> Partials:
    """Return partials of nothing."""
    c, r = len(declared.channels), len(declared.ranges) + 1
    none = np.empty(0, np.int64)
    return Partials(
        none, none, none, none, np.empty((0, c), np.int64), np.empty((0, c), np.float32), np.empty((0, c), np.float32),
        np.empty((2, 0, c), np.int64), np.empty((3, 0, c), np.int64), np.empty((0, c, r if declared.ranges else 0), np.int64),
        np.empty((0, 5), np.int64), np.empty((0, 3), np.int64), np.empty((0, c), np.float32),
    )  # fmt: skip


def partials(taken: Samples, declared: Statistics) -> Partials:
    """Return what samples add up to; one that comes twice counts twice (see `Seen`)."""
    samples = len(taken)
    if samples == 0:
        return empty(declared)
    device, at_us, values = taken.device, taken.at_us, taken.values
    pane = at_us // declared.pane_us
    key = _key(device, pane)
    if np.any(key[1:] < key[:-1]):
        order = np.argsort(key, kind="stable")
        device, at_us, values, pane, key = (one[order] for one in (device, at_us, values, pane, key))
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    lengths = np.diff(np.append(starts, samples))
    cuts = starts if lengths.max() <= LONGEST else np.union1d(starts, np.arange(0, samples, LONGEST))
    owner = np.searchsorted(starts, cuts, side="right") - 1
    group = np.repeat(np.arange(len(starts)), lengths)

    def added(one: Array) -> Array:
        pieces = np.add.reduceat(one, cuts, axis=0).astype(np.int64)
        return pieces if len(cuts) == len(starts) else _grouped(pieces, owner, len(starts))

    lows, highs = np.minimum.reduceat(values, starts, axis=0), np.maximum.reduceat(values, starts, axis=0)
    whole = bool(np.isfinite(lows).all() and np.isfinite(highs).all() and max(-lows.min(), highs.max()) < LARGEST)
    count = np.repeat(lengths[:, None], values.shape[1], axis=1)
    good: Array | None = None
    filled = values
    if not whole:
        with np.errstate(invalid="ignore"):
            good = np.isfinite(values) & (np.abs(values) < LARGEST)
        filled = np.where(good, values, np.float32(0))
        lows = np.minimum.reduceat(np.where(good, values, np.float32(np.inf)), starts, axis=0)
        highs = np.maximum.reduceat(np.where(good, values, np.float32(-np.inf)), starts, axis=0)
        count = np.add.reduceat(good.astype(np.int64), starts, axis=0)
    sums, squares = _sums(filled, added)
    return Partials(
        device[starts], pane[starts], lengths.astype(np.int64), np.maximum.reduceat(at_us, starts), count, lows, highs, sums, squares,
        _ranges(filled, good, group, len(starts), declared),
        _sketch(filled, good, group, device[starts], pane[starts], declared),
        np.stack([device, pane, at_us], axis=1) if declared.bands else np.empty((0, 3), np.int64),
        values if declared.bands else np.empty((0, values.shape[1]), np.float32),
    )  # fmt: skip


def _sums(values: Array, added: Any) -> tuple[Array, Array]:
    """Return the pieces of the sum and of the sum of squares; each step is exact, for scales are powers of two."""
    x = values.astype(np.float64)
    squares = x * x
    np.multiply(x, 1 / SUM_UNITS[0], out=x)
    whole = np.rint(x)
    first = added(whole)
    np.subtract(x, whole, out=x)
    np.multiply(x, SUM_UNITS[0] / SUM_UNITS[1], out=x)
    sums = np.stack([first, added(np.rint(x, out=x))])
    np.multiply(squares, 1 / SQUARE_UNITS[0], out=squares)
    pieces = []
    for unit, finer in zip(SQUARE_UNITS, (*SQUARE_UNITS[1:], None), strict=True):
        np.rint(squares, out=whole)
        pieces.append(added(whole))
        if finer is not None:
            np.subtract(squares, whole, out=squares)
            np.multiply(squares, unit / finer, out=squares)
    return sums, np.stack(pieces)


def _ranges(values: Array, good: Array | None, group: Array, groups: int, declared: Statistics) -> Array:
    """Return the readings in each range, int64 [g, c, edges + 1]."""
    c, edges = values.shape[1], declared.ranges
    if not edges:
        return np.empty((groups, c, 0), np.int64)
    place = np.zeros(values.shape, np.uint8)
    for edge in edges:
        place += values >= np.float32(edge)
    slot = (group[:, None] * c + np.arange(c)) * (len(edges) + 1) + place
    chosen = slot.ravel() if good is None else slot[good]
    return np.bincount(chosen, minlength=groups * c * (len(edges) + 1)).reshape(groups, c, len(edges) + 1)


def _sketch(values: Array, good: Array | None, group: Array, device: Array, pane: Array, declared: Statistics) -> Array:
    """Return rows (device, pane, sensor, key, readings); see `sketch.keys`."""
    if not declared.quantiles:
        return np.empty((0, 5), np.int64)
    c = values.shape[1]
    key = keys(values, declared.centre, declared.resolution)
    least = int(key.min())
    span = int(key.max()) - least + 1
    slot = (group[:, None] * c + np.arange(c)) * span + (key - least)
    chosen = slot.ravel() if good is None else slot[good]
    if len(device) * c * span <= 4 * chosen.size:
        counts = np.bincount(chosen)
        filled = np.flatnonzero(counts)
        counts = counts[filled]
    else:  # many groups with few readings each: most bins would be empty
        filled, counts = np.unique(chosen, return_counts=True)
    rest, which = np.divmod(filled, span)
    at, sensor = np.divmod(rest, c)
    return np.stack([device[at], pane[at], sensor, which + least, counts], axis=1).astype(np.int64)


def _grouped(pieces: Array, owner: Array, groups: int) -> Array:
    out = np.zeros((groups, *pieces.shape[1:]), np.int64)
    np.add.at(out, owner, pieces)
    return out


def _key(device: Array, pane: Array) -> Array:
    """Return one number for device and pane that orders as the pair does; `Block`s keep both within their bits."""
    return (device << PANE_BITS) + pane
