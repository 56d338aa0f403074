"""One stream source at work, whichever executor computes it: what a micro-batch gives is recorded, published and sent once.

The order of the steps makes a kill harmless: (1) messages between two offsets are processed on top of the micro-batch before; (2) the new
checkpoint is written as a whole: pending rows, and what else the executor keeps in it; (3) the pending rows are committed to their tables, each
commit naming the micro-batch. A process that dies before (2) has changed nothing; after (2), the next one finds the rows in the checkpoint, and
each table's newest commit tells whether the table already has them.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from caudal.declarations.node import Source
from caudal.declarations.outlet import Outlet
from caudal.declarations.product import Product
from caudal.declarations.statistics import Statistics
from caudal.errors import EnvironmentProblem, StepFailed
from caudal.graph.registered import declarations_of_kind
from caudal.stages.ingest.streams.tap import Offsets, SourceUnavailable, Tap
from caudal.storage.place import Place
from caudal.storage.sweep import sweep
from caudal.streaming.checkpoint import Checkpoint, newest, save
from caudal.streaming.outlets import Outbox, Sender
from caudal.streaming.publish import SET_ASIDE, hold, publish_checkpoint, unreadable
from caudal.streaming.task import COUNTS, TaskInput, TaskResult
from caudal.tables.home import Home

PARTS = ("read", "partials", "merge", "commit")
"""The parts of a micro-batch whose durations are reported."""
PENDING_BYTES = 64 << 20


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
class StreamEngine(ABC):
    """The operators of one stream source.

    Parameters
    ----------
    publish_s : float, seconds between two versions of the tables; 0 publishes each micro-batch
    way_out : returns the sender of an outlet; without it no rows are sent
    onlookers : called after each micro-batch; a restart does not undo what they did
    """

    EXECUTOR: ClassVar[str]

    product: Product
    source: Source
    home: Home
    tap: Tap
    run_id: str
    publish_s: float = 5.0
    clock: Callable[[], float] = time.time
    way_out: Callable[[Outlet], Sender] | None = None
    onlookers: Sequence[Callable[[MicroBatchResult, Checkpoint], None]] = ()
    checkpoint: Checkpoint = field(default_factory=Checkpoint)

    def __post_init__(self) -> None:
        tables: list[Statistics] = declarations_of_kind(self.product, "statistics")
        self.tables = {table.name: table for table in tables if table.inputs == (self.source.name,)}
        self.detections = [
            detection
            for detection in self.product.detections.values()
            if detection.of == self.source.name or detection.of in self.tables
        ]
        self._owned = [*self.tables, *(detection.name for detection in self.detections), self.source.name]
        self.checkpoint = newest(self._memories)
        self._check_executor()
        hold(self.checkpoint, self.product, self.home, self._owned, self._memories)
        self.outboxes = [
            Outbox(outlet, self.way_out(outlet), self.checkpoint.outbox.get(outlet.name, []))
            for outlet in self.product.outlets.values()
            if self.way_out is not None and outlet.of in self._owned
        ]
        for box in self.outboxes:
            box.start()
        self._restore()
        for name in self._owned:
            sweep(
                self._folder(name), {file.name for _, file in (*self.checkpoint.files, *self.checkpoint.table_files.get(name, ()))}
            )
        self._publish()

    @abstractmethod
    def _restore(self) -> None:
        """Restore what the executor keeps between micro-batches."""

    @property
    def label(self) -> str:
        """What errors call the stream."""
        return f"the stream '{self.source.name}'"

    @property
    def unavailable(self) -> SourceUnavailable | None:
        """Why the source cannot be read at present; None while it answers."""
        return self.tap.unavailable

    @property
    def workers(self) -> int:
        """The number of processes that computed the last micro-batch."""
        return 1

    @property
    def most_workers(self) -> int:
        """The most processes that have computed a micro-batch since this engine was made."""
        return 1

    @abstractmethod
    def step(self) -> bool:
        """Process the messages that are available; return whether there were any."""

    @abstractmethod
    def end(self) -> None:
        """Close every window and publish: the stream has ended for good, and whatever arrives later is late.

        Detectors and onlookers get these windows as they get those that a micro-batch closes.
        """

    def finish(self) -> None:
        """Publish pending rows; open windows stay open, because the stream may go on."""
        self._publish()
        for box in self.outboxes:
            box.drain()
            box.check()
        if self.checkpoint.batch >= 0:
            self._fill_outboxes(self.checkpoint, {})
            save(self._memories, self.checkpoint)

    def close(self) -> None:
        """Close the outboxes and the tap."""
        for box in self.outboxes:
            box.stop()
        self.tap.close()

    def _next(self, offsets: Offsets | None) -> Checkpoint:
        """Return a copy of the checkpoint, for the next micro-batch to change."""
        before = self.checkpoint
        return replace(
            before, batch=before.batch + 1, offsets=offsets, states=dict(before.states), files=list(before.files), counts=dict(before.counts),
            operators=dict(before.operators), totals=dict(before.totals),
            pending={name: list(tables) for name, tables in before.pending.items()},
            table_files={name: list(files) for name, files in before.table_files.items()},
        )  # fmt: skip

    def _work(self) -> TaskInput:
        """Return the input of tasks that read samples and add up nothing."""
        connection: Any = self.source.connection
        keep = any(detection.of == self.source.name for detection in self.detections)
        tz = self.product.tz if self.source.partition is not None else None
        return TaskInput(connection.channels, connection.wire, {}, str(self._stage), tz, keep)

    def _add_captured(self, after: Checkpoint, results: Sequence[TaskResult]) -> None:
        """Add what tasks have captured and counted to a checkpoint."""
        for result in results:
            if result.rows:
                after.pending.setdefault(self.source.name, []).extend(result.rows)
            after.files += [(self._stage.name, file) for file in result.files]
            if result.unreadable:
                after.pending.setdefault(SET_ASIDE, []).append(unreadable(result))
        for name in COUNTS:
            after.counts[name] = after.counts.get(name, 0) + sum(getattr(result, name) for result in results)

    def _call_onlookers(self, step: MicroBatchResult, after: Checkpoint) -> None:
        """Call the onlookers with a finished micro-batch."""
        for look in self.onlookers:
            look(step, after)

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

    def _publish_if_due(self) -> None:
        """Commit the pending rows if it is time, or if there are many."""
        pending = sum(table.nbytes for tables in self.checkpoint.pending.values() for table in tables)
        if self.clock() - self.checkpoint.published >= self.publish_s or pending > PENDING_BYTES:
            self._publish()

    def _publish(self) -> None:
        """Commit the rows that the saved checkpoint holds."""
        self.checkpoint = publish_checkpoint(
            self.checkpoint, self.product, self.source, self.home, self._owned, self.run_id, self.clock()
        )

    def _check_executor(self) -> None:
        """Raise if another executor has this stream's open windows."""
        if self.checkpoint.batch >= 0 and self.checkpoint.executor != self.EXECUTOR:
            raise StepFailed(
                f"The stream '{self.source.name}' is computed by '{self.checkpoint.executor}', which keeps its offsets and its open windows;"
                f" '{self.EXECUTOR}' cannot take them over.",
                fix=f"Go on with --on {self.checkpoint.executor}; or, to begin anew, move {self._memories.parent} and the tables made of it away.",
                executor=self.checkpoint.executor,
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
