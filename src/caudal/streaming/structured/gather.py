"""The last part of a task: what its devices gave becomes rows of tables, sent to the driver where they are few, else written to files."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from caudal.declarations.statistics import Statistics
from caudal.stages.statistics import Partials, merge_partials, window_rows
from caudal.streaming.structured.by_device import REPORT, report
from caudal.streaming.structured.device import SHOWN, DeviceResult
from caudal.streaming.task import INLINE_BYTES, Captured, TaskResult, write_files
from caudal.streaming.totals import TableTotals

SPARK_SCHEMA = "body binary"


@dataclass
class Gathered:
    """What one task gives for its devices, and the reports of tasks that reached it.

    Parameters
    ----------
    rows : new rows by table, where they are few; files : files with such rows
    open : rows of windows that are still open, of some devices
    """

    reports: list[TaskResult] = field(default_factory=list)
    rows: dict[str, pa.Table] = field(default_factory=dict)
    files: dict[str, list[Captured]] = field(default_factory=dict)
    open: dict[str, pa.Table] = field(default_factory=dict)
    totals: dict[str, TableTotals] = field(default_factory=dict)


@dataclass(frozen=True)
class Gather:
    """Gathers what the devices of a task gave.

    Parameters
    ----------
    folders : table → where its files are written
    moments : table → the column of event time, and the time zone whose days divide its files, or None
    """

    tables: Mapping[str, Statistics]
    folders: Mapping[str, str]
    moments: Mapping[str, tuple[str, str | None]]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield one row: the pickled `Gathered`. Only our own tasks write it, and only the driver that sent them reads it."""
        gathered = self.gather(batches)
        if gathered.reports or gathered.totals:
            yield pa.record_batch([pa.array([pickle.dumps(gathered, protocol=5)], pa.binary())], names=["body"])

    def gather(self, batches: Iterable[pa.RecordBatch]) -> Gathered:
        """Return what the devices of a task gave."""
        gathered = Gathered()
        closed: dict[str, list[Partials]] = defaultdict(list)
        open_: dict[str, list[Partials]] = defaultdict(list)
        rows: dict[str, list[pa.Table]] = defaultdict(list)
        for batch in batches:
            for kind, body in zip(batch.column("kind").to_pylist(), batch.column("body").to_pylist(), strict=True):
                if kind == REPORT:
                    gathered.reports.append(report(body))
                    continue
                result: DeviceResult = pickle.loads(body)  # noqa: S301 (written by this task)
                for name, added in result.added.items():
                    gathered.totals[name] = gathered.totals.get(name, TableTotals()) + added
                for name, parts in result.closed.items():
                    closed[name].append(parts)
                for name, parts in result.open.items():
                    if len(open_[name]) < SHOWN:
                        open_[name].append(parts)
                for name, anomalies in result.anomalies.items():
                    rows[name].append(anomalies)
        gathered.open = {name: self._windows(name, shown) for name, shown in open_.items()}
        for name, ended in closed.items():
            rows[name].append(self._windows(name, ended))
        for name, tables in rows.items():
            self._give(name, pa.concat_tables(tables), gathered)
        return gathered

    def _windows(self, name: str, parts: list[Partials]) -> pa.Table:
        """Return the rows of windows of several devices: one call for all of them."""
        return window_rows(merge_partials(parts, self.tables[name].gap_us), self.tables[name])

    def _give(self, name: str, rows: pa.Table, gathered: Gathered) -> None:
        if rows.nbytes > INLINE_BYTES:
            gathered.files[name] = write_files(rows, self.folders[name], *self.moments[name])
        else:
            gathered.rows[name] = rows
