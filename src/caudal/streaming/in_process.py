"""The engine that computes micro-batches in this process: its checkpoint holds offsets, open windows and detectors."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pyarrow as pa

from caudal.errors import CaudalError
from caudal.stages.ingest.streams.tap import Offsets, SourceUnavailable
from caudal.stages.statistics import NEVER, Bounds, TakenSamples, advance, bounds_after, end_stream, new_state, window_rows
from caudal.stages.statistics.partial import empty_partials
from caudal.streaming.checkpoint import Checkpoint, save
from caudal.streaming.engine import PARTS, MicroBatchResult, StreamEngine
from caudal.streaming.split import SplitBatch, Splitter
from caudal.streaming.task import TaskInput, TaskResult, process_messages
from caudal.streaming.watch import DetectionWatch, of_samples, of_windows
from caudal.streaming.workers import StreamWorkers

SETTLE_S = 30.0
"""How long, in seconds, event time waits for the slowest partition after the source was unreachable."""


@dataclass
class InProcessEngine(StreamEngine):
    """The operators of one stream source, in this process.

    Parameters
    ----------
    most_bytes : int, the most bytes of messages of a micro-batch, of each worker's part where workers compute it
    stream_workers : the processes that compute large micro-batches, in parts; without them this one does
    """

    EXECUTOR = "here"

    most_bytes: int = 8 << 20
    stream_workers: StreamWorkers = field(default_factory=lambda: StreamWorkers(1))

    def _restore(self) -> None:
        self._splitter = Splitter(self.tap, self.stream_workers)
        self._ahead: SplitBatch | None = None  # the next micro-batch, which workers compute while this one is merged
        connection: Any = self.source.connection
        self.watches = [DetectionWatch(detection, len(connection.channels)) for detection in self.detections]
        self._newest: dict[int, int] = {}  # event time by partition
        self._away_at = float("-inf")
        for watch in self.watches:
            watch.restore(self.checkpoint.operators)
        for name, table in self.tables.items():
            self.checkpoint.states.setdefault(name, new_state(table))

    @property
    def workers(self) -> int:
        """The number of workers that had a part of the last micro-batch; 1 if this process computed it."""
        return self._splitter.used

    @property
    def most_workers(self) -> int:
        """The most workers that have had a part of a micro-batch."""
        return self._splitter.most_used

    def step(self) -> bool:
        """Process the messages that are available; return whether there were any."""
        moments = [time.perf_counter()]
        batch = self._take(moments)
        if batch is None:
            self.stream_workers.rest()
            if self.checkpoint.pending or self.checkpoint.files:
                self._publish_if_due()
            return False
        end, results, taken = batch
        after = self._next(end)
        closed, open_ = self._advance(after, results, taken)
        anomalies = self._watch(after, results, closed)
        self._fill_outboxes(after, closed | anomalies)
        moments.append(time.perf_counter())
        self._save_checkpoint(after)
        self._publish_if_due()
        moments.append(time.perf_counter())
        seconds = {part: later - earlier for part, (earlier, later) in zip(PARTS, pairwise(moments), strict=True)}
        self._call_onlookers(
            MicroBatchResult(self.source.name, after.batch, results, closed, open_, anomalies, seconds, self.clock()), after
        )
        return True

    def end(self) -> None:
        """Close every window and publish: the stream has ended for good, and whatever arrives later is late."""
        began = time.perf_counter()
        after = self._next(self.checkpoint.offsets)
        closed = {}
        for name, declared in self.tables.items():
            after.states[name], last = end_stream(after.states[name], declared)
            closed[name] = window_rows(last, declared)
            if len(last):
                after.pending.setdefault(name, []).append(closed[name])
        anomalies = self._watch(after, [], closed)
        self._fill_outboxes(after, closed | anomalies)
        self._save_checkpoint(after)
        self.finish()
        seconds = {**dict.fromkeys(PARTS, 0.0), "commit": time.perf_counter() - began}
        open_ = {name: window_rows(empty_partials(declared), declared) for name, declared in self.tables.items()}
        self._call_onlookers(
            MicroBatchResult(self.source.name, after.batch, [], closed, open_, anomalies, seconds, self.clock()), after
        )

    def finish(self) -> None:
        """Publish pending rows; the messages that workers have begun to compute are read again by the next stream."""
        self._drop_ahead()
        super().finish()

    def close(self) -> None:
        """End what workers compute, and close the outboxes and the tap."""
        self._drop_ahead()
        super().close()

    def _take(self, moments: list[float]) -> tuple[Offsets, list[TaskResult], dict[str, list[TakenSamples]]] | None:
        """Return the offsets up to which messages were taken, their results, and the samples of each table; None if there are no messages.

        Parameters
        ----------
        moments : receives the times at which reading and computing ended
        """
        self.tap.unavailable = None
        results: list[TaskResult] | None = None
        end: Offsets = ()
        try:
            if self._ahead is None:
                start, end, split = self._begin()
                moments.append(time.perf_counter())
                if split is None and start != end:
                    results = [process_messages(self.tap.read(start, end), self._work())]
                    self._splitter.used = 1
            else:
                self._check_outboxes()
                split, self._ahead = self._ahead, None
                end = split.end
                moments.append(time.perf_counter())
            if split is not None:
                results = self._splitter.collect(split)
        except SourceUnavailable as away:  # nothing has been done yet
            self.tap.unavailable, results = away, None
        if self.tap.unavailable is not None:
            self._away_at = self.clock()
        if results is None:
            return None
        self.tap.learn(sum(result.messages for result in results), sum(result.message_bytes for result in results))
        taken = self._taken(results)
        if split is not None:
            self._look_ahead(end, taken)
        moments.append(time.perf_counter())
        return end, results, taken

    def _begin(self) -> tuple[Offsets, Offsets, SplitBatch | None]:
        """Return the offsets of the messages that are available, and the micro-batch that workers compute of them, if they are many."""
        start, end, size = self.tap.ends(self.checkpoint.offsets, self._splitter.room(self.most_bytes))
        if start != end:
            self._check_identity(self.tap.identity())
        self._check_outboxes()
        if self.checkpoint.offsets is None and any(start):  # remember where the stream begins
            self.checkpoint = replace(self.checkpoint, offsets=start)
            save(self._memories, self.checkpoint)
        is_split = start != end and self._splitter.can_split(size)
        return start, end, self._splitter.submit(start, end, self._work()) if is_split else None

    def _look_ahead(self, end: Offsets, taken: Mapping[str, list[TakenSamples]]) -> None:
        """Let workers compute the next micro-batch while this one is merged and recorded, if many messages are there.

        What its tasks have to know of this one, late and repeated samples, follows from the results before they are merged.
        """
        with contextlib.suppress(CaudalError):  # the next step meets it too, when this micro-batch is recorded
            start, next_end, size = self.tap.ends(end, self._splitter.room(self.most_bytes))
            if start != next_end and self._splitter.can_split(size):
                self._check_identity(self.tap.identity())
                states = self.checkpoint.states
                bounds = {name: bounds_after(states[name], taken[name], table)[0] for name, table in self.tables.items()}
                self._ahead = self._splitter.submit(start, next_end, self._work(bounds))
        self.tap.unavailable = None

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._splitter.drop(self._ahead)
            self._ahead = None

    def _work(self, bounds: Mapping[str, Bounds] | None = None) -> TaskInput:
        """Return the input of the tasks of a micro-batch.

        Parameters
        ----------
        bounds : of each table, from the micro-batches before; those of the checkpoint unless given
        """
        bounds = bounds or {name: self.checkpoint.states[name].bounds for name in self.tables}
        return replace(super()._work(), tables={name: (table, bounds[name]) for name, table in self.tables.items()})

    def _taken(self, results: list[TaskResult]) -> dict[str, list[TakenSamples]]:
        """Return the samples of each table, with the event time that the stream has reached."""
        reached = self._event_time_reached(results)
        return {
            name: [
                replace(taken, newest_us=min(taken.newest_us, reached))
                for taken in (result.taken_samples[name] for result in results if name in result.taken_samples)
            ]
            for name in self.tables
        }

    def _advance(
        self, after: Checkpoint, results: list[TaskResult], taken: Mapping[str, list[TakenSamples]]
    ) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
        closed, open_ = {}, {}
        for name, declared in self.tables.items():
            state, done, changed = advance(after.states[name], taken[name], declared)
            after.states[name] = state
            closed[name], open_[name] = window_rows(done, declared), window_rows(changed, declared)
            if len(done):
                after.pending.setdefault(name, []).append(closed[name])
        self._add_captured(after, results)
        return closed, open_

    def _event_time_reached(self, results: list[TaskResult]) -> int:
        """Return the event time that the stream has reached.

        After an outage, a source's partitions do not come back together, and messages held back in one of them are not late because
        of that: for a while, the slowest partition sets the time.
        """
        for result in results:
            for partition, at_us in result.newest.items():
                self._newest[partition] = max(self._newest.get(partition, at_us), at_us)
        settling = self.clock() - self._away_at < SETTLE_S
        return (min if settling else max)(self._newest.values(), default=NEVER)

    def _watch(self, after: Checkpoint, results: list[TaskResult], closed: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """Return the anomalies that the detectors found; the detectors have learned from the rows."""
        anomalies = {}
        sample_blocks = [samples for result in results for samples in result.sample_blocks]
        processed = after.seen
        for watch in self.watches:
            if watch.declared.of == self.source.name:
                anomalies[watch.declared.name], after.seen = of_samples(watch, sample_blocks, processed)
            else:
                anomalies[watch.declared.name] = of_windows(watch, closed[watch.declared.of])
            after.operators |= watch.states()
            if len(anomalies[watch.declared.name]):
                after.pending.setdefault(watch.declared.name, []).append(anomalies[watch.declared.name])
        return anomalies
