"""The embedded log: a stream kept in a folder, read by offset, with no server.

::

    <folder>/p0/00000000000000000000.data     payloads one after another; a new segment begins at 256 MiB
                00000000000000000000.index    24 bytes a record: position u64, length u32, CRC-32 u32, arrived i64 (microseconds)
                lock                          held by the one writer
    <folder>/p1/…

A segment's name is the offset of its first record. A record exists once its index entry is complete; the entry is written after the
payload, so no reader ever sees half a record, and the next writer truncates what a dead writer left behind. What `append`
returned survives the death of the process; with ``sync`` it survives that of the machine.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa

from caudal.errors import EnvironmentProblem, LeaseHeld, NotThere
from caudal.messaging.wire.block import Array
from caudal.storage.lease import holder, lock, sign

SEGMENT_BYTES = 256 << 20
RECORD = np.dtype([("position", "<u8"), ("length", "<u4"), ("crc", "<u4"), ("arrived_us", "<i8")])
SCHEMA = pa.schema(
    [
        pa.field("_partition", pa.int32(), nullable=False),
        pa.field("_offset", pa.int64(), nullable=False),
        pa.field("payload", pa.binary()),
        pa.field("arrived", pa.timestamp("us", "UTC"), nullable=False),
    ]
)
_SIZE = RECORD.itemsize
_AT_A_TIME = 8 << 20  # bytes that a reader reads at a time
Payload = bytes | memoryview


class Writer:
    """Appends to a log; each partition has one writer at a time, others are refused.

    Parameters
    ----------
    folder : Path, created if it is missing
    partitions : int, how many the log has; existing ones stay
    segment_bytes : int, size at which a new segment is begun
    sync : bool, True waits for the disk at each append
    clock : seconds since 1970, for ``arrived``
    """

    def __init__(
        self,
        folder: Path,
        partitions: int = 2,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        sync: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.partitions = Path(folder), partitions
        self._segment_bytes, self._sync, self._clock = segment_bytes, sync, clock
        self._open: dict[int, _Tail] = {}
        for partition in range(partitions):
            _place(self.folder, partition).mkdir(parents=True, exist_ok=True)

    def append(self, partition: int, payloads: Sequence[Payload], arrived_us: int | None = None) -> range:
        """Add records to the end of a partition and return their offsets.

        Raises
        ------
        LeaseHeld : another writer has the partition
        EnvironmentProblem : the disk is full or cannot be written; records before the fault are kept, no partial record remains
        """
        if partition not in self._open:
            self._open[partition] = _Tail(_place(self.folder, partition), self._segment_bytes, self._sync)
        if not payloads:
            return range(end := self._open[partition].end, end)
        return self._open[partition].append(payloads, int(self._clock() * 1e6) if arrived_us is None else arrived_us)

    def close(self) -> None:
        """Release the partitions."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Reader:
    """Reads a log, even while it is being written by this process or another.

    Parameters
    ----------
    folder : Path; a log that does not exist yet is empty
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._bases: list[list[int]] = []

    @property
    def partitions(self) -> int:
        """The current number of partitions."""
        count = len(self._bases)
        while _place(self.folder, count).is_dir():
            count += 1
        return count

    def end(self) -> list[int]:
        """Return the offset after the last record of each partition; this takes a few system calls."""
        return [self._end(partition) for partition in range(self.partitions)]

    def first(self, partition: int) -> str | None:
        """Return the index entry of the partition's first record in hexadecimal, None if there is none: it identifies the log."""
        if not self._end(partition):
            return None
        with _index(_place(self.folder, partition), self._bases[partition][0]).open("rb") as index:
            return index.read(_SIZE).hex()

    def size(self, partition: int, start: int, end: int) -> int:
        """Return the size in bytes of the records from ``start`` to before ``end``, without reading them."""
        if start >= end:
            return 0
        end_offset, place, total = self._end(partition), _place(self.folder, partition), 0
        bases = self._bases[partition]
        for base, stop in zip(bases, [*bases[1:], end_offset], strict=True):
            if base < end and stop > start:
                with _index(place, base).open("rb") as index:
                    first = _entry(index.fileno(), max(start, base) - base)
                    last = _entry(index.fileno(), min(end, stop) - 1 - base)
                total += int(last["position"]) + int(last["length"]) - int(first["position"])
        return total

    def read(self, partition: int, start: int, end: int) -> pa.RecordBatch:
        """Return the records from offset ``start`` to before ``end``: ``_partition, _offset, payload, arrived``.

        A payload whose bytes are not as they were written is null.

        Raises
        ------
        NotThere : the log does not have these offsets
        """
        batches = list(self.batches(partition, start, end))
        return batches[0] if len(batches) == 1 else pa.concat_batches(batches or [_EMPTY])

    def batches(self, partition: int, start: int, end: int, max_bytes: int = _AT_A_TIME) -> Iterator[pa.RecordBatch]:
        """Yield the same records in pieces of about ``max_bytes``."""
        end_offset = self._end(partition)
        if not 0 <= start <= end <= end_offset:
            raise NotThere(
                f"Partition {partition} of the log in '{self.folder}' has the offsets 0 to {end_offset}, not {start} to {end}.",
                fix="Was the folder emptied? A stream that has read from it needs a new checkpoint then.",
                partition=partition,
            )
        bases = self._bases[partition]
        for number, base in enumerate(bases):
            stop = bases[number + 1] if number + 1 < len(bases) else end_offset
            if base < end and stop > start:
                yield from self._segment(partition, base, max(start, base), min(end, stop), max_bytes)

    def _segment(self, partition: int, base: int, start: int, end: int, max_bytes: int) -> Iterator[pa.RecordBatch]:
        place = _place(self.folder, partition)
        with open(_index(place, base), "rb") as index, open(_data(place, base), "rb", buffering=0) as data:
            index.seek((start - base) * _SIZE)
            records = np.frombuffer(index.read((end - start) * _SIZE), RECORD)
            ends = records["position"].astype(np.int64) + records["length"]
            first = 0
            while first < len(records):
                from_ = int(records["position"][first])
                last = max(first + 1, int(np.searchsorted(ends, from_ + max_bytes, "right")))
                piece = os.pread(data.fileno(), int(ends[last - 1]) - from_, from_)
                yield _batch(partition, start + first, records[first:last], from_, piece)
                first = last

    def _end(self, partition: int) -> int:
        while len(self._bases) <= partition:
            self._bases.append([])
        bases, place = self._bases[partition], _place(self.folder, partition)
        if not bases:
            bases += _segments(place)
            if not bases:
                return 0
        while True:
            try:
                count = _index(place, bases[-1]).stat().st_size // _SIZE
            except FileNotFoundError:
                raise NotThere(f"The log in '{self.folder}' was removed while it was read.", partition=partition) from None
            following = bases[-1] + count
            if not count or not _index(place, following).exists():
                return following
            bases.append(following)


class _Tail:
    """The end of one partition, where a writer appends."""

    def __init__(self, place: Path, segment_bytes: int, sync: bool) -> None:
        self._place, self._segment_bytes, self._sync = place, segment_bytes, sync
        place.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        if not lock(self._lock):
            os.close(self._lock)
            raise LeaseHeld(
                f"Another writer appends to '{place}' ({holder(place / 'lock').get('who', 'unknown')}).",
                fix="Stop it first; each partition of a log has one writer.",
            )
        sign(self._lock)
        self._data = self._index = -1
        self._begin((_segments(place) or [0])[-1])

    @property
    def end(self) -> int:
        """The offset of the next record."""
        return self._base + self._count

    def append(self, payloads: Sequence[Payload], arrived_us: int) -> range:
        if self._position >= self._segment_bytes:
            self._begin(self.end)
        records = np.empty(len(payloads), RECORD)
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
        records["position"] = self._position + np.cumsum(lengths) - lengths
        records["length"] = lengths
        records["crc"] = np.fromiter(map(crc32, payloads), np.uint32, len(payloads))
        records["arrived_us"] = arrived_us
        joined = payloads[0] if len(payloads) == 1 else b"".join(payloads)
        try:
            _write(self._data, joined, self._position)
            if self._sync:
                os.fdatasync(self._data)
            _write(self._index, records.tobytes(), self._count * _SIZE)
            if self._sync:
                os.fdatasync(self._index)
        except OSError as error:
            self._recover()  # completely written entries may have been read already, so they stay
            raise EnvironmentProblem(
                f"The log in '{self._place}' cannot be written: {error.strerror}.",
                fix="Free space there and go on; nothing is half written.",
            ) from None
        offsets = range(self.end, self.end + len(payloads))
        self._count += len(payloads)
        self._position += len(joined)
        return offsets

    def close(self) -> None:
        for handle in (self._data, self._index, self._lock):
            if handle >= 0:
                os.close(handle)

    def _begin(self, base: int) -> None:
        """Open the segment that starts at offset ``base``; the index comes last, since readers look for it."""
        for handle in (self._data, self._index):
            if handle >= 0:
                os.close(handle)
        self._base = base
        self._data = os.open(_data(self._place, base), os.O_RDWR | os.O_CREAT, 0o644)
        self._index = os.open(_index(self._place, base), os.O_RDWR | os.O_CREAT, 0o644)
        self._recover()

    def _recover(self) -> None:
        """Truncate what a dead writer left after the last complete record."""
        size = os.fstat(self._data).st_size
        count = os.fstat(self._index).st_size // _SIZE
        self._position = 0
        # Only a power cut can leave an entry without its payload.
        while count:
            record = _entry(self._index, count - 1)
            start, length = int(record["position"]), int(record["length"])
            if start + length <= size and crc32(os.pread(self._data, length, start)) == record["crc"]:
                self._position = start + length
                break
            count -= 1
        self._count = count
        os.ftruncate(self._index, count * _SIZE)
        os.ftruncate(self._data, self._position)


def _entry(handle: int, number: int) -> np.void:
    entry: np.void = np.frombuffer(os.pread(handle, _SIZE, number * _SIZE), RECORD)[0]
    return entry


def _write(handle: int, content: Payload, position: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(handle, view, position)
        view, position = view[written:], position + written


def _batch(partition: int, offset: int, records: Array, start: int, piece: bytes) -> pa.RecordBatch:
    """Return records as Arrow; the payloads are not copied."""
    n = len(records)
    offsets = np.empty(n + 1, np.int32)
    offsets[:n] = records["position"] - np.uint64(start)
    offsets[n] = len(piece)
    view, bounds = memoryview(piece), offsets.tolist()
    crcs = np.fromiter((crc32(view[bounds[i] : bounds[i + 1]]) for i in range(n)), np.uint32, n)
    sound = crcs == records["crc"]
    valid = None if sound.all() else pa.py_buffer(np.packbits(sound, bitorder="little").tobytes())
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(n, partition, np.int32)),
            pa.array(np.arange(offset, offset + n, dtype=np.int64)),
            pa.BinaryArray.from_buffers(pa.binary(), n, [valid, pa.py_buffer(offsets), pa.py_buffer(piece)]),
            pa.array(np.ascontiguousarray(records["arrived_us"]), pa.timestamp("us", "UTC")),
        ],
        schema=SCHEMA,
    )


_EMPTY = pa.RecordBatch.from_pylist([], SCHEMA)


def _place(folder: Path, partition: int) -> Path:
    return folder / f"p{partition}"


def _segments(place: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(path.stem) for path in place.iterdir() if path.suffix == ".index")
    return []


def _index(place: Path, base: int) -> Path:
    return place / f"{base:020d}.index"


def _data(place: Path, base: int) -> Path:
    return place / f"{base:020d}.data"
