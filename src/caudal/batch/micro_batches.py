"""A stream of rows: what follows from a product's topics (``cd.events``) is brought up to date by the steps of a run, one micro-batch after another.

A micro-batch lands the messages that have come, and performs the steps that follow from them: reading, tables, features, online views. Whatever makes a run
exact makes it exact too, since it is the same: files named by their offsets, commits that carry what the ledger has to record. What does not
belong to each micro-batch (predictions, monitors, publications, other sources) is done every minute, and when the stream ends. Nothing is trained.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from caudal.batch.execute import perform
from caudal.batch.pace import Pace
from caudal.batch.plan import plan
from caudal.batch.run_state import RunState
from caudal.batch.step import Step, StepResult
from caudal.declarations.events import Events
from caudal.errors import LeaseHeld, SourceProblem
from caudal.graph.registered import kind_of_step, step_kind
from caudal.ledger.records import landed
from caudal.report.documents import TopicDocument
from caudal.runtime.lifecycle import recover
from caudal.runtime.opening import hold_product
from caudal.runtime.progress import NoProgress
from caudal.runtime.storage import check_tables
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest import KnownFile
from caudal.stages.ingest.events import EventReader, kept_open
from caudal.stages.ingest.streams.tap import SourceUnavailable
from caudal.streaming.rows import event_sources

log = logging.getLogger(__name__)
ALL_STEPS_S = 60.0
_LEASE_S = 1.0
_NOTES = 1000  # different sentences that are logged


class NotesOnce(NoProgress):
    """Logs what a run would note, each sentence once: a stream's steps would say the same with each micro-batch."""

    def __init__(self) -> None:
        self._noted: set[str] = set()

    def noted(self, sentence: str) -> None:
        """Log a sentence."""
        if sentence not in self._noted and len(self._noted) < _NOTES:
            self._noted.add(sentence)
            log.warning("%s", sentence)


@dataclass
class MicroBatches:
    """Brings what follows from a product's topics up to date.

    Parameters
    ----------
    ws : the stream's workspace
    stop_requested : set when the stream is to end; the step at work is finished
    all_steps_s : float, seconds between two micro-batches in which all steps are performed, but those that train
    """

    ws: Workspace
    stop_requested: threading.Event
    all_steps_s: float = ALL_STEPS_S
    unavailable: SourceUnavailable | None = None
    _number: int = 0
    _recovered: bool = False
    _rest_is_due: bool = False
    _all_steps_at: float = 0.0
    _waiting: frozenset[str] = frozenset()
    _pace: Pace = field(default_factory=Pace)
    _landed: dict[str, dict[str, KnownFile]] = field(default_factory=dict)
    _topics: dict[str, TopicDocument] = field(default_factory=dict)

    def __post_init__(self) -> None:
        product, progress = self.ws.product, NotesOnce()
        spark = replace(self.ws.spark, progress=progress)
        self.ws = replace(self.ws, spark=spark, reporting=replace(self.ws.reporting, progress=progress))
        self.label = f"the topics of '{product.name}'"
        self._steps = untrained_steps(plan(product, metastore=self.ws.settings.metastore is not None))
        self._sources = event_sources(product)
        self._following = following_steps(self._steps, {f"land:{source.name}" for source in self._sources})
        self._open = contextlib.ExitStack()
        self._readers: dict[str, EventReader] = {}
        for source in self._sources:
            assert isinstance(source.connection, Events)
            self._readers[source.name] = self._open.enter_context(kept_open(EventReader(source.connection)))
            self._topics[source.name] = {"topic": source.connection.topic, "micro_batches": 0, "rows": 0, "set_aside": 0}

    def step(self) -> bool:
        """Perform a micro-batch if there is something to do, and return whether messages were landed.

        Raises
        ------
        CaudalError : a step failed; what was published stays, and the next stream goes on from there
        """
        all_steps = time.monotonic() >= self._all_steps_at
        try:
            if all_steps:
                for reader in self._readers.values():
                    reader.close()  # it sees partitions that were added, once it is open again
            if not self._messages_wait() and not all_steps and not self._pace.something_is_due():
                self.unavailable = None
                return False
            self.unavailable = None
            return self._micro_batch(self._steps if all_steps else self._following)
        except SourceUnavailable as away:
            self.unavailable = away
        except SourceProblem as problem:
            if not problem.facts.get("transient"):
                raise
            self.unavailable = SourceUnavailable(problem.what, fix=problem.fix)
        self._all_steps_at = 0.0  # what follows from what was landed is done once the source answers
        return False

    def finish(self) -> None:
        """Do once more what does not belong to each micro-batch, unless nothing has come since."""
        if self._rest_is_due:
            self._micro_batch(self._steps)

    def close(self) -> None:
        """Leave the brokers."""
        self._open.close()

    def documents(self) -> dict[str, TopicDocument]:
        """Return the counts of each topic since the stream began."""
        return self._topics

    def _messages_wait(self) -> bool:
        return any(reader.has_messages(self._landed_files(name)) for name, reader in self._readers.items())

    def _landed_files(self, source: str) -> dict[str, KnownFile]:
        if source not in self._landed:
            rows = self.ws.record.ledger.find(landed, product=self.ws.product.name, source=source)
            self._landed[source] = {
                row["path"]: KnownFile(row["etag"], row["modified_ns"], row["bytes"], row["sha256"])
                for row in rows
                if row["kind"] != "correction"
            }
        return self._landed[source]

    def _micro_batch(self, steps: Sequence[Step]) -> bool:
        """Perform steps in order, each if something before it has changed, and return whether messages were landed."""
        home, ledger, product = self.ws.tables.home, self.ws.record.ledger, self.ws.product
        try:
            with hold_product(home, ledger, product, _LEASE_S) as claim:
                record = replace(self.ws.record, micro_batch=self._number, check_claim=claim.check)
                ws = replace(self.ws, record=record)
                if not self._recovered:
                    recover(ws)
                    check_tables(ws.tables)
                    self._recovered = True
                self._number += 1
                self._landed.clear()
                run_state = self._perform(ws, steps)
        except LeaseHeld as held:
            self.ws.reporting.progress.noted(f"{held.what} The stream waits until it has ended.")
            return True
        if run_state.error is not None:
            raise run_state.error
        if len(steps) == len(self._steps) and not self.stop_requested.is_set():
            self._all_steps_at = time.monotonic() + self.all_steps_s
            self._waiting = frozenset(run_state.waiting)
            self._rest_is_due = False
            return self._count(run_state)
        self._rest_is_due = True
        return self._count(run_state)

    def _perform(self, ws: Workspace, steps: Sequence[Step]) -> RunState:
        run_state, every_step = RunState(), len(steps) == len(self._steps)
        without = set() if every_step else {*self._waiting}
        for step in steps:
            if self.stop_requested.is_set():
                break
            if any(need in without or need in run_state.failed or need in run_state.waiting for need in step.needs):
                without.add(step.name)
            elif every_step or self._is_due(step, run_state):
                self._do(ws, step, run_state)
        return run_state

    def _is_due(self, step: Step, run_state: RunState) -> bool:
        """Return whether a micro-batch does a step: something before it has changed, and it has not just taken long."""
        changed = not step.needs or any(_changed(run_state.completed.get(need)) for need in step.needs)
        return (changed or self._pace.is_owed(step.name)) and not self._pace.put_off(step.name)

    def _do(self, ws: Workspace, step: Step, run_state: RunState) -> None:
        began = self._pace.clock()
        perform(ws, step, run_state)
        if step_kind(step.kind).follows_messages:
            self._pace.done(step.name, began)

    def _count(self, run_state: RunState) -> bool:
        has_landed = False
        for name, topic in self._topics.items():
            if not _changed(run_state.completed.get(f"land:{name}")):
                continue
            has_landed = True
            topic["micro_batches"] += 1
            if (read := run_state.completed.get(f"read:{name}")) is not None:
                topic["rows"] += read.rows_written or 0
                topic["set_aside"] += read.rows_quarantined or 0
        return has_landed


def untrained_steps(steps: Sequence[Step]) -> list[Step]:
    """Return the steps without those that train or judge a model, and what needs these."""
    left_out: set[str] = set()
    for step in steps:
        trains = "predict" not in (pipelines := kind_of_step(step.kind).pipelines) and "train" in pipelines
        if trains or not left_out.isdisjoint(step.needs):
            left_out.add(step.name)
    return [step for step in steps if step.name not in left_out]


def following_steps(steps: Sequence[Step], first: set[str]) -> list[Step]:
    """Return the steps that follow from others: those of tables that no model makes and no stream writes, and what is to be as new as these."""
    names = set(first)
    following = []
    for step in steps:
        kind = step_kind(step.kind)
        is_of_tables = kind_of_step(step.kind).pipelines == {"all"} and kind.writes == "table" and not kind.by_stream
        if step.name in first or ((is_of_tables or kind.follows_messages) and not names.isdisjoint(step.needs)):
            names.add(step.name)
            following.append(step)
    return following


def _changed(result: StepResult | None) -> bool:
    """Return whether a step has left something new."""
    return result is not None and result.state == "succeeded" and result.partitions != []
