"""One stream source at work: micro-batch in, statistics out, each counted once.

Spark hands over a micro-batch with its number, and again the same messages under the same number when it does not know that it was done.
What makes a kill harmless is the order: (1) everything is computed from the memory of the batch before; (2) rows that are due
are committed to their tables, each commit naming its batch; (3) the memory of this batch is written; (4) Spark is told. A batch whose number is in the memory has
been done; a table that already holds a batch's rows is not given them again.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from caudal.errors import StepFailed
from caudal.lake import delta
from caudal.lake.home import Home
from caudal.run.stream.append import append, compact, upto
from caudal.run.stream.memory import Memory, newest, save
from caudal.run.stream.task import SCHEMA, Found, Work, work
from caudal.spec.node import Source
from caudal.spec.product import Product
from caudal.spec.statistics import Statistics
from caudal.stages.statistics import advanced, begin, ended, rows, told_twice

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UNREADABLE = pa.schema(
    [("source_partition", pa.int32()), ("source_offset", pa.int64()), ("_reasons", pa.list_(pa.string())), ("message", pa.binary())]
)
PENDING_BYTES = 64 << 20
HALF = 0.5


@dataclass
class Step:
    """What a micro-batch has given, for those who look on."""

    batch: int
    found: list[Found]
    closed: dict[str, pa.Table]
    open: dict[str, pa.Table]
    seconds: dict[str, float]
    done_at: float = 0.0


@dataclass
class Engine:
    """The operators of one source.

    Parameters
    ----------
    publish_s : float, seconds between two versions of the tables; 0: each micro-batch is one
    onlookers : are told of each micro-batch when it has been done; what they do is not undone by a restart
    """

    product: Product
    source: Source
    home: Home
    run_id: str
    publish_s: float = 5.0
    capture: bool = True
    clock: Callable[[], float] = time.time
    onlookers: Sequence[Callable[[Step, Memory], None]] = ()
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.tables = {
            name: one
            for name, one in self.product.nodes.items()
            if isinstance(one, Statistics) and one.inputs == (self.source.name,)
        }
        self.memory = newest(self._memories)
        for name, one in self.tables.items():
            self.memory.states.setdefault(name, begin(one))
        self._owned = [*self.tables, *([self.source.name] if self.capture else [])]
        self._held = {name: upto(self._folder(name)) for name in self._owned}
        for name in self._owned:
            delta.sweep(self._folder(name), {file for _, file, _ in self.memory.files})
        if any(held == self.memory.batch + HALF for held in self._held.values()):
            self.end()
        self._first = True

    def batch(self, frame: DataFrame, number: int) -> None:
        """Do a micro-batch, unless it was done before."""
        if self._first and number < self.memory.batch:
            raise StepFailed(
                f"Spark begins the stream of '{self.source.name}' with micro-batch {number}, but {self.memory.batch} have been done.",
                fix=f"Its checkpoint was lost. To begin anew, move {self._memories.parent} and the tables made of it away.",
                source=self.source.name,
            )
        self._first = False
        if number <= self.memory.batch:
            return
        began = time.perf_counter()
        found = self._taken(frame)
        taken_s = time.perf_counter() - began
        before = self.memory
        after = replace(
            before, batch=number, states=dict(before.states), pending={name: list(some) for name, some in before.pending.items()},
            files=list(before.files), counts=dict(before.counts),
        )  # fmt: skip
        closed, open_ = self._advance(after, found)
        merged_s = time.perf_counter() - began - taken_s
        self._publish(after, number, force=any(held >= number for held in self._held.values()))
        save(self._memories, after)
        self.memory = after
        seconds = {"partials": taken_s, "merge": merged_s, "commit": time.perf_counter() - began - taken_s - merged_s}
        step = Step(number, found, closed, open_, seconds, self.clock())
        for look in self.onlookers:
            look(step, after)

    def finish(self) -> None:
        """Publish what is pending; open windows stay open, for the stream may go on."""
        if self.memory.batch < 0:
            return
        self._publish(self.memory, self.memory.batch, force=True)
        save(self._memories, self.memory)

    def end(self) -> None:
        """Close every window and publish: the stream has ended for good, and what comes after is late."""
        for name, declared in self.tables.items():
            self.memory.states[name], last = ended(self.memory.states[name], declared)
            if len(last):
                self.memory.pending.setdefault(name, []).append(rows(last, declared))
        # Between this batch and the next: a restart that finds half a batch in a table comes here again before anything else.
        self._publish(self.memory, self.memory.batch + HALF, force=True)
        save(self._memories, self.memory)

    def _taken(self, frame: DataFrame) -> list[Found]:
        """Return what the tasks have found; if two have taken the same sample, one takes all."""
        todo = self._work()
        found = _collected(frame.mapInArrow(partial(work, todo=todo), SCHEMA))
        for name in self.tables:
            if told_twice([one.taken[name] for one in found if name in one.taken]):
                for one in found:
                    for folder, file in ((self._stage, file) for file, _ in one.files):
                        (folder / file).unlink(missing_ok=True)
                return _collected(frame.coalesce(1).mapInArrow(partial(work, todo=todo), SCHEMA))
        return found

    def _work(self) -> Work:
        connection: Any = self.source.connection
        tables = {name: (one, self.memory.states[name].bounds) for name, one in self.tables.items()}
        return Work(connection.channels, connection.wire, tables, str(self._stage) if self.capture else None)

    def _advance(self, after: Memory, found: list[Found]) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
        closed, open_ = {}, {}
        for name, declared in self.tables.items():
            state, done, changed = advanced(after.states[name], [one.taken[name] for one in found if name in one.taken], declared)
            after.states[name] = state
            closed[name], open_[name] = rows(done, declared), rows(changed, declared)
            if len(done):
                after.pending.setdefault(name, []).append(closed[name])
        for one in found:
            if one.rows:
                after.pending.setdefault(self.source.name, []).extend(one.rows)
            after.files += [(self._stage.name, file, count) for file, count in one.files]
            if one.unreadable:
                after.pending.setdefault("_unreadable", []).append(_unreadable(one))
        for name in ("samples", "messages", "outside", "unreadable_messages"):
            after.counts[name] = after.counts.get(name, 0) + sum(getattr(one, name) for one in found)
        return closed, open_

    def _publish(self, memory: Memory, number: float, *, force: bool) -> None:
        """Commit pending rows where they are due; a table that holds this batch already has got them."""
        pending = sum(one.nbytes for some in memory.pending.values() for one in some)
        now = self.clock()
        if not force and now - memory.published < self.publish_s and pending < PENDING_BYTES:
            return
        said = {"run_id": self.run_id, "step": f"stream:{self.source.name}", "upto": number, "at": now, "code": "stream"}
        for name in self._owned:
            files = [self._folder(name) / stage / file for stage, file, _ in memory.files] if name == self.source.name else []
            some = memory.pending.get(name, [])
            if (some or files) and self._held[name] < number:
                node = self.product.nodes[name]
                partitioned = node.partition is not None
                folder = self._folder(name)
                moment = node.event_time or "at"
                append(folder, some, files, moment=moment, tz=self.product.tz, partitioned=partitioned, identity=said)
                compact(folder, partitioned=partitioned, identity=said)
                self._held[name] = number
        self._set_aside(memory, said)
        memory.pending, memory.files, memory.published = {}, [], now

    def _set_aside(self, memory: Memory, said: Mapping[str, Any]) -> None:
        some = memory.pending.get("_unreadable")
        folder = self.home.quarantine(self.product.name, self.source.name)
        if some and upto(folder) < said["upto"]:
            append(folder, some, [], moment="", tz="UTC", partitioned=False, identity=said)

    def _folder(self, name: str) -> Path:
        return self.home.table(self.product.name, name)

    @property
    def _memories(self) -> Path:
        return self.home.stream(self.product.name, self.source.name) / "memory"

    @property
    def _stage(self) -> Path:
        return self._folder(self.source.name) / f"part-{self.run_id}-captured"


def _collected(frame: DataFrame) -> list[Found]:
    """Return what tasks have sent: pickles of our own tasks, over Spark's own channel."""
    return [pickle.loads(one) for one in frame.toArrow().column("found").to_pylist()]  # noqa: S301


def _unreadable(found: Found) -> pa.Table:
    columns = list(zip(*found.unreadable, strict=True))
    return pa.table([columns[0], columns[1], [[reason] for reason in columns[2]], columns[3]], schema=UNREADABLE)


def latency_s(found: Sequence[Found], now: float) -> Mapping[str, float] | None:
    """Return median and 95th percentile of the time from a reading to now, seconds; None where nothing came."""
    pairs = [pair for one in found for pair in one.at_us]
    if not pairs:
        return None
    late = now - np.concatenate([one for one, _ in pairs]) / 1e6
    weight = np.concatenate([np.full(len(one), each) for one, each in pairs])
    told = np.quantile(late, (0.5, 0.95), weights=weight, method="inverted_cdf")
    return {"p50": float(told[0]), "p95": float(told[1])}
