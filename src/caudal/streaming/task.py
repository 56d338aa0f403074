"""What one task of a micro-batch does: messages → samples → what they add up to, and rows for the capture."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa

from caudal.declarations.statistics import Statistics
from caudal.messaging.updates import SignalUpdate
from caudal.messaging.wire import many
from caudal.stages.statistics import NEVER, Bounds, Samples, TakenSamples, merge_partials, of_blocks, take_samples
from caudal.stages.statistics.samples import join_samples
from caudal.stages.statistics.seen import Seen
from caudal.storage.place import place
from caudal.tables.rows import by_day, write

SCHEMA = "found binary"
AHEAD_US = 300_000_000  # a clock that is further ahead than this is wrong, and would make all others late
_INLINE_BYTES = 1 << 20  # captured values up to this size travel to the driver; more are written where they are
_POINTS = 32
_SHOWN = 1024  # samples of a micro-batch that the live view's points are made of
_KEPT = 100  # unreadable messages of a task whose bytes are kept


@dataclass(frozen=True)
class Work:
    """What a task has to know; it is sent to each.

    Parameters
    ----------
    tables : the statistics to be made, each with what is known of earlier micro-batches
    capture : the folder for captured rows that are too many to send
    tz : whose days the captured rows are parted by, or None where they are not
    keep : bool, True sends the samples themselves too, for detectors that look at each
    """

    channels: tuple[str, ...]
    wire: str
    tables: Mapping[str, tuple[Statistics, Bounds]]
    capture: str
    tz: str | None = None
    keep: bool = False


@dataclass(frozen=True)
class Captured:
    """A file of captured rows, all of one day where the table is parted by days."""

    name: str
    rows: int
    day: str | None


@dataclass
class Found:
    """What a task has found.

    Parameters
    ----------
    unreadable : (partition, offset, reason, message) of messages that hold no samples, the first ones
    outside : int, samples whose device, number or time cannot be
    rows : captured samples; files : captured files, where there are more
    at_us : int64, event times, evenly taken, and ``weight``, how many samples each stands for
    signal : points of one device: at seconds, least, greatest, mean by channel
    newest : partition → greatest event time of its samples, microseconds
    """

    taken: dict[str, TakenSamples] = field(default_factory=dict)
    messages: int = 0
    message_bytes: int = 0
    samples: int = 0
    unreadable: list[tuple[int, int, str, bytes | None]] = field(default_factory=list)
    unreadable_messages: int = 0
    outside: int = 0
    rows: list[pa.Table] = field(default_factory=list)
    files: list[Captured] = field(default_factory=list)
    at_us: list[tuple[Any, float]] = field(default_factory=list)
    signal: SignalUpdate | None = None
    kept: list[Samples] = field(default_factory=list)
    newest: dict[int, int] = field(default_factory=dict)


def work(batches: Iterator[pa.RecordBatch], todo: Work) -> Iterator[pa.RecordBatch]:
    """Yield one row: the pickled `Found`. Only our own tasks write it, and only the driver that sent them reads it."""
    yield pa.record_batch([pa.array([pickle.dumps(found_in(batches, todo), protocol=5)], pa.binary())], names=["found"])


def found_in(batches: Iterator[pa.RecordBatch], todo: Work) -> Found:
    """Return what messages hold."""
    found = Found()
    bounds = {name: given for name, (_, given) in todo.tables.items()}
    parts: dict[str, list[TakenSamples]] = {name: [] for name in todo.tables}
    few: list[Samples] = []
    with ThreadPoolExecutor(1, "capture") as beside:  # files are written while the next samples are added up
        written: list[Future[list[Captured]]] = []
        for partition, batch in _by_partition(batches):
            samples = _read(batch, todo, found)
            if len(samples) == 0:
                continue
            found.newest[partition] = max(found.newest.get(partition, NEVER), int(samples.at_us.max()))
            if samples.values.nbytes > _INLINE_BYTES:
                written.append(beside.submit(_written, samples, todo))
            else:
                few.append(samples)
            _take(samples, todo, bounds, parts, found)
        if few and sum(one.values.nbytes for one in few) > _INLINE_BYTES:
            written.append(beside.submit(_written, join_samples(few), todo))
            few = []
        found.files = [one for future in written for one in future.result()]
    found.rows = [one.table(todo.channels) for one in few]
    for name, some in parts.items():
        if some:
            found.taken[name] = _one(some, todo.tables[name][0].gap_us)
    return found


def _by_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    for batch in batches:
        partition = np.asarray(batch.column("_partition"))
        each = np.unique(partition)
        for value in each.tolist():
            yield value, batch if len(each) == 1 else batch.filter(pa.array(partition == value))


def _take(samples: Samples, todo: Work, bounds: dict[str, Bounds], parts: dict[str, list[TakenSamples]], found: Found) -> None:
    """Add samples to what has been found; those of later messages must know of them."""
    found.samples += len(samples)
    found.at_us.append((np.sort(samples.at_us[:: max(1, len(samples) // _POINTS)]), len(samples) / min(len(samples), _POINTS)))
    found.signal = signal(samples)
    if todo.keep:
        found.kept.append(samples)
    for name, (declared, _) in todo.tables.items():
        one = take_samples(samples, declared, bounds[name])
        parts[name].append(one)
        bounds[name] = Bounds(bounds[name].seen.with_(one.seen), bounds[name].closed)


def signal(samples: Samples) -> SignalUpdate:
    """Return what one device's last samples look like, at most 32 points: for the live view."""
    mine = samples.where(np.flatnonzero(samples.device == samples.device.min())[-_SHOWN:])
    order = np.argsort(mine.at_us, kind="stable")
    at, values = mine.at_us[order], mine.values[order]
    starts = np.unique(np.linspace(0, len(at), min(_POINTS, len(at)), endpoint=False).astype(int))
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduceat(values, starts, axis=0), np.fmax.reduceat(values, starts, axis=0)
        mean = np.add.reduceat(values.astype(np.float64), starts, axis=0) / np.diff(np.append(starts, len(at)))[:, None]
    points: dict[str, object] = {"at": at[starts] / 1e6, "low": low, "high": high, "mean": mean}
    return cast("SignalUpdate", {"device": int(mine.device[0]), **points})  # arrays, which the feed writes as lists


def _read(batch: pa.RecordBatch, todo: Work, found: Found) -> Samples:
    payloads = batch.column("payload")
    found.messages += len(payloads)
    found.message_bytes += payloads.nbytes
    blocks, unreadable = many(payloads, todo.wire)
    right = [block for block in blocks if block.channels == len(todo.channels)]
    wrong = len(blocks) - len(right)
    found.unreadable_messages += len(unreadable) + wrong
    for position, reason in unreadable[: _KEPT - len(found.unreadable)]:
        message = payloads[position].as_py()
        found.unreadable.append(
            (batch.column("_partition")[position].as_py(), batch.column("_offset")[position].as_py(), reason, message)
        )
    if wrong and len(found.unreadable) < _KEPT:
        counts = sorted({block.channels for block in blocks} - {len(todo.channels)})
        reason = f"{wrong} blocks have {counts} channels, {len(todo.channels)} are declared"
        found.unreadable.append((batch.column("_partition")[0].as_py(), batch.column("_offset")[0].as_py(), reason, None))
    samples = of_blocks(right, len(todo.channels))
    newest = batch.column("arrived").cast(pa.int64()).to_numpy(zero_copy_only=False).max(initial=0)
    good = samples.bounded & (samples.at_us <= newest + AHEAD_US)
    if good.all():
        return samples
    found.outside += int((~good).sum())
    return samples.where(good)


def _one(parts: list[TakenSamples], gap_us: int) -> TakenSamples:
    seen = Seen()
    for part in parts:
        seen = seen.with_(part.seen)
    return TakenSamples(
        merge_partials([part.parts for part in parts], gap_us), seen, sum(part.samples for part in parts), sum(part.duplicates for part in parts),
        sum(part.late for part in parts), max(part.newest_us for part in parts),
    )  # fmt: skip


def _written(samples: Samples, todo: Work) -> list[Captured]:
    """Write captured rows to files of this task's alone; if the task is run again, those ones are taken and these swept away."""
    folder = place(todo.capture)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for day, rows in by_day(samples.table(todo.channels), "at", todo.tz):
        file = folder / f"{uuid.uuid4().hex}.parquet"
        write(rows, file)
        files.append(Captured(file.name, len(rows), day))
    return files
