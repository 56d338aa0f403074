"""One stream source at work: it turns messages into statistics and counts each message once.

The order of the steps makes a kill harmless: (1) messages between two offsets are processed on top of the previous micro-batch's checkpoint; (2) the
new checkpoint is written as a whole: offsets, open windows and pending rows; (3) the pending rows are committed to their tables, each commit
naming the micro-batch. A process that dies before (2) has changed nothing; after (2), the next one finds the rows in the checkpoint, and each
table's newest commit tells whether the table already has them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from caudal.declarations.node import Source
from caudal.declarations.outlet import Outlet
from caudal.declarations.product import Product
from caudal.declarations.statistics import Statistics
from caudal.errors import EnvironmentProblem
from caudal.graph.registered import declarations_of_kind
from caudal.kinds import EXECUTORS
from caudal.stages.ingest.streams.tap import Offsets, SourceUnavailable, Tap
from caudal.stages.statistics import NEVER, advance, end_stream, new_state, window_rows
from caudal.stages.statistics.partial import empty_partials
from caudal.storage.place import Place
from caudal.storage.sweep import sweep
from caudal.streaming.checkpoint import Checkpoint, newest, save
from caudal.streaming.micro_batch import MicroBatch
from caudal.streaming.outlets import Outbox, Sender
from caudal.streaming.publish import SET_ASIDE, hold, publish_checkpoint, unreadable
from caudal.streaming.task import TaskInput, TaskResult
from caudal.streaming.watch import DetectionWatch, of_samples, of_windows
from caudal.tables.home import Home

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PARTS = ("read", "partials", "merge", "commit")
"""The parts of a micro-batch whose durations are reported."""
PENDING_BYTES = 64 << 20
SETTLE_S = 30.0
"""How long, in seconds, event time waits for the slowest partition after the source was unreachable."""


@dataclass
class MicroBatchResult:
    """The result of one micro-batch, for its onlookers."""

    source: str
    batch: int
    results: list[TaskResult]
    closed: dict[str, pa.Table]
    open: dict[str, pa.Table]
    anomalies: dict[str, pa.Table]
    seconds: dict[str, float]
    done_at: float = 0.0


@dataclass
class StreamEngine:
    """The operators of one stream source.

    Parameters
    ----------
    platform : the name of an executor (``executors/``)
    frame : returns the messages between two offsets as a Spark frame, for executors that ask for it
    publish_s : float, seconds between two versions of the tables; 0 publishes each micro-batch
    way_out : returns the sender of an outlet; without it no rows are sent
    onlookers : called after each micro-batch; a restart does not undo what they did
    """

    product: Product
    source: Source
    home: Home
    tap: Tap
    run_id: str
    publish_s: float = 5.0
    platform: str = "here"
    frame: Callable[[Offsets, Offsets], DataFrame] | None = None
    clock: Callable[[], float] = time.time
    way_out: Callable[[Outlet], Sender] | None = None
    onlookers: Sequence[Callable[[MicroBatchResult, Checkpoint], None]] = ()
    checkpoint: Checkpoint = field(default_factory=Checkpoint)

    def __post_init__(self) -> None:
        tables: list[Statistics] = declarations_of_kind(self.product, "statistics")
        self.tables = {table.name: table for table in tables if table.inputs == (self.source.name,)}
        connection: Any = self.source.connection
        self.watches = [
            DetectionWatch(detection, len(connection.channels))
            for detection in self.product.detections.values()
            if detection.of == self.source.name or detection.of in self.tables
        ]
        self._owned = [*self.tables, *(watch.declared.name for watch in self.watches), self.source.name]
        self.checkpoint = newest(self._memories)
        self._newest: dict[int, int] = {}  # event time by partition
        self._away_at = float("-inf")
        hold(self.checkpoint, self.product, self.home, self._owned, self._memories)
        self.outboxes = [
            Outbox(outlet, self.way_out(outlet), self.checkpoint.outbox.get(outlet.name, []))
            for outlet in self.product.outlets.values()
            if self.way_out is not None and outlet.of in self._owned
        ]
        for box in self.outboxes:
            box.start()
        for watch in self.watches:
            watch.restore(self.checkpoint.operators)
        for name, table in self.tables.items():
            self.checkpoint.states.setdefault(name, new_state(table))
        for name in self._owned:
            sweep(self._folder(name), {file.name for _, file in self.checkpoint.files})
        self._publish()

    def step(self) -> bool:
        """Process the messages that are available; return whether there were any."""
        moments = [time.perf_counter()]
        batch = self._take(moments)
        if batch is None:
            if (self.checkpoint.pending or self.checkpoint.files) and self._due():
                self._publish()
            return False
        end, results = batch
        after = self._next(end)
        closed, open_ = self._advance(after, results)
        anomalies = self._watch(after, results, closed)
        self._fill_outboxes(after, closed | anomalies)
        moments.append(time.perf_counter())
        self._save_checkpoint(after)
        if self._due():
            self._publish()
        moments.append(time.perf_counter())
        seconds = {part: later - earlier for part, (earlier, later) in zip(PARTS, pairwise(moments), strict=True)}
        self._call_onlookers(
            MicroBatchResult(self.source.name, after.batch, results, closed, open_, anomalies, seconds, self.clock()), after
        )
        return True

    def _take(self, moments: list[float]) -> tuple[Offsets, list[TaskResult]] | None:
        """Return the offsets up to which messages were taken, and the tasks' results; None if there are no messages.

        Parameters
        ----------
        moments : receives the times at which reading and the tasks ended
        """
        self.tap.unavailable = None
        try:
            start, end, _ = self.tap.ends(self.checkpoint.offsets, EXECUTORS[self.platform].MOST_BYTES)
            if start != end:
                self._check_identity(self.tap.identity())
            self._check_outboxes()
            if self.checkpoint.offsets is None and any(start):  # remember where the stream begins
                self.checkpoint = replace(self.checkpoint, offsets=start)
                save(self._memories, self.checkpoint)
            moments.append(time.perf_counter())
            results = self._run_tasks(start, end) if start != end else []
        except SourceUnavailable as away:  # nothing has been done yet
            self.tap.unavailable, start, end = away, (), ()
        if self.tap.unavailable is not None:
            self._away_at = self.clock()
        if start == end:
            return None
        self.tap.learn(sum(result.messages for result in results), sum(result.message_bytes for result in results))
        moments.append(time.perf_counter())
        return end, results

    def _call_onlookers(self, step: MicroBatchResult, after: Checkpoint) -> None:
        """Call the onlookers with a finished micro-batch."""
        for look in self.onlookers:
            look(step, after)

    def close(self) -> None:
        """Close the outboxes and the tap."""
        for box in self.outboxes:
            box.stop()
        self.tap.close()

    def finish(self) -> None:
        """Publish pending rows; open windows stay open, because the stream may go on."""
        self._publish()
        for box in self.outboxes:
            box.drain()
            box.check()
        if self.checkpoint.batch >= 0:
            self._fill_outboxes(self.checkpoint, {})
            save(self._memories, self.checkpoint)

    def end(self) -> None:
        """Close every window and publish: the stream has ended for good, and whatever arrives later is late.

        Detectors and onlookers get these windows as they get those that a micro-batch closes.
        """
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

    def _next(self, offsets: Offsets | None) -> Checkpoint:
        """Return a copy of the checkpoint, for the next micro-batch to change."""
        before = self.checkpoint
        pending = {name: list(tables) for name, tables in before.pending.items()}
        return replace(
            before, batch=before.batch + 1, offsets=offsets, states=dict(before.states), pending=pending, files=list(before.files),
            counts=dict(before.counts), operators=dict(before.operators),
        )  # fmt: skip

    def _run_tasks(self, start: Offsets, end: Offsets) -> list[TaskResult]:
        """Return the results of the executor's tasks."""
        batch = MicroBatch(self.tap, start, end, self._work(), self.frame, tuple(self.tables), self._stage)
        results: list[TaskResult] = EXECUTORS[self.platform].take(batch)
        return results

    def _work(self) -> TaskInput:
        connection: Any = self.source.connection
        tables = {name: (table, self.checkpoint.states[name].bounds) for name, table in self.tables.items()}
        keep = any(watch.declared.of == self.source.name for watch in self.watches)
        tz = self.product.tz if self.source.partition is not None else None
        return TaskInput(connection.channels, connection.wire, tables, str(self._stage), tz, keep)

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
        for result in results:
            if result.rows:
                after.pending.setdefault(self.source.name, []).extend(result.rows)
            after.files += [(self._stage.name, file) for file in result.files]
            if result.unreadable:
                after.pending.setdefault(SET_ASIDE, []).append(unreadable(result))
        for name in ("samples", "messages", "outside", "unreadable_messages"):
            after.counts[name] = after.counts.get(name, 0) + sum(getattr(result, name) for result in results)
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

    def _check_outboxes(self) -> None:
        """Raise if an outbox cannot take more rows; new messages then stay at the source."""
        for box in self.outboxes:
            box.check()
            if box.full:
                raise SourceUnavailable(box.trouble or f"Outlet '{box.declared.name}' takes its rows too slowly.")

    def _fill_outboxes(self, after: Checkpoint, closed: Mapping[str, pa.Table]) -> None:
        """Put rows into the outboxes; the checkpoint holds them before they are sent."""
        for box in self.outboxes:
            rows_of = closed.get(box.declared.of)
            if rows_of is not None and len(rows_of):
                box.put(after.batch, rows_of)
        after.outbox = {box.declared.name: box.waiting for box in self.outboxes}

    def _save_checkpoint(self, after: Checkpoint) -> None:
        """Write the checkpoint: from here on its micro-batch counts as done, and its rows may be sent."""
        save(self._memories, after)
        self.checkpoint = after
        for box in self.outboxes:
            box.release(after.batch)

    def _due(self) -> bool:
        pending = sum(table.nbytes for tables in self.checkpoint.pending.values() for table in tables)
        return self.clock() - self.checkpoint.published >= self.publish_s or pending > PENDING_BYTES

    def _publish(self) -> None:
        """Commit the rows that the saved checkpoint holds."""
        self.checkpoint = publish_checkpoint(
            self.checkpoint, self.product, self.source, self.home, self._owned, self.run_id, self.clock()
        )

    def _check_identity(self, identity: tuple[str | None, ...]) -> None:
        """Raise if the remembered offsets belong to another topic or log that this one has replaced; else remember this
        identity."""
        before = self.checkpoint.identity
        current = (*identity, *(None,) * (len(before) - len(identity)))
        if any(old is not None and old != new for old, new in zip(before, current, strict=False)):
            raise EnvironmentProblem(
                f"What '{self.source.name}' reads was made anew since the stream last read it: the topic or log of which it has read"
                f" {sum(self.checkpoint.offsets or ())} messages is gone, and another has its name.",
                fix=f"To read the new one from its beginning, move {self._memories.parent} and the tables made of it away;"
                " or bring the old one back.",
                source=self.source.name,
                transient=False,
            )
        self.checkpoint = replace(self.checkpoint, identity=tuple(current))

    def _folder(self, name: str) -> Place:
        return self.home.table(self.product.name, name)

    @property
    def _memories(self) -> Path:
        return self.home.stream(self.product.name, self.source.name) / "memory"

    @property
    def _stage(self) -> Place:
        return self._folder(self.source.name) / f"part-{self.run_id}-captured"
