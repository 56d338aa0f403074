"""Read a stream source by offset in this process: the messages from the stream's position up to now.

A micro-batch of Spark costs some tenths of a second however little there is to do, which is more than computing a second of readings takes. A
stream on Spark reads the same messages by `frames.stream_frame`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from caudal.errors import EnvironmentProblem
from caudal.messaging.log import Reader
from caudal.stages.ingest.streams.parts import LogParts, PartReader

Offsets = tuple[int, ...]


class SourceUnavailable(EnvironmentProblem):
    """The source does not answer at present; the same messages are read again when it does."""


class Tap(ABC):
    """A source's messages by offset; offsets are given for each partition.

    Attributes
    ----------
    unavailable : SourceUnavailable, why no message can be read at present; None while the source answers
    """

    unavailable: SourceUnavailable | None = None

    @abstractmethod
    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Return the offsets to read from and to, and about how many bytes these are: the messages beyond ``start``, limited."""

    @abstractmethod
    def read(self, start: Offsets, end: Offsets) -> Iterator[pa.RecordBatch]:
        """Yield the messages: ``_partition, _offset, payload, arrived``."""

    def identity(self) -> tuple[str | None, ...]:
        """Return an identity that distinguishes the source from another one of the same name; None where there is none.

        If it is unchanged after `ends`, those ends are of the same source.
        """
        return ()

    def learn(self, messages: int, size: int) -> None:  # noqa: B027 (few need it)
        """Remember how many bytes the messages of a micro-batch had."""

    def part_reader(self) -> PartReader | None:
        """Return what reads parts of the messages in another process; None where this process reads them and sends them."""
        return None

    def size(self, partition: int, start: int, end: int) -> float:  # noqa: ARG002 (of others)
        """Return about how many bytes the messages from ``start`` to before ``end`` have, relative to others."""
        return end - start

    @abstractmethod
    def close(self) -> None:
        """Release all resources."""


class LogTap(Tap):
    """The embedded log."""

    def __init__(self, place: Path) -> None:
        self._place, self._reader = place, Reader(place)

    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Return the end of each partition, limited where there are too many bytes before it."""
        ends = tuple(self._reader.end())
        start = (*(start or ()), *(0,) * (len(ends) - len(start or ())))
        sizes = [self._reader.size(partition, *span) for partition, span in enumerate(zip(start, ends, strict=True))]
        total = sum(sizes)
        if total > most_bytes:
            # Each partition contributes the same share of its bytes, so that event time advances evenly.
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

    def part_reader(self) -> LogParts:
        """Return a reader of the same files."""
        return LogParts(self._place.absolute())

    def size(self, partition: int, start: int, end: int) -> int:
        """Return the bytes of the records."""
        return self._reader.size(partition, start, end)

    def close(self) -> None:
        """Do nothing: no resource is held between two reads."""
