"""What monitors keep in the ledger, as measurements: its columns, the counts of each window, and its figures with their states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete

from caudal.ledger import records
from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, measurements, write_measurements

KIND = "monitor"
COLUMNS, COUNTS, REFERENCE = "columns", "counts", "reference"
KEPT = 730  # windows that are looked at, the newest


@dataclass(frozen=True)
class KeptFigure:
    """A figure of a monitor's window.

    Parameters
    ----------
    start, end : of the window, seconds since 1970, UTC
    state : learning, inside, outside or alarm
    low, high : its thresholds, None where there is none
    evidence : against "nothing has changed"
    version : the model version whose training rows it is compared with; None for windows before
    """

    metric: str
    column: str | None
    group: Mapping[str, Any]
    start: float
    end: float
    value: float
    rows: int
    state: str
    low: float | None
    high: float | None
    evidence: float
    needed: float | None
    version: int | None

    @property
    def key(self) -> tuple[str, str | None, tuple[tuple[str, Any], ...]]:
        """What identifies its series."""
        return self.metric, self.column, tuple(self.group.items())

    @property
    def label(self) -> str:
        """Its name in a sentence."""
        of = f" of {self.column}" if self.column else ""
        within = f" where {' and '.join(f'{column} = {value}' for column, value in self.group.items())}" if self.group else ""
        return f"{self.metric.replace('_', ' ')}{of}{within}"


def measurement_of(
    figure: KeptFigure, *, product: str, run_id: str, at: float, monitor: str, code: str
) -> Measurement:  # fmt: skip
    """Return a figure as a measurement; ``low`` and ``high`` are its thresholds."""
    return Measurement(
        product, run_id, at, KIND, monitor, figure.metric, figure.value, figure.low, figure.high, figure.rows, figure.start, figure.end,
        tuple(figure.group), tuple(figure.group.values()), figure.version,
        {"interval": "thresholds", "column": figure.column, "state": figure.state, "evidence": figure.evidence, "needed": figure.needed, "code": code},
    )  # fmt: skip


def figure_of(measurement: Measurement) -> KeptFigure:
    """Return the figure that a measurement keeps."""
    detail: Mapping[str, Any] = measurement.detail
    return KeptFigure(
        measurement.metric, detail["column"], measurement.group, measurement.window_start or 0.0, measurement.window_end or 0.0,
        measurement.value, measurement.count or 0, detail["state"], measurement.low, measurement.high, detail["evidence"],
        detail["needed"], measurement.version,
    )  # fmt: skip


def newest_by_window(kept: Iterable[Measurement], windows: int = KEPT) -> list[Measurement]:
    """Return of each figure and window the newest measurement, in order of time; only the newest windows."""
    latest: dict[object, Measurement] = {}
    for measurement in kept:  # newest first
        key = (
            measurement.metric, measurement.detail.get("column"), measurement.group_by, measurement.group_value, measurement.window_start
        )  # fmt: skip
        latest.setdefault(key, measurement)
    starts = sorted({measurement.window_start or 0.0 for measurement in latest.values()})[-windows:]
    oldest = starts[0] if starts else 0.0
    ordered = [measurement for measurement in latest.values() if (measurement.window_start or 0.0) >= oldest]
    return sorted(ordered, key=lambda measurement: measurement.window_start or 0.0)


def keep_counts(
    ledger: Ledger, product: str, monitor: str, measured: Iterable[Measurement], *, anew: bool, counts_from: float | None = None,
    figures_from: float | None = None,
) -> None:  # fmt: skip
    """Write what a monitor has counted, in place of what is kept of the same windows: the ledger has no value of a row that a table has no more.

    Parameters
    ----------
    anew : whether all windows were counted, so that earlier counts are in the way
    counts_from, figures_from : earlier windows are forgotten, seconds since 1970, UTC; None: none are
    """
    listed = list(measured)
    column = records.measurements.c
    of_monitor = delete(records.measurements).where(
        column.product == product, column.subject == monitor, column.subject_kind == KIND
    )
    with ledger.engine.begin() as connection:
        if anew:
            connection.execute(of_monitor.where(column.metric.in_([COLUMNS, COUNTS, REFERENCE, "bins"])))
        starts = sorted({measurement.window_start or 0.0 for measurement in listed if measurement.metric == COUNTS})
        for first in range(0, 0 if anew else len(starts), 500):
            connection.execute(of_monitor.where(column.metric == COUNTS, column.window_start.in_(starts[first : first + 500])))
        if not anew and any(measurement.metric == COLUMNS for measurement in listed):
            connection.execute(of_monitor.where(column.metric == COLUMNS))
        if counts_from is not None:
            connection.execute(of_monitor.where(column.metric == COUNTS, column.window_start < counts_from))
        if figures_from is not None:
            connection.execute(of_monitor.where(column.metric != COUNTS, column.window_start < figures_from))
        write_measurements(connection, listed)


def kept_of(
    ledger: Ledger,
    product: str,
    monitor: str,
    *,
    code: str | None = None,
    metric: str | None = None,
    windows_from: float | None = None,
) -> list[Measurement]:
    """Return what a monitor keeps, newest first; with ``code`` only what its present declaration has counted."""
    rows = measurements(ledger, product=product, subject=monitor, subject_kind=KIND, metric=metric, windows_from=windows_from)
    return [row for row in rows if code is None or row.detail.get("code") == code]


def figures_of(ledger: Ledger, product: str, monitor: str) -> list[KeptFigure]:
    """Return the figures of a monitor's present declaration, in order of time."""
    rows = [row for row in kept_of(ledger, product, monitor) if row.metric not in (COLUMNS, COUNTS, REFERENCE)]
    if not rows:
        return []
    code = rows[0].detail.get("code")
    return [figure_of(row) for row in newest_by_window(row for row in rows if row.detail.get("code") == code)]
