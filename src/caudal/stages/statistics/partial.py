"""Turn samples into partials that can be added up: counts, bounds and sums per device, pane and sensor, independent of order.

A double is added in pieces that are integers below 2^53, so that a sum is the same to the bit however the samples are spread over
messages, tasks, batches and restarts: `run` and `stream` give the same rows. Values are kept to 2^-50, their squares to 2^-70. Readings
that are not numbers, or have a magnitude of 2^24 or more, are missing readings.

Samples are added a few thousand at a time, so that intermediate arrays stay in the processor's cache, which is three times as fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from caudal.declarations.statistics import Statistics
from caudal.stages.statistics.numbering import PANE_BITS, Flags, Floats, Integers, Readings
from caudal.stages.statistics.samples import Samples
from caudal.stages.statistics.sketch import MISSING, sketch_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = float(1 << 24)
SUM_UNITS = (2.0**-10, 2.0**-50)
SQUARE_UNITS = (2.0**10, 2.0**-30, 2.0**-70)
FINER = 40  # bits from one unit to the next
SESSION_PANE_US = 10_000
_AT_ONCE = 1 << 15  # readings that fit into the cache together
_LONGEST = 1 << 14  # the most samples for which a sum of doubles is exact
_COARSE = 256.0  # readings from here on are multiples of 2^-15: see `_sums`


@dataclass(frozen=True)
class Partials:
    """The sums of panes; groups are rows, in order of (device, pane), each once.

    For sessions, a group is one session so far, and its pane that of 10 milliseconds in which it begins: no two begin so close together.

    Parameters
    ----------
    device, pane : int64 [g]
    samples : int64 [g], number of samples; oldest, newest : int64 [g], event times of the first and the last one, microseconds
    count : int64 [g, c], readings that are numbers
    low, high : float32 [g, c], least and greatest; +inf and -inf where there is none
    sums : int64 [2, g, c] in units of ``SUM_UNITS``; squares : int64 [3, g, c] in units of ``SQUARE_UNITS``
    ranges : int64 [g, c, edges + 1]
    loose : int64 [n], groups of samples that are not in the sketch yet, and ``keys`` int16 [n, c], their `sketch.keys`
    sketch : int64 [3, k], of groups with many samples: (group, slot, readings) in order, no pair twice
    kept : whole samples, where bands need them: int64 [m, 3] (device, pane, at_us) and ``values`` float32 [m, c]
    """

    device: Integers
    pane: Integers
    samples: Integers
    oldest: Integers
    newest: Integers
    count: Integers
    low: Readings
    high: Readings
    sums: Integers
    squares: Integers
    ranges: Integers
    loose: Integers
    keys: NDArray[np.int16]
    sketch: Integers
    kept: Integers
    values: Readings

    def __len__(self) -> int:
        return len(self.device)

    @property
    def group(self) -> Integers:
        """Return one number for device and pane, in the same order as the pair."""
        return group_of(self.device, self.pane)

    @property
    def bytes(self) -> int:
        """Return the bytes in memory."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def where(self, mask: Flags) -> Partials:
        """Return the groups that a mask selects, with their sketch and samples."""
        if mask.all():
            return self
        at = np.searchsorted(self.sketch[0], self.group)
        counted = np.repeat(mask, np.diff(np.append(at, self.sketch.shape[1])))
        loose = mask[np.searchsorted(self.group, self.loose)]
        is_kept = mask[np.searchsorted(self.group, group_of(self.kept[:, 0], self.kept[:, 1]))]
        return replace(
            self,
            device=self.device[mask], pane=self.pane[mask], samples=self.samples[mask], oldest=self.oldest[mask], newest=self.newest[mask],
            count=self.count[mask], low=self.low[mask], high=self.high[mask], sums=self.sums[:, mask], squares=self.squares[:, mask],
            ranges=self.ranges[mask], loose=self.loose[loose], keys=self.keys[loose], sketch=self.sketch[:, counted],
            kept=self.kept[is_kept], values=self.values[is_kept],
        )  # fmt: skip


def empty_partials(declared: Statistics) -> Partials:
    """Return empty partials."""
    c, r = len(declared.channels), len(declared.ranges) + 1
    none = np.empty(0, np.int64)
    return Partials(
        none, none, none, none, none, np.empty((0, c), np.int64), np.empty((0, c), np.float32), np.empty((0, c), np.float32),
        np.empty((2, 0, c), np.int64), np.empty((3, 0, c), np.int64), np.empty((0, c, r if declared.ranges else 0), np.int64),
        none, np.empty((0, c if declared.quantiles else 0), np.int16), np.empty((3, 0), np.int64),
        np.empty((0, 3), np.int64), np.empty((0, c), np.float32),
    )  # fmt: skip


def partials(samples: Samples, declared: Statistics) -> Partials:
    """Return the partials of samples; a sample that arrives twice counts twice (see `Seen`)."""
    if len(samples) == 0:
        return empty_partials(declared)
    if declared.gap_us:
        samples, pane, starts = _sessions(samples, declared.gap_us)
        group = group_of(samples.device, pane)
    else:
        pane = samples.at_us // declared.pane_us
        group = group_of(samples.device, pane)
        if np.any(group[1:] < group[:-1]):
            order = np.argsort(group, kind="stable")
            samples, pane, group = samples.where(order), pane[order], group[order]
        starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    device, at_us, values = samples.device, samples.at_us, samples.values
    pieces = _Pieces(len(samples), starts, declared)
    for first_piece, last_piece in pieces.at_once():
        pieces.take(values, first_piece, last_piece)
    count, low, high, sums, squares, ranges = pieces.of_groups()
    return Partials(
        device[starts], pane[starts], np.diff(np.append(starts, len(samples))),
        np.minimum.reduceat(at_us, starts), np.maximum.reduceat(at_us, starts),
        count, low, high, sums, squares, ranges, group if declared.quantiles else group[:0], pieces.keys, np.empty((3, 0), np.int64),
        np.stack([device, pane, at_us], axis=1) if declared.bands else np.empty((0, 3), np.int64),
        values if declared.bands else np.empty((0, values.shape[1]), np.float32),
    )  # fmt: skip


def group_of(device: Integers, pane: Integers) -> Integers:
    """Return one number for device and pane in the same order as the pair; `Samples.within_key_bits` keeps both within their bits."""
    group: Integers = (device << PANE_BITS) + pane
    return group


def _sessions(samples: Samples, gap_us: int) -> tuple[Samples, Integers, Integers]:
    """Return samples in order of device and time, the pane in which each one's session begins, and where sessions begin."""
    device, at_us = samples.device, samples.at_us
    if np.any((device[1:] < device[:-1]) | ((device[1:] == device[:-1]) & (at_us[1:] < at_us[:-1]))):
        samples = samples.where(np.lexsort((at_us, device)))
        device, at_us = samples.device, samples.at_us
    starts = np.flatnonzero(np.concatenate(([True], (device[1:] != device[:-1]) | (at_us[1:] - at_us[:-1] > gap_us))))
    pane = np.repeat(at_us[starts] // SESSION_PANE_US, np.diff(np.append(starts, len(samples))))
    return samples, pane, starts


class _Pieces:
    """Groups cut into pieces that are added as a whole; a long group has several."""

    def __init__(self, samples: int, starts: Integers, declared: Statistics) -> None:
        c, r = len(declared.channels), len(declared.ranges) + 1
        self._most = max(1, min(_AT_ONCE // c, _LONGEST))
        lengths = np.diff(np.append(starts, samples))
        short = lengths.max() <= self._most
        cuts = starts if short else np.union1d(starts, np.arange(0, samples, self._most))
        self._declared, self._starts, self._bounds = declared, starts, np.append(cuts, samples)
        p = len(cuts)
        self._count = np.empty((p, c), np.int64)
        self._low, self._high = np.empty((p, c), np.float32), np.empty((p, c), np.float32)
        self._sums, self._squares = np.zeros((2, p, c), np.int64), np.zeros((3, p, c), np.int64)
        self._ranges = np.empty((p, c, r if declared.ranges else 0), np.int64)
        self.keys = np.empty((samples if declared.quantiles else 0, c), np.int16)

    def at_once(self) -> Iterator[tuple[int, int]]:
        """Yield the range of pieces, first and last + 1, that are added together."""
        first_piece = 0
        while first_piece < len(self._bounds) - 1:
            last_piece = max(
                first_piece + 1, int(np.searchsorted(self._bounds, self._bounds[first_piece] + self._most, side="right")) - 1
            )
            yield first_piece, last_piece
            first_piece = last_piece

    def take(self, values: Readings, first_piece: int, last_piece: int) -> None:
        """Add up the readings of some pieces."""
        readings = values[self._bounds[first_piece] : self._bounds[last_piece]]
        starts, lengths = (
            self._bounds[first_piece:last_piece] - self._bounds[first_piece],
            np.diff(self._bounds[first_piece : last_piece + 1]),
        )
        pieces = slice(first_piece, last_piece)
        low, high = np.minimum.reduceat(readings, starts, axis=0), np.maximum.reduceat(readings, starts, axis=0)
        good: Flags | None = None
        if not bool(np.isfinite(low).all() and np.isfinite(high).all() and max(-low.min(), high.max()) < LARGEST):
            with np.errstate(invalid="ignore"):
                good = np.isfinite(readings) & (np.abs(readings) < LARGEST)
            low = np.minimum.reduceat(np.where(good, readings, np.float32(np.inf)), starts, axis=0)
            high = np.maximum.reduceat(np.where(good, readings, np.float32(-np.inf)), starts, axis=0)
            readings = np.where(good, readings, np.float32(0))
            self._count[pieces] = np.add.reduceat(good, starts, axis=0, dtype=np.int64)
        else:
            self._count[pieces] = lengths[:, None]
        self._low[pieces], self._high[pieces] = low, high
        coarse = good is None and bool(low.min() >= _COARSE or high.max() <= -_COARSE)
        _sums(readings, starts, coarse, self._sums[:, pieces], self._squares[:, pieces])
        if self._declared.quantiles:
            key = sketch_keys(readings, self._declared.centre, self._declared.resolution)
            self.keys[self._bounds[first_piece] : self._bounds[last_piece]] = key if good is None else np.where(good, key, MISSING)
        if self._declared.ranges:
            # One number for piece and sensor.
            cell = np.repeat(np.arange(last_piece - first_piece, dtype=np.int32) * readings.shape[1], lengths)[:, None] + np.arange(
                readings.shape[1], dtype=np.int32
            )
            self._ranges[pieces] = _ranges(readings, good, cell, self._declared.ranges).reshape(
                last_piece - first_piece, readings.shape[1], -1
            )

    def of_groups(self) -> tuple[Integers, Readings, Readings, Integers, Integers, Integers]:
        """Return count, low, high, sums, squares and ranges of the groups."""
        all_ = (self._count, self._low, self._high, self._sums, self._squares, self._ranges)
        if len(self._bounds) == len(self._starts) + 1:
            return all_
        firsts = np.searchsorted(self._bounds[:-1], self._starts)
        count, low, high, sums, squares, ranges = all_
        return (
            np.add.reduceat(count, firsts), np.minimum.reduceat(low, firsts), np.maximum.reduceat(high, firsts),
            np.add.reduceat(sums, firsts, axis=1), np.add.reduceat(squares, firsts, axis=1), np.add.reduceat(ranges, firsts),
        )  # fmt: skip


def _sums(values: Readings, starts: Integers, coarse: bool, sums: Integers, squares: Integers) -> None:
    """Write the pieces of the sum and of the sum of squares to their arrays; each step is exact, because scales are powers of two.

    Where all readings are multiples of 2^-15 (``coarse``) a sum of doubles is exact by itself, and squares need no third piece.
    """
    x = values.astype(np.float64)
    square = x * x
    if coarse:
        total = np.add.reduceat(x, starts, axis=0) * (1 / SUM_UNITS[0])
        integers = np.rint(total)
        sums[0], sums[1] = integers, (total - integers) * (SUM_UNITS[0] / SUM_UNITS[1])
    else:
        _piecewise(x, starts, SUM_UNITS, sums)
    _piecewise(square, starts, SQUARE_UNITS[: 2 if coarse else 3], squares)


def _piecewise(x: Floats, starts: Integers, units: tuple[float, ...], out: Integers) -> None:
    """Add numbers in pieces, first the multiples of the first unit, then the multiples of the next unit in the remainder; ``x`` is overwritten."""
    multiples = np.empty_like(x)
    np.multiply(x, 1 / units[0], out=x)
    for place, unit in enumerate(units):
        np.rint(x, out=multiples)
        out[place] = np.add.reduceat(multiples, starts, axis=0)
        if place + 1 < len(units):
            np.subtract(x, multiples, out=x)
            np.multiply(x, unit / units[place + 1], out=x)


def _ranges(values: Readings, good: Flags | None, cell: NDArray[np.int32], edges: tuple[float, ...]) -> Integers:
    """Return the number of readings in each range of each cell, int64 [cells × (edges + 1)]."""
    width = len(edges) + 1
    place = cell * np.int32(width)
    for edge in edges:
        place += values >= np.float32(edge)
    return np.bincount(place.ravel() if good is None else place[good], minlength=(int(cell[-1, -1]) + 1) * width)
