"""The engine whose micro-batches are those of a query of Spark Structured Streaming.

Spark keeps offsets, watermark and the state of each device. The checkpoint beside it holds what the driver has been given and has not published
yet; its number of a micro-batch is Spark's. A micro-batch that Spark repeats after a kill is computed again, since its watermark and its state depend
on that, and what it gives is left out where the checkpoint has it already.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from caudal.errors import CaudalError, DeclarationProblem, StepFailed
from caudal.runtime.faults import is_java_failure
from caudal.stages.ingest.streams.tap import SourceUnavailable
from caudal.stages.statistics import window_rows
from caudal.stages.statistics.partial import empty_partials
from caudal.storage.parquet import read_parquet
from caudal.streaming.checkpoint import Checkpoint
from caudal.streaming.engine import PARTS, MicroBatchResult, StreamEngine
from caudal.streaming.structured.by_device import SamplesByDevice
from caudal.streaming.structured.device import DeviceProcessor
from caudal.streaming.structured.gather import SPARK_SCHEMA, Gather, Gathered
from caudal.streaming.structured.marks import set_mark
from caudal.streaming.structured.query import query_session, start_query
from caudal.streaming.totals import TableTotals
from caudal.streaming.watch import ANOMALY_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery, StreamingQueryManager

    from caudal.streaming.structured.progress import QueryMinutes

_LOOK_S = 0.2  # between two looks whether the stream is to stop
_SILENT_S = 10.0  # without a micro-batch, after which the source is asked whether it answers
_LISTENER_S = 5.0  # that Spark may take to tell that a query has ended


@dataclass
class StructuredEngine(StreamEngine):
    """The operators of one stream source, as a query of Spark.

    Parameters
    ----------
    session : returns the Spark session
    messages : returns the stream of messages in a session
    every_s : float, seconds between the beginnings of two micro-batches
    minutes : hears of the query's micro-batches
    """

    EXECUTOR = "spark"

    session: Callable[[], SparkSession] | None = None
    messages: Callable[[SparkSession], DataFrame] | None = None
    every_s: float = 0.1
    minutes: QueryMinutes | None = None

    def _restore(self) -> None:
        self._check_precision()
        self.checkpoint = replace(self.checkpoint, executor=self.EXECUTOR)
        self._query: StreamingQuery | None = None
        self._streams: StreamingQueryManager | None = None
        self._waiter: threading.Thread | None = None
        self._broke: BaseException | None = None
        self._stopping = threading.Event()
        self._recording = threading.Lock()
        self._taken = self._had = 0
        self._heard = time.monotonic()
        if self.checkpoint.batch >= 0 and not (self._spark_folder / "checkpoint").is_dir():
            raise StepFailed(
                f"Spark's checkpoint of the stream '{self.source.name}' is gone: {self._spark_folder / 'checkpoint'}.",
                fix=f"Bring that folder back; or, to begin anew, move {self._memories.parent} and the tables made of it away.",
            )

    def step(self) -> bool:
        """Let the query work for a moment; return False once it has read all that was there and nothing came meanwhile."""
        if self._query is None:
            if not self._answers():
                return False
            self._start()
        if self._waiter is None:
            self._had = self._taken
            self._waiter = threading.Thread(target=self._catch_up, name=f"catch up {self.source.name}", daemon=True)
            self._waiter.start()
        self._waiter.join(_LOOK_S)
        if self._waiter.is_alive():
            if time.monotonic() - self._heard < _SILENT_S or self._answers():
                return True
            self._stop()
            return False
        self._waiter = None
        if self._broke is None:
            return self._taken > self._had
        broke, self._broke = self._broke, None
        self._stop()
        if isinstance(broke, CaudalError) or self._answers():
            raise broke
        return False

    def end(self) -> None:
        """Close every window and publish: event time is set beyond the end of the last one."""
        totals = self.checkpoint.table_totals()
        ends = []
        for name, declared in self.tables.items():
            if totals.get(name, TableTotals()).windows:
                last = (totals[name].newest_us + declared.gap_us) // declared.pane_us + declared.panes
                ends.append((last + 1) * declared.pane_us + self._late_ms * 1000)
        if ends:
            set_mark(self._spark_folder / "marks", max(ends))
            while any(totals.windows for totals in self.checkpoint.table_totals().values()):
                self.step()
        self.finish()

    def finish(self) -> None:
        """Stop the query and publish pending rows; open windows stay open in Spark's state."""
        self._stop()
        super().finish()

    def close(self) -> None:
        """Stop the query, close the outboxes and the tap."""
        self._stop()
        super().close()

    def _answers(self) -> bool:
        """Return whether the source answers; why not is then in the tap's ``unavailable``."""
        self._heard = time.monotonic()
        try:
            self.tap.unavailable = None
            self.tap.ends(None, 1)
        except SourceUnavailable as away:
            self.tap.unavailable = away
        return self.tap.unavailable is None

    def _start(self) -> None:
        """Start the query, which goes on from Spark's checkpoint."""
        assert self.session is not None
        assert self.messages is not None
        self._check_identity(self.tap.identity())
        session = query_session(self.session())
        self._streams = session.streams
        if self.minutes is not None:
            self.minutes.terminated.clear()
            self._streams.addListener(self.minutes)
        connection: Any = self.source.connection
        processor = DeviceProcessor(self.source.name, self.tables, self.detections, len(connection.channels))
        name = f"{self.product.name}.{self.source.name}"
        self._query = start_query(
            self.messages(session), name, self._spark_folder, SamplesByDevice(self._work()), processor, self._late_ms, self.every_s, self._take
        )  # fmt: skip

    def _stop(self) -> None:
        """Stop the query; a micro-batch that is not recorded yet is computed again by the next one.

        Where Java has ended, so has the query. Each part is forgotten before it is stopped, so that what fails for one fails once.
        """
        self._stopping.set()
        query, self._query = self._query, None
        streams, self._streams = self._streams, None
        waiter, self._waiter = self._waiter, None
        try:
            if query is not None:
                query.stop()
            if streams is not None and self.minutes is not None:
                self.minutes.terminated.wait(_LISTENER_S)
                streams.removeListener(self.minutes)
        except Exception as error:
            if not is_java_failure(error):
                raise
        if waiter is not None:
            waiter.join()
        with self._recording:
            self._stopping.clear()

    def _catch_up(self) -> None:
        """Wait until the query has read all that is there."""
        assert self._query is not None
        try:
            self._query.processAllAvailable()
        except Exception as error:  # noqa: BLE001 (raised by `step`)
            if not self._stopping.is_set():
                self._broke = self._broke or error

    def _take(self, rows: DataFrame, number: int) -> None:
        """Record and publish a micro-batch; Spark calls this, and notes that the micro-batch is done when it returns."""
        try:
            began = time.perf_counter()
            bodies = rows.mapInArrow(self._gather(), SPARK_SCHEMA).toArrow().column("body").to_pylist()
            with self._recording:
                if self._stopping.is_set():
                    raise SourceUnavailable("The stream is being stopped.")
                self._record(bodies, number, began)
        except BaseException as error:
            if not self._stopping.is_set():
                self._broke = self._broke or error
            raise

    def _record(self, bodies: list[bytes], number: int, began: float) -> None:
        moments = [began, time.perf_counter()]
        self._heard = time.monotonic()
        if number <= self.checkpoint.batch:
            self._check_repeated(number)
            return  # Spark had not noted that it was done
        gathered: list[Gathered] = [pickle.loads(body) for body in bodies]  # noqa: S301 (written by our own tasks)
        after = replace(self._next(None), batch=number)
        results = [report for part in gathered for report in part.reports]
        self._add_captured(after, results)
        closed, anomalies = self._add_rows(after, gathered)
        open_ = {name: self._concatenated(name, [part.open for part in gathered]) for name in self.tables}
        self._wait_for_outboxes()
        self._fill_outboxes(after, closed | anomalies)
        moments.append(time.perf_counter())
        self._save_checkpoint(after)
        self._publish_if_due()
        moments.append(time.perf_counter())
        self._taken += sum(result.messages for result in results)
        seconds = dict(zip(PARTS, (0.0, *(later - earlier for earlier, later in pairwise(moments))), strict=True))
        self._call_onlookers(
            MicroBatchResult(self.source.name, number, results, closed, open_, anomalies, seconds, self.clock()), after
        )

    def _add_rows(self, after: Checkpoint, gathered: list[Gathered]) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
        """Add new rows of windows and anomalies to a checkpoint, and return those that were sent or that the driver needs."""
        for part in gathered:
            for name, totals in part.totals.items():
                after.totals[name] = after.totals.get(name, TableTotals()) + totals
            for name, rows in part.rows.items():
                after.pending.setdefault(name, []).append(rows)
            for name, files in part.files.items():
                after.table_files.setdefault(name, []).extend((self._windows_stage, file) for file in files)
        needed, new = self._needed(), {}
        for name in (*self.tables, *(detection.name for detection in self.detections)):
            parts = [part.rows for part in gathered]
            if name in needed:
                parts += [
                    {name: read_parquet(self._folder(name) / self._windows_stage / file.name)}
                    for part in gathered
                    for file in part.files.get(name, ())
                ]
            new[name] = self._concatenated(name, parts)
        return {name: new[name] for name in self.tables}, {name: rows for name, rows in new.items() if name not in self.tables}

    def _check_precision(self) -> None:
        """Raise if Spark's event time, which has milliseconds, is too coarse for the declaration."""
        for what, seconds in (
            (f"Source '{self.source.name}' waits", self.source.late_s),
            *((f"Windows of '{name}' end every", table.pane_us / 1e6) for name, table in self.tables.items()),
        ):
            if abs(seconds * 1000 - round(seconds * 1000)) > 1e-6:
                raise DeclarationProblem(
                    f"{what} {seconds} seconds, and Spark's event time has whole milliseconds.",
                    fix="Choose whole milliseconds, or compute the stream with --on here.",
                )

    def _concatenated(self, name: str, parts: list[dict[str, pa.Table]]) -> pa.Table:
        tables = [part[name] for part in parts if name in part]
        if tables:
            return pa.concat_tables(tables)
        declared = self.tables.get(name)
        return ANOMALY_SCHEMA.empty_table() if declared is None else window_rows(empty_partials(declared), declared)

    def _check_repeated(self, number: int) -> None:
        """Raise if Spark repeats more than the micro-batch that it had not committed when it was killed."""
        if number < self.checkpoint.batch:
            raise StepFailed(
                f"Spark's checkpoint of the stream '{self.source.name}' knows of micro-batch {number} only, and {self._memories} of {self.checkpoint.batch}.",
                fix=f"Bring the newer {self._spark_folder} back; or, to begin anew, move {self._memories.parent} and the tables made of it away.",
            )

    def _wait_for_outboxes(self) -> None:
        """Return when the outboxes can take more rows; new messages stay at the source meanwhile."""
        for box in self.outboxes:
            box.check()
            while box.full and not self._stopping.wait(_LOOK_S):
                box.check()

    def _gather(self) -> Gather:
        """Return the last part of the tasks, with where the rows of each table are written."""
        folders, moments = {}, {}
        for name in (*self.tables, *(detection.name for detection in self.detections)):
            node = self.product.nodes.get(name)
            folders[name] = str(self._folder(name) / self._windows_stage)
            is_partitioned = node is not None and node.partition is not None
            moments[name] = ((node.event_time if node is not None else None) or "at", self.product.tz if is_partitioned else None)
        return Gather(self.tables, folders, moments)

    def _needed(self) -> set[str]:
        """Return the tables whose rows the driver needs: those that outlets send and those that models follow."""
        followed = {name for features in self.product.features_by_model.values() for name in features.inputs}
        return followed | {box.declared.of for box in self.outboxes}

    @property
    def _late_ms(self) -> int:
        return round(self.source.late_s * 1000)

    @property
    def _windows_stage(self) -> str:
        return f"part-{self.run_id}-windows"

    @property
    def _spark_folder(self) -> Path:
        return self._memories.with_name("structured")
