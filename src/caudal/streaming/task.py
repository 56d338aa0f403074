"""One task of a micro-batch: messages → samples → partial statistics, and rows for the capture."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import cast

import numpy as np
import pyarrow as pa

from caudal.declarations.statistics import Statistics
from caudal.messaging.updates import SignalUpdate
from caudal.messaging.wire import many
from caudal.stages.ingest.streams.parts import by_partition
from caudal.stages.statistics import NEVER, Bounds, Samples, TakenSamples, merge_partials, of_blocks, take_samples
from caudal.stages.statistics.samples import join_samples
from caudal.stages.statistics.seen import Seen
from caudal.storage.place import place
from caudal.tables.rows import by_day, write_rows

COUNTS = ("samples", "messages", "outside", "unreadable_messages")
"""The counts of a task that are kept over a stream's whole life."""
AHEAD_US = 300_000_000  # a clock that is further ahead than this is wrong, and would make all other samples late
INLINE_BYTES = 1 << 20  # captured values up to this size are sent to the driver; larger ones are written by the task
_POINTS = 32
_SHOWN = 1024  # samples of a micro-batch from which the live view's points are made
KEPT_MESSAGES = 100
"""Unreadable messages of a task whose bytes are kept."""


@dataclass(frozen=True)
class TaskInput:
    """The parameters of a task; they are sent to each.

    Parameters
    ----------
    tables : the statistics to compute, each with its bounds from earlier micro-batches
    capture : the folder for captured rows that are too large to send
    tz : time zone whose days partition the captured rows, or None
    keep : bool, True also sends the samples themselves, for detectors
    """

    channels: tuple[str, ...]
    wire: str
    tables: Mapping[str, tuple[Statistics, Bounds]]
    capture: str
    tz: str | None = None
    keep: bool = False


@dataclass(frozen=True)
class Captured:
    """A file of captured rows, all of one day if the table is partitioned by day."""

    name: str
    rows: int
    day: str | None


@dataclass
class TaskResult:
    """The result of a task.

    Parameters
    ----------
    unreadable : (partition, offset, reason, message) of the first messages that hold no samples
    outside : int, samples whose device, number or time is impossible
    rows : captured samples; files : captured files, if the samples are too large to send
    at_us : int64, event times, evenly sampled, and ``weight``, how many samples each stands for
    signal : points of one device: at seconds, least, greatest, mean by channel
    sample_blocks : the samples themselves, if they are asked for, and ``places``, partition and offset of each block's first message
    newest : partition → greatest event time of its samples, microseconds
    """

    taken_samples: dict[str, TakenSamples] = field(default_factory=dict)
    messages: int = 0
    message_bytes: int = 0
    samples: int = 0
    unreadable: list[tuple[int, int, str, bytes | None]] = field(default_factory=list)
    unreadable_messages: int = 0
    outside: int = 0
    rows: list[pa.Table] = field(default_factory=list)
    files: list[Captured] = field(default_factory=list)
    at_us: list[tuple[np.ndarray, float]] = field(default_factory=list)
    signal: SignalUpdate | None = None
    sample_blocks: list[Samples] = field(default_factory=list)
    newest: dict[int, int] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)


def process_messages(batches: Iterator[pa.RecordBatch], work: TaskInput) -> TaskResult:
    """Return the samples and partial statistics in messages."""
    result = TaskResult()
    bounds = {name: table_bounds for name, (_, table_bounds) in work.tables.items()}
    parts: dict[str, list[TakenSamples]] = {name: [] for name in work.tables}
    few: list[Samples] = []
    with ThreadPoolExecutor(1, "capture") as pool:  # files are written while the next samples are added up
        written: list[Future[list[Captured]]] = []
        for partition, batch in chain.from_iterable(map(by_partition, batches)):
            samples = _read(batch, work, result)
            if len(samples) == 0:
                continue
            result.newest[partition] = max(result.newest.get(partition, NEVER), int(samples.at_us.max()))
            if samples.values.nbytes > INLINE_BYTES:
                written.append(pool.submit(_written, samples, work))
            else:
                few.append(samples)
            if work.keep:
                result.sample_blocks.append(samples)
                result.places.append((partition, batch.column("_offset")[0].as_py()))
            _take(samples, work, bounds, parts, result)
        if few and sum(block.values.nbytes for block in few) > INLINE_BYTES:
            written.append(pool.submit(_written, join_samples(few), work))
            few = []
        result.files = [file for future in written for file in future.result()]
    result.rows = [block.table(work.channels) for block in few]
    for name, table_parts in parts.items():
        if table_parts:
            result.taken_samples[name] = _one(table_parts, work.tables[name][0].gap_us)
    return result


def _take(
    samples: Samples, work: TaskInput, bounds: dict[str, Bounds], parts: dict[str, list[TakenSamples]], result: TaskResult
) -> None:
    """Add samples to the result, and to the bounds that later messages are compared with."""
    result.samples += len(samples)
    result.at_us.append((np.sort(samples.at_us[:: max(1, len(samples) // _POINTS)]), len(samples) / min(len(samples), _POINTS)))
    result.signal = signal(samples)
    for name, (declared, _) in work.tables.items():
        partial = take_samples(samples, declared, bounds[name])
        parts[name].append(partial)
        bounds[name] = Bounds(bounds[name].seen.with_(partial.seen), bounds[name].closed)


def signal(samples: Samples) -> SignalUpdate:
    """Return the last samples of one device, at most 32 points, for the live view."""
    mine = samples.where(np.flatnonzero(samples.device == samples.device.min())[-_SHOWN:])
    order = np.argsort(mine.at_us, kind="stable")
    at, values = mine.at_us[order], mine.values[order]
    starts = np.unique(np.linspace(0, len(at), min(_POINTS, len(at)), endpoint=False).astype(int))
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduceat(values, starts, axis=0), np.fmax.reduceat(values, starts, axis=0)
        mean = np.add.reduceat(values.astype(np.float64), starts, axis=0) / np.diff(np.append(starts, len(at)))[:, None]
    points: dict[str, object] = {"at": at[starts] / 1e6, "low": low, "high": high, "mean": mean}
    return cast("SignalUpdate", {"device": int(mine.device[0]), **points})  # arrays, which the feed writes as lists


def _read(batch: pa.RecordBatch, work: TaskInput, result: TaskResult) -> Samples:
    payloads = batch.column("payload")
    result.messages += len(payloads)
    result.message_bytes += payloads.nbytes
    blocks, unreadable = many(payloads, work.wire)
    valid = [block for block in blocks if block.channels == len(work.channels)]
    wrong = len(blocks) - len(valid)
    result.unreadable_messages += len(unreadable) + wrong
    for position, reason in unreadable[: KEPT_MESSAGES - len(result.unreadable)]:
        message = payloads[position].as_py()
        result.unreadable.append(
            (batch.column("_partition")[position].as_py(), batch.column("_offset")[position].as_py(), reason, message)
        )
    if wrong and len(result.unreadable) < KEPT_MESSAGES:
        counts = sorted({block.channels for block in blocks} - {len(work.channels)})
        reason = f"{wrong} blocks have {counts} channels, {len(work.channels)} are declared"
        result.unreadable.append((batch.column("_partition")[0].as_py(), batch.column("_offset")[0].as_py(), reason, None))
    samples = of_blocks(valid, len(work.channels))
    newest = batch.column("arrived").cast(pa.int64()).to_numpy(zero_copy_only=False).max(initial=0)
    plausible = samples.within_key_bits & (samples.at_us <= newest + AHEAD_US)
    if plausible.all():
        return samples
    result.outside += int((~plausible).sum())
    return samples.where(plausible)


def _one(parts: list[TakenSamples], gap_us: int) -> TakenSamples:
    combined = Seen()
    for part in parts:
        combined = combined.with_(part.seen)
    return TakenSamples(
        merge_partials([part.parts for part in parts], gap_us), combined, sum(part.samples for part in parts), sum(part.duplicates for part in parts),
        sum(part.late for part in parts), max(part.newest_us for part in parts),
    )  # fmt: skip


def _written(samples: Samples, work: TaskInput) -> list[Captured]:
    return write_files(samples.table(work.channels), work.capture, "at", work.tz)


def write_files(table: pa.Table, to: str, moment: str, tz: str | None) -> list[Captured]:
    """Write rows to files of this task alone; if the task runs again, the later files are used and these are swept away.

    Parameters
    ----------
    moment, tz : the column whose day in the time zone divides the files; without a time zone there is one file
    """
    folder = place(to)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for day, rows in by_day(table, moment, tz):
        file = folder / f"{uuid.uuid4().hex}.parquet"
        write_rows(rows, file)
        files.append(Captured(file.name, len(rows), day))
    return files
