"""The engine that computes micro-batches in this process: its checkpoint holds offsets, open windows and detectors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pyarrow as pa

from caudal.stages.ingest.streams.tap import Offsets, SourceUnavailable
from caudal.stages.statistics import NEVER, advance, end_stream, new_state, window_rows
from caudal.stages.statistics.partial import empty_partials
from caudal.streaming.checkpoint import Checkpoint, save
from caudal.streaming.engine import PARTS, MicroBatchResult, StreamEngine
from caudal.streaming.task import TaskInput, TaskResult, process_messages
from caudal.streaming.watch import DetectionWatch, of_samples, of_windows

SETTLE_S = 30.0
"""How long, in seconds, event time waits for the slowest partition after the source was unreachable."""


@dataclass
class InProcessEngine(StreamEngine):
    """The operators of one stream source, in this process.

    Parameters
    ----------
    most_bytes : int, the most bytes of messages of a micro-batch
    """

    EXECUTOR = "here"

    most_bytes: int = 8 << 20

    def _restore(self) -> None:
        connection: Any = self.source.connection
        self.watches = [DetectionWatch(detection, len(connection.channels)) for detection in self.detections]
        self._newest: dict[int, int] = {}  # event time by partition
        self._away_at = float("-inf")
        for watch in self.watches:
            watch.restore(self.checkpoint.operators)
        for name, table in self.tables.items():
            self.checkpoint.states.setdefault(name, new_state(table))

    def step(self) -> bool:
        """Process the messages that are available; return whether there were any."""
        moments = [time.perf_counter()]
        batch = self._take(moments)
        if batch is None:
            if self.checkpoint.pending or self.checkpoint.files:
                self._publish_if_due()
            return False
        end, results = batch
        after = self._next(end)
        closed, open_ = self._advance(after, results)
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

    def _take(self, moments: list[float]) -> tuple[Offsets, list[TaskResult]] | None:
        """Return the offsets up to which messages were taken, and their results; None if there are no messages.

        Parameters
        ----------
        moments : receives the times at which reading and computing ended
        """
        self.tap.unavailable = None
        try:
            start, end, _ = self.tap.ends(self.checkpoint.offsets, self.most_bytes)
            if start != end:
                self._check_identity(self.tap.identity())
            self._check_outboxes()
            if self.checkpoint.offsets is None and any(start):  # remember where the stream begins
                self.checkpoint = replace(self.checkpoint, offsets=start)
                save(self._memories, self.checkpoint)
            moments.append(time.perf_counter())
            results = [process_messages(self.tap.read(start, end), self._work())] if start != end else []
        except SourceUnavailable as away:  # nothing has been done yet
            self.tap.unavailable, start, end = away, (), ()
        if self.tap.unavailable is not None:
            self._away_at = self.clock()
        if start == end:
            return None
        self.tap.learn(sum(result.messages for result in results), sum(result.message_bytes for result in results))
        moments.append(time.perf_counter())
        return end, results

    def _work(self) -> TaskInput:
        tables = {name: (table, self.checkpoint.states[name].bounds) for name, table in self.tables.items()}
        return replace(super()._work(), tables=tables)

    def _advance(self, after: Checkpoint, results: list[TaskResult]) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
        closed, open_ = {}, {}
        reached = self._event_time_reached(results)
        for name, declared in self.tables.items():
            taken_parts = [result.taken_samples[name] for result in results if name in result.taken_samples]
            taken_parts = [replace(parts, newest_us=min(parts.newest_us, reached)) for parts in taken_parts]
            state, done, changed = advance(after.states[name], taken_parts, declared)
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
