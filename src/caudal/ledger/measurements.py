"""Measurements of tables, models, steps, streams, servings and platforms: one row each in the ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from caudal.json_value import JsonValue, Scalar
from caudal.ledger import records
from caudal.ledger.ledger import Ledger

_COLUMNS = records.measurements.c


@dataclass(frozen=True)
class Measurement:
    """A measured number.

    Parameters
    ----------
    at : seconds since 1970, UTC, when it was measured
    subject_kind, subject : what was measured: ``table`` ``trips``, ``model`` ``forecast``, ``platform`` ``sail`` …
    metric : ``mae``, ``rows_written``, ``p95_s`` …; a unit suffix where it has a unit
    low, high : the ends of the interval around the value; ``detail`` names its kind
    count : number of rows that it was computed from
    window_start, window_end : the period of event time that it covers, seconds since 1970, UTC
    group_by, group_value : the columns that rows were grouped by and their values, as ``("sex", "age")`` and ``("f", "60+")``; never one that identifies a person
    version : version of the subject

    Raises
    ------
    ValueError : the value or an end of its interval is no finite number, or group and values differ in number

    Examples
    --------
    >>> Measurement("taxi", "r1", 0.0, "table", "trips", "rows_written", 1200.0, group_by=("zone",), group_value=(7,)).group
    {'zone': 7}
    """

    product: str
    run_id: str
    at: float
    subject_kind: str
    subject: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    count: int | None = None
    window_start: float | None = None
    window_end: float | None = None
    group_by: tuple[str, ...] = ()
    group_value: tuple[Scalar, ...] = ()
    version: int | None = None
    detail: Mapping[str, JsonValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for end in (self.value, self.low, self.high):
            if end is not None and not math.isfinite(end):
                raise ValueError(f"{self.metric} of {self.subject} is {end}: only finite numbers are kept")
        if len(self.group_by) != len(self.group_value):
            raise ValueError(f"{self.metric} of {self.subject} is grouped by {self.group_by} with the values {self.group_value}")

    @property
    def group(self) -> dict[str, Scalar]:
        """The group as a mapping; empty for a figure of all rows."""
        return dict(zip(self.group_by, self.group_value, strict=True))


_FIELDS = tuple(column.name for column in fields(Measurement))


def add_measurements(ledger: Ledger, *measured: Measurement) -> None:
    """Append measurements in one transaction."""
    with ledger.engine.begin() as connection:
        write_measurements(connection, measured)


def write_measurements(connection: Connection, measured: Sequence[Measurement]) -> None:
    """Append measurements in an open transaction, such as the one that writes the measured subject."""
    if measured:
        connection.execute(
            insert(records.measurements), [{name: getattr(measurement, name) for name in _FIELDS} for measurement in measured]
        )


def measurements(
    ledger: Ledger,
    *,
    product: str,
    subject: str | None = None,
    subject_kind: str | None = None,
    metric: str | Sequence[str] | None = None,
    run_id: str | None = None,
    version: int | None = None,
    group: Mapping[str, Scalar] | None = None,
    since: float | None = None,
    until: float | None = None,
    windows_from: float | None = None,
    limit: int | None = None,
) -> list[Measurement]:
    """Return the measurements that match, newest first.

    Parameters
    ----------
    metric : one metric, or several
    group : exactly this group, in this order; ``{}`` for measurements of all rows; None for every group
    since, until : time of the measurement, seconds since 1970, UTC; ``until`` itself is excluded
    windows_from : only of windows that begin then or later, seconds since 1970, UTC
    """
    query = select(records.measurements).where(_COLUMNS.product == product).order_by(_COLUMNS.id.desc())
    equal = {"subject": subject, "subject_kind": subject_kind, "run_id": run_id, "version": version}
    for name, value in equal.items():
        if value is not None:
            query = query.where(_COLUMNS[name] == value)
    if metric is not None:
        query = query.where(_COLUMNS.metric.in_([metric] if isinstance(metric, str) else list(metric)))
    if group is not None:
        for column, values in ((_COLUMNS.group_by, tuple(group)), (_COLUMNS.group_value, tuple(group.values()))):
            query = query.where(column == values if values else column.is_(None))
    if since is not None:
        query = query.where(_COLUMNS.at >= since)
    if until is not None:
        query = query.where(_COLUMNS.at < until)
    if windows_from is not None:
        query = query.where(_COLUMNS.window_start >= windows_from)
    return [Measurement(**{name: row[name] for name in _FIELDS}) for row in ledger.rows(query.limit(limit))]
