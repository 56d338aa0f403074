"""Parts of a micro-batch: ranges of offsets that other processes read by themselves, cut so that all have about the same bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from caudal.messaging.log import SCHEMA, Reader

Span = tuple[int, int, int]
"""A partition, the first offset, and the offset before which it ends."""
Part = tuple[Span, ...]
_NEAR = 0.2  # of a part: a cut that is so near to the end of a partition is moved there, since its reader then needs no seek


class PartReader(ABC):
    """Reads spans of a source in another process, to which it is sent: it is pickled before it has read."""

    @abstractmethod
    def read(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Yield the messages of the spans, one span after the other: ``_partition, _offset, payload, arrived``."""


@dataclass(frozen=True, eq=False)
class SentParts(PartReader):
    """Gives messages that are sent along, of a source that only one process can read.

    Parameters
    ----------
    batches : of Arrow, each as IPC writes it, which leaves out what a slice does not show
    """

    batches: tuple[pa.Buffer, ...] = field(repr=False)

    def read(self, part: Part) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 (there are no others)
        """Yield the messages."""
        for batch in self.batches:
            yield pa.ipc.read_record_batch(batch, SCHEMA)


def sent_parts(batches: Sequence[pa.RecordBatch], parts: Sequence[Part]) -> list[SentParts]:
    """Return for each part a reader that holds its messages; those of a partition come in order of their offsets."""
    read = [(partition, some, some.column("_offset").to_numpy()) for batch in batches for partition, some in by_partition(batch)]
    readers = []
    for part in parts:
        held = []
        for partition, low, high in part:
            for of, some, offsets in read:
                first, last = np.searchsorted(offsets, (low, high)) if of == partition else (0, 0)
                if first < last:
                    held.append(some.slice(first, last - first).cast(SCHEMA).serialize())
        readers.append(SentParts(tuple(held)))
    return readers


def by_partition(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield each partition of a batch with its messages."""
    partition = np.asarray(batch.column("_partition"))
    partitions = np.unique(partition)
    for value in partitions.tolist():
        yield value, batch if len(partitions) == 1 else batch.filter(pa.array(partition == value))


@dataclass(frozen=True)
class LogParts(PartReader):
    """Reads spans of the embedded log at ``place``."""

    place: Path

    def read(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Yield the records."""
        reader = Reader(self.place)
        for span in part:
            yield from reader.batches(*span)


def cut_into_parts(start: Sequence[int], end: Sequence[int], parts: int, size: Callable[[int, int, int], float]) -> list[Part]:
    """Return the messages between offsets in at most so many parts of about the same bytes; one after the other they are all of them, in
    order of partition and offset.

    Parameters
    ----------
    size : the bytes of a span

    Examples
    --------
    >>> cut_into_parts((0, 5), (10, 15), 2, lambda partition, low, high: high - low)
    [((0, 0, 10),), ((1, 5, 15),)]
    >>> cut_into_parts((0,), (9,), 2, lambda partition, low, high: high - low)
    [((0, 0, 5),), ((0, 5, 9),)]
    """
    spans = [(partition, low, high) for partition, (low, high) in enumerate(zip(start, end, strict=True)) if low < high]
    share = sum(size(*span) for span in spans) / max(1, parts)
    done: list[Part] = []
    open_: list[Span] = []
    room = share
    for partition, low, high in spans:
        while low < high:
            rest = size(partition, low, high)
            is_last = len(done) == parts - 1
            cut = high if is_last or rest <= room + _NEAR * share else _offset_at(partition, low, high, room, size)
            open_.append((partition, low, cut))
            room -= size(partition, low, cut) if cut < high else rest
            low = cut
            if not is_last and room <= _NEAR * share:
                done.append(tuple(open_))
                open_, room = [], share
    return [*done, tuple(open_)] if open_ else done


def _offset_at(partition: int, low: int, high: int, room: float, size: Callable[[int, int, int], float]) -> int:
    """Return the first offset after ``low`` before which there are so many bytes."""
    least, most = low + 1, high
    while least < most:
        middle = (least + most) // 2
        if size(partition, low, middle) < room:
            least = middle + 1
        else:
            most = middle
    return least
