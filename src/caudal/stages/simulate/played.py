"""The base of simulators and recordings: blocks, labels and counts of disturbances by sample position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from caudal.messaging.wire.block import Array, Block
from caudal.stages.simulate.chance import uniform
from caudal.stages.simulate.sending import Sending

START_US = 1_700_000_000_000_000  # 2023-11-14 22:13:20 UTC
SPAN = 4096  # positions that are generated and sent at once; late samples stay within them
_MISSING = 904


@dataclass(frozen=True)
class Played:
    """A stream by sample position; the same seed gives the same samples. Subclasses define values, labels and marks.

    Parameters
    ----------
    device : int
    rate_hz : samples a second
    start_us : event time of position 0, microseconds since 1970, UTC
    sending : the disturbances of transport; it gets the stream's seed
    missing : share of the values that are NaN
    label_delay_s : seconds after its sample that a label is known
    """

    channels: ClassVar[tuple[str, ...]] = ()
    label_channels: ClassVar[tuple[str, ...]] = ()
    natural_hz: ClassVar[float] = 1.0

    seed: int = 0
    device: int = 0
    rate_hz: float = 0.0
    start_us: int = START_US
    missing: float = 0.0
    sending: Sending = field(default_factory=Sending)
    label_delay_s: float = 5.0

    def __post_init__(self) -> None:
        if not self.rate_hz:
            object.__setattr__(self, "rate_hz", self.natural_hz)
        object.__setattr__(self, "sending", replace(self.sending, seed=self.seed))

    def values(self, positions: Array) -> Array:
        """Return the values at positions, float64 [positions, channels]."""
        raise NotImplementedError

    def label(self, positions: Array) -> Array | None:  # noqa: ARG002
        """Return the labels at positions, float64 [positions, label channels], or None where there are none."""
        return None

    def marks(self, positions: Array) -> Mapping[str, Array]:  # noqa: ARG002
        """Return which positions each disturbance of the signal affects, bool [positions] by name."""
        return {}

    def seconds(self, positions: Array) -> Array:
        """Return the time of the signal, seconds from position 0; it does not depend on ``rate_hz``."""
        at_s: Array = positions / self.natural_hz
        return at_s

    def blocks(self, start: int, stop: int) -> Iterator[Block]:
        """Yield the samples of positions ``start`` to before ``stop`` as they are sent: with gaps, repeats and out of order."""
        for span_start, span_stop in spans(start, stop):
            order = self.sending.order(span_start, span_stop)
            if len(order):
                values = self.values(order)
                if self.missing:
                    values = np.where(uniform(self.seed, _MISSING, order, values.shape[1]) < self.missing, np.nan, values)
                yield self._block(order, values)

    def labels(self, start: int, stop: int) -> Iterator[Block]:
        """Yield the labels of these positions, with the number and time of their samples; known ``label_delay_s`` later."""
        for span_start, span_stop in spans(start, stop):
            positions = np.arange(span_start, span_stop, dtype=np.int64)
            if (label := self.label(positions)) is not None:
                yield self._block(positions, label)

    def facts(self, start: int, stop: int) -> dict[str, int]:
        """Return how many samples each disturbance affects in these positions; disturbances of the signal count only sent samples."""
        counts: dict[str, int] = {}
        for span_start, span_stop in spans(start, stop):
            order = self.sending.order(span_start, span_stop)
            span_counts = self.sending.facts(span_start, span_stop)
            span_counts |= {name: int(np.count_nonzero(mark)) for name, mark in self.marks(np.unique(order)).items()}
            if self.missing:
                is_missing = uniform(self.seed, _MISSING, np.unique(order), len(self.channels)) < self.missing
                span_counts["values_missing"] = int(np.count_nonzero(is_missing))
            for name, count in span_counts.items():
                counts[name] = counts.get(name, 0) + count
        return counts

    def _block(self, positions: Array, values: Array) -> Block:
        at_us = self.start_us + (positions * round(1e9 / self.rate_hz)) // 1000
        return Block(self.device, positions, at_us, values.astype(np.float32))


def spans(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the positions in pieces that end at multiples of `SPAN`, wherever ``start`` is."""
    while start < stop:
        until = min(stop, (start // SPAN + 1) * SPAN)
        yield start, until
        start = until
