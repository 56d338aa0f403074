"""Samples of many devices as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from caudal.messaging.wire.block import Block
from caudal.stages.statistics.numbering import DEVICES, PANE_BITS, SEQ_BITS, Flags, Integers, Readings
from caudal.stages.statistics.seen import Seen as Seen  # old checkpoints of streams name the class in this module


@dataclass(frozen=True)
class Samples:
    """Samples in order of arrival: device, seq, at_us int64 [n], values float32 [n, channels]."""

    device: Integers
    seq: Integers
    at_us: Integers
    values: Readings

    def __len__(self) -> int:
        return len(self.seq)

    def where(self, mask: Integers | Flags) -> Samples:
        """Return the samples that a mask (or positions) selects."""
        return Samples(self.device[mask], self.seq[mask], self.at_us[mask], self.values[mask])

    @property
    def within_key_bits(self) -> Flags:
        """Return which samples have a device, a number and a time within the bits of a key: bool [n]."""
        good = (self.device >= 0) & (self.device < DEVICES) & (self.seq >= 0) & (self.seq < 1 << SEQ_BITS)
        return good & (self.at_us >= 0) & (self.at_us < 1 << 54)

    def group(self, pane_us: int) -> Integers:
        """Return one number for device and pane, int64 [n], in the same order as the pair."""
        group: Integers = (self.device << PANE_BITS) + self.at_us // pane_us
        return group

    def table(self, channels: Sequence[str]) -> pa.Table:
        """Return the samples as rows: device, seq, at (UTC), one column a channel; NaN is null."""
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


def join_samples(parts: Sequence[Samples]) -> Samples:
    """Return the samples of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("device", "seq", "at_us", "values")))


def of_table(rows: pa.Table, channels: Sequence[str]) -> Samples:
    """Return the samples of rows, the reverse of `Samples.table`."""

    def numbers(name: str) -> Integers:
        column = rows.column(name)
        return np.asarray(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()) if name == "at" else column.cast(pa.int64()))

    values = [np.asarray(rows.column(name).cast(pa.float32()).fill_null(float("nan"))) for name in channels]
    return Samples(
        numbers("device"),
        numbers("seq"),
        numbers("at"),
        np.stack(values, axis=1) if len(rows) else np.empty((0, len(channels)), np.float32),
    )
