"""Micro-batches computed in parts by workers, with the result that one process would have.

What makes that exact: sums are whole numbers, so partials add up in any order; what is late follows from the micro-batches before, not from
this one; and a sample can be a duplicate only of one that shares its device, pane and number, which the runs of both parts show. A part that
may hold a sample of an earlier one is computed again, with the samples of the earlier ones before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace

from caudal.declarations.statistics import Statistics
from caudal.stages.ingest.streams.parts import Part, SentParts, cut_into_parts, sent_parts
from caudal.stages.ingest.streams.tap import Offsets, Tap
from caudal.stages.statistics import Bounds
from caudal.stages.statistics.seen import Seen
from caudal.storage.place import place
from caudal.streaming.task import KEPT_MESSAGES, TaskInput, TaskResult, process_messages
from caudal.streaming.worker import PartTask
from caudal.streaming.workers import StreamWorkers, WorkerProblem

SPLIT_BYTES = 2 << 20
"""Bytes of messages from which on a micro-batch is split: to send a smaller one to workers costs more time than it saves."""
_SENT_BYTES = 1 << 20  # of seen samples; larger ones are not sent to each worker, but compared with here
_MOST_ALONE = 64


@dataclass
class SplitBatch:
    """A micro-batch that workers compute.

    Parameters
    ----------
    work : what one process would compute
    tasks, futures : of its parts, in order of partition and offset
    unsent : the samples that have arrived before, of tables whose samples the workers do not know
    """

    end: Offsets
    work: TaskInput
    tasks: list[PartTask]
    futures: list[Future[TaskResult]]
    unsent: dict[str, Seen]


@dataclass
class Splitter:
    """Gives micro-batches of a source to workers, in as many parts as there are workers.

    Parameters
    ----------
    tap : reads the source in this process

    Attributes
    ----------
    used : int, workers that had a part of the last micro-batch; 1 if this process computed it
    most_used : int, the most of them since the stream began
    """

    tap: Tap
    workers: StreamWorkers
    used: int = 1
    most_used: int = 1
    _alone: int = field(default=0, init=False)  # micro-batches that are still not cut, because parts had samples in common
    _pause: int = field(default=1, init=False)

    def can_split(self, size: int) -> bool:
        """Return whether a micro-batch of so many bytes is given to workers."""
        return size >= SPLIT_BYTES and self.workers.ready()

    def room(self, bytes_a_part: int) -> int:
        """Return the most bytes of a micro-batch."""
        return bytes_a_part * (self.workers.count if self.workers.started else 1)

    def submit(self, start: Offsets, end: Offsets, work: TaskInput) -> SplitBatch:
        """Give the messages between two offsets to the workers; a source that only this process can read is read here, and sent to them.

        Raises
        ------
        SourceUnavailable : the source does not answer
        """
        parts = cut_into_parts(start, end, 1 if self._alone else self.workers.count, self.tap.size)
        unsent = {name: bounds.seen for name, (_, bounds) in work.tables.items() if bounds.seen.bytes > _SENT_BYTES}
        sent = _with_seen(work, dict.fromkeys(unsent, Seen()))
        reader = self.tap.part_reader()
        readers = [reader] * len(parts) if reader is not None else sent_parts(list(self.tap.read(start, end)), parts)
        tasks = [PartTask(reader, part, sent) for reader, part in zip(readers, parts, strict=True)]
        futures = [self.workers.submit(number, task) for number, task in enumerate(tasks)]
        return SplitBatch(end, work, tasks, futures, unsent)

    def collect(self, batch: SplitBatch) -> list[TaskResult]:
        """Return the results of the parts, in order; what has failed, or may have samples of an earlier part, is computed again here."""
        wait(batch.futures)
        results: list[TaskResult] = []
        in_common = False
        earlier = {name: batch.unsent.get(name, Seen()) for name in batch.work.tables}
        try:
            for task, future in zip(batch.tasks, batch.futures, strict=True):
                result = self._result(future)
                if result is not None and (results or batch.unsent) and _has_any_of(result, earlier):
                    discard(result, batch.work)
                    in_common, result = in_common or bool(results), None
                if result is None:
                    result = self._compute_here(batch, task, earlier)
                for name, taken in result.taken_samples.items():
                    earlier[name] = earlier[name].with_(taken.seen)
                results.append(result)
        except BaseException:
            for result in results:
                discard(result, batch.work)
            self._discard_futures(batch, len(results))
            raise
        self._note_common(in_common, len(batch.tasks))
        self.used = len(batch.tasks)
        self.most_used = max(self.most_used, self.used)
        return _with_first_unreadable(results)

    def drop(self, batch: SplitBatch) -> None:
        """Wait for a micro-batch that is not wanted, and delete what its workers have written."""
        for future in batch.futures:
            future.cancel()
        wait(batch.futures)
        self._discard_futures(batch)

    def _compute_here(self, batch: SplitBatch, task: PartTask, earlier: Mapping[str, Seen]) -> TaskResult:
        """Return the result of a part, computed by this process.

        Parameters
        ----------
        earlier : the samples of the parts before it, and those that have arrived before where workers do not know them
        """
        before = {
            name: earlier[name] if name in batch.unsent else bounds.seen.with_(earlier[name])
            for name, (_, bounds) in batch.work.tables.items()
        }
        is_held = isinstance(task.reader, SentParts)
        messages = task.reader.read(task.part) if is_held else self.tap.read(*_offsets(task.part, batch.end))
        return process_messages(messages, _with_seen(batch.work, before))

    def _discard_futures(self, batch: SplitBatch, first: int = 0) -> None:
        for future in batch.futures[first:]:
            if not future.cancelled() and future.exception() is None:
                discard(future.result(), batch.work)

    def _result(self, future: Future[TaskResult]) -> TaskResult | None:
        """Return the result of a worker, or None if it has failed."""
        try:
            result = future.result()
        except WorkerProblem as problem:
            self.workers.note(problem)
            return None
        self.workers.note(None)
        return result

    def _note_common(self, in_common: bool, parts: int) -> None:
        """Leave the next micro-batches whole if parts had samples in common; twice as many each time."""
        if in_common:
            self._alone, self._pause = self._pause, min(2 * self._pause, _MOST_ALONE)
        elif self._alone:
            self._alone -= 1
        elif parts > 1:
            self._pause = max(1, self._pause // 2)


def discard(result: TaskResult, work: TaskInput) -> None:
    """Delete the captured files of a result that is not used."""
    for file in result.files:
        with contextlib.suppress(OSError):
            (place(work.capture) / file.name).unlink(missing_ok=True)


def _has_any_of(result: TaskResult, earlier: Mapping[str, Seen]) -> bool:
    """Return whether a result may hold a sample that has arrived before."""
    return any(earlier[name].overlaps(taken.seen) for name, taken in result.taken_samples.items())


def _with_seen(work: TaskInput, seen: Mapping[str, Seen]) -> TaskInput:
    """Return the input of a task with other samples as those that have arrived."""
    tables: dict[str, tuple[Statistics, Bounds]] = {
        name: (declared, Bounds(seen[name], bounds.closed) if name in seen else bounds)
        for name, (declared, bounds) in work.tables.items()
    }
    return replace(work, tables=tables)


def _offsets(part: Part, at: Offsets) -> tuple[Offsets, Offsets]:
    """Return a part as the offsets that a tap reads between; of other partitions it reads nothing, and stays where the next one begins."""
    low, high = list(at), list(at)
    for partition, first, end in part:
        low[partition], high[partition] = first, end
    return tuple(low), tuple(high)


def _with_first_unreadable(results: list[TaskResult]) -> list[TaskResult]:
    """Return results that together keep as many unreadable messages as one task would."""
    room = KEPT_MESSAGES
    for result in results:
        del result.unreadable[room:]
        room -= len(result.unreadable)
    return results
