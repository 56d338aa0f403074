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
SEQ_BITS = 43  # a sample number and 20 bits of the device are one number
DEVICES = 1 << (63 - SEQ_BITS)


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

    @property
    def key(self) -> Array:
        """One number for device and sample number, int64 [n]."""
        return (self.device << SEQ_BITS) + self.seq

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
    """Which samples of each device have come: intervals of `Samples.key`, both ends within, in order, none touching the next."""

    low: Array = field(default_factory=lambda: np.empty(0, np.int64))
    high: Array = field(default_factory=lambda: np.empty(0, np.int64))

    def new(self, key: Array) -> Array:
        """Tell which keys have not come before, neither here nor earlier in ``key``: bool [n]."""
        at = np.searchsorted(self.low, key, side="right") - 1
        fresh = (at < 0) | (key > self.high[at]) if len(self.low) else np.ones(len(key), bool)
        if len(key) > 1 and np.any(key[1:] <= key[:-1]):
            first = np.zeros(len(key), bool)
            first[np.unique(key, return_index=True)[1]] = True
            fresh &= first
        return fresh

    def with_(self, other: Seen) -> Seen:
        """Return what has come to either."""
        low, high = np.concatenate([self.low, other.low]), np.concatenate([self.high, other.high])
        order = np.argsort(low, kind="stable")
        low, reach = low[order], np.maximum.accumulate(high[order])
        starts = np.flatnonzero(np.concatenate(([True], low[1:] > reach[:-1] + 1))) if len(low) else np.empty(0, int)
        return Seen(low[starts], reach[np.append(starts[1:], len(low)) - 1] if len(low) else reach)

    def overlaps(self, other: Seen) -> bool:
        """Tell whether a sample has come to both."""
        at = np.searchsorted(self.low, other.high, side="right") - 1
        return bool(np.any((at >= 0) & (other.low <= self.high[np.maximum(at, 0)]))) if len(self.low) and len(other.low) else False


def seen_of(key: Array) -> Seen:
    """Return the intervals of keys."""
    if len(key) == 0:
        return Seen()
    key = np.unique(key) if np.any(key[1:] <= key[:-1]) else key
    cuts = np.flatnonzero(key[1:] != key[:-1] + 1)
    return Seen(key[np.concatenate(([0], cuts + 1))], key[np.append(cuts, len(key) - 1)])
