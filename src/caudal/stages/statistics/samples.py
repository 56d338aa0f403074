"""Samples of many devices as flat arrays, and which of them have been seen before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from caudal.lake.wire.block import Block

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]
PANE_BITS = 41  # panes of 10 ms until the year 2600; 22 bits remain for the device
SEQ_BITS = 43  # a sample number, and 20 bits for what it is a number in
DEVICES = 1 << (63 - PANE_BITS)


@dataclass(frozen=True)
class Samples:
    """Samples in the order in which they came: device, seq, at_us int64 [n], values float32 [n, channels]."""

    device: Array
    seq: Array
    at_us: Array
    values: Array

    def __len__(self) -> int:
        return len(self.seq)

    def where(self, mask: Array) -> Samples:
        """Return the samples that a mask (or positions) names."""
        return Samples(self.device[mask], self.seq[mask], self.at_us[mask], self.values[mask])

    @property
    def bounded(self) -> Array:
        """Which samples have a device, a number and a time that can be told apart: bool [n]."""
        good = (self.device >= 0) & (self.device < DEVICES) & (self.seq >= 0) & (self.seq < 1 << SEQ_BITS)
        return good & (self.at_us >= 0) & (self.at_us < 1 << 54)

    def group(self, pane_us: int) -> Array:
        """One number for device and pane, int64 [n]: what orders as the pair does."""
        found: Array = (self.device << PANE_BITS) + self.at_us // pane_us
        return found

    def table(self, channels: Sequence[str]) -> pa.Table:
        """Return the samples as rows: device, seq, at (UTC), one column a channel; NaN is null."""
        import pyarrow as pa

        at = pa.array(self.at_us, pa.int64()).cast(pa.timestamp("us", "UTC"))
        readings = [pa.array(np.ascontiguousarray(self.values[:, i]), from_pandas=True) for i in range(len(channels))]
        return pa.table([pa.array(self.device), pa.array(self.seq), at, *readings], names=["device", "seq", "at", *channels])


def of_blocks(blocks: Sequence[Block], channels: int) -> Samples:
    """Return the samples of blocks, one after the other."""
    if not blocks:
        none = np.empty(0, np.int64)
        return Samples(none, none, none, np.empty((0, channels), np.float32))
    lengths = [len(block) for block in blocks]
    return Samples(
        np.repeat(np.array([block.device for block in blocks], np.int64), lengths),
        np.concatenate([block.seq for block in blocks]),
        np.concatenate([block.at_us for block in blocks]),
        np.concatenate([block.values for block in blocks]),
    )


def joined(parts: Sequence[Samples]) -> Samples:
    """Return samples one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Samples(*(np.concatenate([getattr(one, name) for one in parts]) for name in ("device", "seq", "at_us", "values")))


def of_table(rows: pa.Table, channels: Sequence[str]) -> Samples:
    """Return the samples of rows as `Samples.table` gives them."""
    import pyarrow as pa

    def numbers(name: str) -> Array:
        column = rows.column(name)
        return np.asarray(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()) if name == "at" else column.cast(pa.int64()))

    values = [np.asarray(rows.column(name).cast(pa.float32()).fill_null(float("nan"))) for name in channels]
    return Samples(
        numbers("device"),
        numbers("seq"),
        numbers("at"),
        np.stack(values, axis=1) if len(rows) else np.empty((0, len(channels)), np.float32),
    )


@dataclass(frozen=True)
class Seen:
    """Which samples have come: by device and pane, intervals of their numbers, both ends within, in order, none touching the next.

    A sample is known by device, pane and number, so that a device may begin to count anew; and what belongs to closed panes can be
    forgotten.

    Parameters
    ----------
    group : int64 [k], of device and pane (`Samples.group`)
    low, high : int64 [k], sample numbers
    """

    group: Array = field(default_factory=lambda: np.empty(0, np.int64))
    low: Array = field(default_factory=lambda: np.empty(0, np.int64))
    high: Array = field(default_factory=lambda: np.empty(0, np.int64))

    def new(self, group: Array, seq: Array) -> Array:
        """Tell which samples have not come before, neither here nor earlier in these: bool [n]."""
        own, theirs = _numbered(self.group, group)
        key, low, high = (theirs << SEQ_BITS) + seq, (own << SEQ_BITS) + self.low, (own << SEQ_BITS) + self.high
        fresh = np.ones(len(key), bool)
        if len(low):
            at = np.searchsorted(low, key, side="right") - 1
            fresh = (at < 0) | (key > high[at])
        if len(key) > 1 and np.any(key[1:] <= key[:-1]):
            first = np.zeros(len(key), bool)
            first[np.unique(key, return_index=True)[1]] = True
            fresh &= first
        return fresh

    def with_(self, other: Seen) -> Seen:
        """Return what has come to either."""
        if not len(other.low):
            return self
        if not len(self.low):
            return other
        group, low, high = (np.concatenate([getattr(self, one), getattr(other, one)]) for one in ("group", "low", "high"))
        return _joined(group, low, high)

    def overlaps(self, other: Seen) -> bool:
        """Tell whether a sample has come to both."""
        if not len(self.low) or not len(other.low):
            return False
        own, theirs = _numbered(self.group, other.group)
        at = np.searchsorted((own << SEQ_BITS) + self.low, (theirs << SEQ_BITS) + other.high, side="right") - 1
        return bool(np.any((at >= 0) & ((theirs << SEQ_BITS) + other.low <= ((own << SEQ_BITS) + self.high)[np.maximum(at, 0)])))

    def after(self, pane: int) -> Seen:
        """Return what belongs to panes after ``pane``."""
        kept = (self.group & ((1 << PANE_BITS) - 1)) > pane
        return self if kept.all() else Seen(self.group[kept], self.low[kept], self.high[kept])


def seen_of(group: Array, seq: Array) -> Seen:
    """Return the intervals of samples."""
    if len(seq) == 0:
        return Seen()
    order = (
        np.lexsort((seq, group))
        if np.any((group[1:] < group[:-1]) | ((group[1:] == group[:-1]) & (seq[1:] <= seq[:-1])))
        else slice(None)
    )
    group, seq = group[order], seq[order]
    cuts = np.flatnonzero((group[1:] != group[:-1]) | (seq[1:] > seq[:-1] + 1))
    starts, ends = np.concatenate(([0], cuts + 1)), np.append(cuts, len(seq) - 1)
    return Seen(group[starts], seq[starts], seq[ends])


def _joined(group: Array, low: Array, high: Array) -> Seen:
    """Return intervals in order, those that overlap or touch made one."""
    order = np.lexsort((low, group))
    group, low, high = group[order], low[order], high[order]
    number, _ = _numbered(group, group[:0])
    reach = np.maximum.accumulate((number << SEQ_BITS) + high)  # a later group's numbers are all above
    starts = np.flatnonzero(np.concatenate(([True], (number[1:] << SEQ_BITS) + low[1:] > reach[:-1] + 1)))
    ends = np.append(starts[1:], len(low)) - 1
    return Seen(group[starts], low[starts], reach[ends] - (number[ends] << SEQ_BITS))


def _numbered(one: Array, other: Array) -> tuple[Array, Array]:
    """Return, for the groups of each, their place among those of both in order."""
    groups = np.unique(np.concatenate([one, other]))
    return np.searchsorted(groups, one), np.searchsorted(groups, other)
