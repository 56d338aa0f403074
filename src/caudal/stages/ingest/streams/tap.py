"""A stream source read by offset in this process: what lies between where a stream has come to and now.

A Spark job costs some tenths of a second however little there is to do, which is more than a second of readings takes to compute. So
a micro-batch that is small enough is read here; a larger one by Spark (`frames.batch`), from the same offsets, with the same rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from caudal.errors import EnvironmentProblem
from caudal.messaging.log import Reader

Offsets = tuple[int, ...]


class Away(EnvironmentProblem):
    """The source does not answer just now; what was being read is read again when it does."""


class Tap(ABC):
    """A source's messages by offset; offsets are given for each partition.

    Attributes
    ----------
    away : Away, why nothing can be read just now; None while the source answers
    """

    away: Away | None = None

    @abstractmethod
    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Return where to read from, where to, and about how many bytes that is: what is there beyond ``start``, bounded."""

    @abstractmethod
    def read(self, start: Offsets, end: Offsets) -> Iterator[pa.RecordBatch]:
        """Yield the messages: ``_partition, _offset, payload, arrived``."""

    def identity(self) -> tuple[str | None, ...]:
        """Return what tells the source from one of the same name that took its place; None where nothing does.

        What is asked after `ends` and is as before says that those ends are of the same source.
        """
        return ()

    def learn(self, messages: int, size: int) -> None:  # noqa: B027 (few need it)
        """Take note of how many bytes the messages of a micro-batch had."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held."""


class LogTap(Tap):
    """The embedded log."""

    def __init__(self, place: Path) -> None:
        self._reader = Reader(place)

    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Return the end of each partition, drawn in where there are too many bytes before it."""
        ends = tuple(self._reader.end())
        start = (*(start or ()), *(0,) * (len(ends) - len(start or ())))
        sizes = [self._reader.size(partition, *span) for partition, span in enumerate(zip(start, ends, strict=True))]
        total = sum(sizes)
        if total > most_bytes:
            # Each partition gives the same share of what it has, so that none runs ahead in time.
            ends = tuple(
                low + max(1, (high - low) * most_bytes // total) if high > low else high
                for low, high in zip(start, ends, strict=True)
            )
            total = sum(self._reader.size(partition, *span) for partition, span in enumerate(zip(start, ends, strict=True)))
        return start, ends, total

    def read(self, start: Offsets, end: Offsets) -> Iterator[pa.RecordBatch]:
        """Yield the records."""
        for partition, (low, high) in enumerate(zip(start, end, strict=True)):
            if low < high:
                yield from self._reader.batches(partition, low, high)

    def identity(self) -> tuple[str | None, ...]:
        """Return the first record's entry of each partition: when it arrived, its length and its checksum."""
        return tuple(self._reader.first(partition) for partition in range(self._reader.partitions))

    def close(self) -> None:
        """Nothing is held between two looks."""
