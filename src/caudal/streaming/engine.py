"""One stream source at work: messages in, statistics out, each counted once.

What makes a kill harmless is the order: (1) messages between two offsets are computed from the memory of the micro-batch before; (2) the memory
of this one is written whole: offsets, open windows, and rows that are due; (3) those rows are committed to their tables, each commit
naming the micro-batch. Who dies before (2) has done nothing; who dies after it finds the rows in the memory, and in each table's
newest commit whether it has got them.
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
from caudal.graph.registered import of_kind
from caudal.kinds import EXECUTORS
from caudal.stages.ingest.streams.tap import Offsets, SourceUnavailable, Tap
from caudal.stages.statistics import NEVER, advance, begin, end_stream, rows
from caudal.stages.statistics.partial import empty
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.streaming.checkpoint import Checkpoint, newest, save
from caudal.streaming.micro_batch import MicroBatch
from caudal.streaming.outlets import Outbox, Sender
from caudal.streaming.publish import SET_ASIDE, hold, publish, unreadable
from caudal.streaming.task import Found, Work
from caudal.streaming.watch import Watch, of_samples, of_windows
from caudal.tables.home import Home

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PARTS = ("read", "partials", "merge", "commit")
"""The parts of a micro-batch whose seconds are told."""
PENDING_BYTES = 64 << 20
SETTLE_S = 30.0
"""Seconds for which partitions are waited for after their source was away."""


@dataclass
class Step:
    """What a micro-batch has given, for those who look on."""

    source: str
    batch: int
    found: list[Found]
    closed: dict[str, pa.Table]
    open: dict[str, pa.Table]
    anomalies: dict[str, pa.Table]
    seconds: dict[str, float]
    done_at: float = 0.0


@dataclass
class Engine:
    """The operators of one source.

    Parameters
    ----------
    platform : the name of an executor (``executors/``)
    frame : gives messages between two offsets as Spark's frame, for executors that ask for it
    publish_s : float, seconds between two versions of the tables; 0: each micro-batch is one
    way_out : opens the way to an outlet; without it nothing goes out
    onlookers : are told of each micro-batch when it has been done; what they do is not undone by a restart
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
    onlookers: Sequence[Callable[[Step, Checkpoint], None]] = ()
    checkpoint: Checkpoint = field(default_factory=Checkpoint)

    def __post_init__(self) -> None:
        tables: list[Statistics] = of_kind(self.product, "statistics")
        self.tables = {table.name: table for table in tables if table.inputs == (self.source.name,)}
        connection: Any = self.source.connection
        self.watches = [
            Watch(detection, len(connection.channels))
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
            self.checkpoint.states.setdefault(name, begin(table))
        for name in self._owned:
            delta.sweep(self._folder(name), {file.name for _, file in self.checkpoint.files})
        self._publish()

    def step(self) -> bool:
        """Do what is there, and tell whether there was anything."""
        moments = [time.perf_counter()]
        batch = self._take(moments)
        if batch is None:
            if (self.checkpoint.pending or self.checkpoint.files) and self._due():
                self._publish()
            return False
        end, found = batch
        after = self._next(end)
        closed, open_ = self._advance(after, found)
        anomalies = self._watch(after, found, closed)
        self._put_out(after, closed | anomalies)
        moments.append(time.perf_counter())
        self._remember(after)
        if self._due():
            self._publish()
        moments.append(time.perf_counter())
        seconds = {part: later - earlier for part, (earlier, later) in zip(PARTS, pairwise(moments), strict=True)}
        self._tell(Step(self.source.name, after.batch, found, closed, open_, anomalies, seconds, self.clock()), after)
        return True

    def _take(self, moments: list[float]) -> tuple[Offsets, list[Found]] | None:
        """Return up to which offsets messages were taken, and what the tasks have found in them; None where there are none.

        Parameters
        ----------
        moments : the times are added at which reading and the tasks have ended
        """
        self.tap.away = None
        try:
            start, end, _ = self.tap.ends(self.checkpoint.offsets, EXECUTORS[self.platform].MOST_BYTES)
            if start != end:
                self._hold_identity(self.tap.identity())
            self._check_outboxes()
            if self.checkpoint.offsets is None and any(start):  # that it begins here is not to be forgotten
                self.checkpoint = replace(self.checkpoint, offsets=start)
                save(self._memories, self.checkpoint)
            moments.append(time.perf_counter())
            found = self._taken(start, end) if start != end else []
        except SourceUnavailable as away:  # nothing has been done yet
            self.tap.away, start, end = away, (), ()
        if self.tap.away is not None:
            self._away_at = self.clock()
        if start == end:
            return None
        self.tap.learn(sum(one.messages for one in found), sum(one.message_bytes for one in found))
        moments.append(time.perf_counter())
        return end, found

    def _tell(self, step: Step, after: Checkpoint) -> None:
        """Let onlookers see a micro-batch that has been done."""
        for look in self.onlookers:
            look(step, after)

    def close(self) -> None:
        """Let go of what is open."""
        for box in self.outboxes:
            box.stop()
        self.tap.close()

    def finish(self) -> None:
        """Publish what is pending; open windows stay open, for the stream may go on."""
        self._publish()
        for box in self.outboxes:
            box.drain()
            box.check()
        if self.checkpoint.batch >= 0:
            self._put_out(self.checkpoint, {})
            save(self._memories, self.checkpoint)

    def end(self) -> None:
        """Close every window and publish: the stream has ended for good, and what comes after is late.

        Detectors and onlookers see these windows as they see those that a micro-batch closes.
        """
        began = time.perf_counter()
        after = self._next(self.checkpoint.offsets)
        closed = {}
        for name, declared in self.tables.items():
            after.states[name], last = end_stream(after.states[name], declared)
            closed[name] = rows(last, declared)
            if len(last):
                after.pending.setdefault(name, []).append(closed[name])
        anomalies = self._watch(after, [], closed)
        self._put_out(after, closed | anomalies)
        self._remember(after)
        self.finish()
        seconds = {**dict.fromkeys(PARTS, 0.0), "commit": time.perf_counter() - began}
        open_ = {name: rows(empty(declared), declared) for name, declared in self.tables.items()}
        self._tell(Step(self.source.name, after.batch, [], closed, open_, anomalies, seconds, self.clock()), after)

    def _next(self, offsets: Offsets | None) -> Checkpoint:
        """Return a memory for the next micro-batch, that can be changed."""
        before = self.checkpoint
        pending = {name: list(some) for name, some in before.pending.items()}
        return replace(
            before, batch=before.batch + 1, offsets=offsets, states=dict(before.states), pending=pending, files=list(before.files),
            counts=dict(before.counts), operators=dict(before.operators),
        )  # fmt: skip

    def _taken(self, start: Offsets, end: Offsets) -> list[Found]:
        """Return what the executor has found."""
        batch = MicroBatch(self.tap, start, end, self._work(), self.frame, tuple(self.tables), self._stage)
        taken: list[Found] = EXECUTORS[self.platform].take(batch)
        return taken

    def _work(self) -> Work:
        connection: Any = self.source.connection
        tables = {name: (table, self.checkpoint.states[name].bounds) for name, table in self.tables.items()}
        keep = any(watch.declared.of == self.source.name for watch in self.watches)
        tz = self.product.tz if self.source.partition is not None else None
        return Work(connection.channels, connection.wire, tables, str(self._stage), tz, keep)

    def _advance(self, after: Checkpoint, found: list[Found]) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
        closed, open_ = {}, {}
        reached = self._reached(found)
        for name, declared in self.tables.items():
            taken = [one.taken[name] for one in found if name in one.taken]
            taken = [replace(one, newest_us=min(one.newest_us, reached)) for one in taken]
            state, done, changed = advance(after.states[name], taken, declared)
            after.states[name] = state
            closed[name], open_[name] = rows(done, declared), rows(changed, declared)
            if len(done):
                after.pending.setdefault(name, []).append(closed[name])
        for one in found:
            if one.rows:
                after.pending.setdefault(self.source.name, []).extend(one.rows)
            after.files += [(self._stage.name, file) for file in one.files]
            if one.unreadable:
                after.pending.setdefault(SET_ASIDE, []).append(unreadable(one))
        for name in ("samples", "messages", "outside", "unreadable_messages"):
            after.counts[name] = after.counts.get(name, 0) + sum(getattr(one, name) for one in found)
        return closed, open_

    def _reached(self, found: list[Found]) -> int:
        """Return the event time that the stream has come to.

        After a source was away, its partitions do not come back together, and what was held back behind one of them is not late for
        that: for a while, time is where the slowest has come to.
        """
        for one in found:
            for partition, at_us in one.newest.items():
                self._newest[partition] = max(self._newest.get(partition, at_us), at_us)
        settling = self.clock() - self._away_at < SETTLE_S
        return (min if settling else max)(self._newest.values(), default=NEVER)

    def _watch(self, after: Checkpoint, found: list[Found], closed: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """Return what the detectors have found; they have learned what they saw."""
        told = {}
        kept = [samples for one in found for samples in one.kept]
        seen = after.seen
        for watch in self.watches:
            if watch.declared.of == self.source.name:
                told[watch.declared.name], after.seen = of_samples(watch, kept, seen)
            else:
                told[watch.declared.name] = of_windows(watch, closed[watch.declared.of])
            after.operators |= watch.states()
            if len(told[watch.declared.name]):
                after.pending.setdefault(watch.declared.name, []).append(told[watch.declared.name])
        return told

    def _check_outboxes(self) -> None:
        """Raise when one cannot take more: what would come is then left where it is."""
        for box in self.outboxes:
            box.check()
            if box.full:
                raise SourceUnavailable(box.trouble or f"Outlet '{box.declared.name}' takes its rows too slowly.")

    def _put_out(self, after: Checkpoint, come: Mapping[str, pa.Table]) -> None:
        """Put rows on their way out; they are in the memory before they are sent."""
        for box in self.outboxes:
            rows_of = come.get(box.declared.of)
            if rows_of is not None and len(rows_of):
                box.put(after.batch, rows_of)
        after.outbox = {box.declared.name: box.waiting for box in self.outboxes}

    def _remember(self, after: Checkpoint) -> None:
        """Write the memory; from here on its micro-batch has happened, and what it holds may go out."""
        save(self._memories, after)
        self.checkpoint = after
        for box in self.outboxes:
            box.release(after.batch)

    def _due(self) -> bool:
        pending = sum(one.nbytes for some in self.checkpoint.pending.values() for one in some)
        return self.clock() - self.checkpoint.published >= self.publish_s or pending > PENDING_BYTES

    def _publish(self) -> None:
        """Commit the rows that the written memory holds."""
        self.checkpoint = publish(self.checkpoint, self.product, self.source, self.home, self._owned, self.run_id, self.clock())

    def _hold_identity(self, identity: tuple[str | None, ...]) -> None:
        """Raise when the offsets that are remembered are of another topic or log, whose place was taken; else remember this one."""
        before = self.checkpoint.identity
        now = (*identity, *(None,) * (len(before) - len(identity)))
        if any(was is not None and was != is_now for was, is_now in zip(before, now, strict=False)):
            raise EnvironmentProblem(
                f"What '{self.source.name}' reads was made anew since the stream last read it: the topic or log that it has come to"
                f" {sum(self.checkpoint.offsets or ())} messages of is gone, and another has its name.",
                fix=f"To read the new one from its beginning, move {self._memories.parent} and the tables made of it away;"
                " or bring the old one back.",
                source=self.source.name,
                transient=False,
            )
        self.checkpoint = replace(self.checkpoint, identity=tuple(now))

    def _folder(self, name: str) -> Place:
        return self.home.table(self.product.name, name)

    @property
    def _memories(self) -> Path:
        return self.home.stream(self.product.name, self.source.name) / "memory"

    @property
    def _stage(self) -> Place:
        return self._folder(self.source.name) / f"part-{self.run_id}-captured"
