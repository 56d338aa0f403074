"""``caudal stream``: the flow, top to bottom."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from caudal.declarations.settings import Settings
from caudal.engine.session import is_running
from caudal.errors import CaudalError, EnvironmentProblem
from caudal.graph.load import load, product_file, with_data
from caudal.json_value import JsonObject
from caudal.ledger.records import runs, steps
from caudal.messaging.feed import Feed
from caudal.messaging.updates import ClassUpdate
from caudal.observers.registered import registered
from caudal.runtime.faults import is_java_failure
from caudal.runtime.lifecycle import abandon, begin, end, new_run_id
from caudal.runtime.opening import checked_product, open_home
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.progress import NoProgress, Progress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_reporting import RunReporting
from caudal.runtime.run_request import RunRequest
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest.streams.tap import SourceUnavailable
from caudal.storage.lease import lease
from caudal.streaming.engine import StreamEngine
from caudal.streaming.faults import translate_errors, translate_stream_error
from caudal.streaming.joiner import FeedOfJoins, Joiner, joinings
from caudal.streaming.live import Live
from caudal.streaming.live_scorer import LiveScorer, live_predictions
from caudal.streaming.minute_log import StreamMinuteLog, minute_logs
from caudal.streaming.monitoring import EVERY_S, StreamMonitors, Update, streamed_monitors
from caudal.streaming.rows import RowStream, event_sources
from caudal.streaming.sources import engine_of, executor_of, stream_lease, stream_sources
from caudal.streaming.workers import StreamWorkers, default_workers

if TYPE_CHECKING:
    from caudal.declarations.monitor import Monitor
    from caudal.report.documents import StreamDocument, StreamedTable, TopicDocument, WatchedDocument


log = logging.getLogger(__name__)
_AWAY_S = 0.5  # until a source that does not answer is tried again
_PATIENCE_S = 600.0
_LEDGER = "the ledger"
_IDLE_S = 0.01  # between two polls of a source without messages
_SIGNAL_S = 1.0  # within which this process hears of a signal that has ended Java


def run_streams(
    folder: Path,
    settings: Settings,
    *,
    train: Callable[[Path, Settings], None],
    watch: Callable[[Workspace, Monitor], Update] | None = None,
    rows: Callable[[Workspace, threading.Event], RowStream] | None = None,
    seconds: float | None = None,
    once: bool = False,
    end: bool = False,
    every_s: float = 0.1,
    publish_s: float = 5.0,
    monitor_s: float = EVERY_S,
    on: str = "here",
    workers: int | None = 1,
    progress: Progress | None = None,
) -> StreamDocument:
    """Run a product's streams until Ctrl-C or SIGTERM, for some seconds, or once until all available messages have been read.

    Parameters
    ----------
    train : trains and promotes a model of a folder's product on the captured samples; called when there are enough of them and no champion
    watch : returns the function that brings a monitor up to date; None: nothing is watched
    rows : returns what brings the tables of topics of rows (``cd.events``) up to date; called where the product has some
    once : bool, True ends when all available messages have been read
    end : bool, True closes the windows that are still open: nothing more will arrive
    every_s : float, seconds between the beginnings of two micro-batches
    publish_s : float, seconds between two versions of a table
    monitor_s : float, seconds between two updates of the monitors
    on : str, the name of the executor that computes the streams
    workers : int, how many processes compute large micro-batches, with ``on="here"``; 1: this process computes them; None: one for each core
        that this process may use, four at most
    progress : told of what is waited for, such as the start of Spark

    Raises
    ------
    DeclarationProblem : the product has no stream, or there is no such executor
    LeaseHeld : another process runs the product's streams
    StepFailed : a stream broke; its results are kept, and the same command goes on from there
    """
    home, file = open_home(settings), product_file(folder)
    given_settings = with_data(settings, file)
    # Whatever engine the settings name: PySpark speaks one kind of session at a time, and streams need Java.
    settings = replace(given_settings, engine="spark")
    with translate_errors(_LEDGER):
        ledger = home.ledger()
    with contextlib.closing(ledger):
        product = checked_product(load(file))
        sources = stream_sources(product)
        with lease(stream_lease(home, product), f"{product.name} (stream)"):
            executor = executor_of(on)
            if executor.SPARK and not is_running():
                settings = replace(settings, spark={**executor.SPARK, **settings.spark})
            ws = Workspace.compose(
                product,
                home,
                settings,
                RunRecord(product.name, ledger, new_run_id()),
                reporting=RunReporting(progress or NoProgress(), registered()),
                connectors=executor.connectors(sources),
                long=on != "here",
            )
            with _in_ledger(ws), _stop_requested() as stop_requested, contextlib.ExitStack() as open_:
                stream_workers = StreamWorkers(default_workers() if workers is None else workers)
                open_.callback(stream_workers.close)
                engines = []
                for source in sources:
                    with translate_errors(f"the stream '{source.name}'"):
                        engines.append(engine_of(ws, source, open_, publish_s, on, every_s, stream_workers))
                followers = [
                    LiveScorer(ws, prediction, engines, lambda: train(folder, settings))
                    for prediction in live_predictions(ws.product, engines)
                ]
                joiner = Joiner(joinings(ws.tables, ws.record), stop_requested)
                watched = streamed_monitors(product) if watch is not None else []
                monitors = StreamMonitors(ws, {monitor.name: watch(ws, monitor) for monitor in watched if watch}, monitor_s)
                logs = minute_logs(ws.record, product, engines)
                _connect_onlookers(engines, followers, FeedOfJoins(home.live(product.name), joiner), logs)
                counts_before, since = {engine.source.name: dict(engine.checkpoint.counts) for engine in engines}, ws.record.clock()
                began = time.monotonic()
                until = None if seconds is None else began + seconds
                row_stream = None
                if rows is not None and event_sources(product):
                    one_session = on != "here" or bool(followers)
                    row_stream = rows(_with_settings(ws, settings if one_session else given_settings), stop_requested)
                    open_.callback(row_stream.close)
                stepping: list[Stepping] = [*engines, *([row_stream] if row_stream is not None else [])]
                threads = [Thread(steps, stop_requested, every_s, until, once) for steps in stepping]
                for thread in (*followers, *threads, joiner, monitors):
                    thread.start()
                for thread in threads:
                    thread.join()
                joiner.stop()
                try:
                    for thread in threads:
                        thread.raise_error()
                    end = end and all(thread.read_all for thread in threads)
                    for engine in engines:
                        with translate_errors(engine.label):
                            engine.end() if end else engine.finish()
                    if row_stream is not None:
                        row_stream.finish()
                finally:  # after the engines, so that the windows closed at the end are classified too
                    for follower in followers:
                        follower.stop()
                    monitors.stop()
                    for log_of_minutes in logs:
                        log_of_minutes.write()
                joiner.finish(whole=once or end, end=end)
                monitors.finish()
                for engine in engines:
                    _note(ws.record, ws.tables, engine, counts_before[engine.source.name], since)
                _all_sent(engines)
            topics = row_stream.documents() if row_stream is not None else {}
            return stream_document(
                product.name, engines, followers, time.monotonic() - began, joiner.documents(), monitors.documents(), topics
            )


@contextlib.contextmanager
def _in_ledger(ws: Workspace) -> Iterator[None]:
    """Record this stream in the ledger like any run, and how it ended; the next stream records the end of one whose process
    died."""
    with translate_errors(_LEDGER):
        abandon(ws, ws.record.ledger.find(runs, product=ws.product.name, state="running", command="stream"))
        begin(ws, "stream")
    try:
        yield
    except CaudalError as error:
        try:
            end(ws, error)
        except Exception as secondary:  # noqa: BLE001 (a full disk: the user has to see the first error)
            log.warning("The ledger could not record how the stream ended: %s", translate_stream_error(secondary, _LEDGER).what)
        raise
    with translate_errors(_LEDGER):
        end(ws, None)


def _note(record: RunRecord, tables: ProductTables, engine: StreamEngine, before: Mapping[str, int], since: float) -> None:
    """Record in the ledger what a stream has read, as a run records its steps."""
    counts = {name: count - before.get(name, 0) for name, count in engine.checkpoint.counts.items()}
    name, now, messages = engine.source.name, record.clock(), counts.get("messages", 0)
    record.ledger.add(steps, {
        "run_id": record.run_id, "product": record.product_name, "step": f"land:{name}", "kind": "land", "name": name,
        "state": "succeeded" if messages else "skipped", "started_at": since, "finished_at": now, "seconds": round(now - since, 4),
        "rows_read": counts.get("samples", 0), "output_version": tables.version(name), "detail": counts if messages else {"why": "no new message"},
    })  # fmt: skip


def _all_sent(engines: list[StreamEngine]) -> None:
    """Raise if rows still wait in an outbox; they are kept, and the next stream sends them."""
    for box in (box for engine in engines for box in engine.outboxes if box.waiting):
        raise EnvironmentProblem(
            f"{sum(len(rows) for _, rows in box.waiting):,} rows of '{box.declared.of}' wait for outlet '{box.declared.name}': {box.trouble}",
            fix="They are kept: the next stream sends them.",
            where=str(box.declared.where),
        )


class Stepping(Protocol):
    """What is done by micro-batches."""

    @property
    def label(self) -> str:
        """What errors call it."""

    @property
    def unavailable(self) -> SourceUnavailable | None:
        """Why nothing can be read at present."""

    def step(self) -> bool:
        """Perform a micro-batch and return whether it had messages."""


class Thread(threading.Thread):
    """Runs a source's micro-batches, one after another; an error ends the other sources too.

    Attributes
    ----------
    read_all : bool, True if, at the end, all requested messages had been read: only then may windows be closed for good
    """

    def __init__(self, steps: Stepping, stop_requested: threading.Event, every_s: float, until: float | None, once: bool) -> None:
        super().__init__(name=steps.label, daemon=True)
        self._steps, self._stop_requested, self._every_s, self._until, self._once = steps, stop_requested, every_s, until, once
        self._broke: BaseException | None = None
        self._away_since: float | None = None
        self.read_all = False

    def run(self) -> None:
        """Run until time is up, a stop is requested, or, with ``once``, no message is left."""
        try:
            while not self._stop_requested.is_set() and (self._until is None or time.monotonic() < self._until):
                began = time.monotonic()
                had_messages = self._steps.step()
                if self._source_is_away():
                    self._stop_requested.wait(_AWAY_S)
                    continue
                if self._once and not had_messages:
                    self.read_all = True
                    return
                if not self._once:
                    self._stop_requested.wait(max(self._every_s - (time.monotonic() - began), 0.0 if had_messages else _IDLE_S))
            self.read_all = not self._once and self._away_since is None
        except BaseException as error:  # noqa: BLE001 (it is raised again in the main thread)
            if is_java_failure(error) and self._stop_requested.wait(_SIGNAL_S):
                return  # The signal that ends the stream was sent to Java too; what it had computed is recorded or will be computed again.
            self._broke = error
            self._stop_requested.set()

    def _source_is_away(self) -> bool:
        """Return whether the source does not answer; the stream waits for it, but not forever."""
        away = self._steps.unavailable
        if away is None:
            if self._away_since is not None:
                log.warning("The source of %s answers again.", self._steps.label)
            self._away_since = None
            return False
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("%s The stream waits and goes on when it answers again.", away)
        if time.monotonic() - self._away_since > _PATIENCE_S:
            raise away
        return True

    def raise_error(self) -> None:
        """Raise the error that ended the thread, with the source's name."""
        if self._broke is None:
            return
        if isinstance(self._broke, CaudalError):
            raise self._broke
        raise translate_stream_error(self._broke, self._steps.label) from self._broke


def _connect_onlookers(engines: list[StreamEngine], followers: list[LiveScorer], feed: Feed, logs: list[StreamMinuteLog]) -> None:
    """Connect the followers, the live feed and the log of minutes to each engine."""

    def classes() -> list[ClassUpdate]:
        return [update for follower in followers for update in follower.take_updates()]

    for engine in engines:
        live = Live(feed, engine, classes if engine.tables else list)
        engine.onlookers = (*followers, live, *(log for log in logs if log.source == engine.source.name))


def stream_document(
    product: str, engines: list[StreamEngine], followers: list[LiveScorer], seconds: float, joins: dict[str, JsonObject] | None = None,
    monitors: dict[str, WatchedDocument] | None = None, topics: dict[str, TopicDocument] | None = None,
) -> StreamDocument:  # fmt: skip
    """Return the streams' results, JSON-ready; counts are those since each stream's beginning."""
    sources: dict[str, dict[str, int | dict[str, StreamedTable]]] = {}
    for engine in engines:
        sources[engine.source.name] = {
            "batches": engine.checkpoint.batch + 1,
            "workers": engine.most_workers,
            **engine.checkpoint.counts,
            "tables": {
                name: {
                    "readings": totals.readings,
                    "duplicates": totals.duplicates,
                    "late": totals.late,
                    "open_windows": totals.windows,
                }
                for name, totals in engine.checkpoint.table_totals().items()
            },
        }
    return {
        "product": product,
        "seconds": round(seconds, 3),
        "sources": sources,
        "outlets": {outbox.declared.name: outbox.document() for engine in engines for outbox in engine.outboxes},
        "joins": joins or {},
        "models": {follower.name_of_model: follower.document() for follower in followers},
        "monitors": monitors or {},
        "topics": topics or {},
    }


def _with_settings(ws: Workspace, settings: Settings) -> Workspace:
    """Return a workspace of the same run with a session of its own."""
    return Workspace.compose(
        ws.product, ws.tables.home, settings, ws.record, request=RunRequest(trains=not ws.product.models), reporting=ws.reporting
    )


@contextlib.contextmanager
def _stop_requested() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set, instead of ending the process."""
    stop_requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop_requested
        return
    handlers = {number: signal.signal(number, lambda *_: stop_requested.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop_requested
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
