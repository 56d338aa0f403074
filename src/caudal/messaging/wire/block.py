"""The unit of data in every wire format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Block:
    """Samples of one device, in the order in which they were taken or sent.

    Parameters
    ----------
    device : int, 0 … 2³²−1
    seq : int64 [n], the device's sample numbers; a gap is a drop-out, a repeat a duplicate
    at_us : int64 [n], event time, microseconds since 1970, UTC
    values : float32 [n, channels], NaN is missing
    """

    device: int
    seq: Array
    at_us: Array
    values: Array

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def channels(self) -> int:
        """Number of values per sample."""
        return int(self.values.shape[1])

    def same(self, other: Block) -> bool:
        """Return whether both hold the same samples; NaN equals NaN."""
        return (
            self.device == other.device
            and np.array_equal(self.seq, other.seq)
            and np.array_equal(self.at_us, other.at_us)
            and np.array_equal(self.values, other.values, equal_nan=True)
        )

    def cut(self, start: int, stop: int) -> Block:
        """Return the samples from position ``start`` to before ``stop``, without copying."""
        return Block(self.device, self.seq[start:stop], self.at_us[start:stop], self.values[start:stop])


def join_blocks(blocks: list[Block]) -> Block:
    """Return blocks of one device as one block; the device is that of the first."""
    if len(blocks) == 1:
        return blocks[0]
    return Block(
        blocks[0].device,
        np.concatenate([block.seq for block in blocks]),
        np.concatenate([block.at_us for block in blocks]),
        np.concatenate([block.values for block in blocks]),
    )
