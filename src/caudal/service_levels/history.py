"""What the ledger knows of a subject: versions with their rows, and the figures that servers and streams write each minute."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from sqlalchemy import ColumnElement, delete, func, select

from caudal.graph.registered import steps_where
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import measurements, steps
from caudal.service_levels.counted import MINUTE_S, Floats

AVAILABILITY, P95, SAMPLES, VALID = "availability", "p95_s", "samples", "valid_share"
"""Metrics that servers (``serving``) and streams (``stream``) write for a minute: shares, seconds, and numbers of samples."""
_LATE_S = 2 * 86_400.0  # figures that waited for the ledger are written this much later, at most


@dataclass(frozen=True)
class Versions:
    """The versions of a table, oldest first: when each was published, and its rows.

    Parameters
    ----------
    written, judged, aside : rows written, rows that were judged, and rows that were set aside
    """

    at: Floats
    written: Floats
    judged: Floats
    aside: Floats


@dataclass(frozen=True)
class Minutes:
    """The figure of each minute that has one: its beginning (seconds since 1970, UTC), the figure, and how many requests or samples it is of."""

    at: Floats
    value: Floats
    count: Floats


def published_versions(ledger: Ledger, product: str, subject: str) -> Versions:
    """Return the versions that runs have published of a table; a step that found nothing new has published none."""
    column = steps.c
    query = (
        select(column.finished_at, column.rows_written, column.rows_quarantined)
        .where(column.product == product, column.name == subject, column.state == "succeeded")
        .where(column.kind.in_(steps_where(writes="table")), column.output_version.is_not(None), column.finished_at.is_not(None))
        .order_by(column.finished_at)
    )
    with ledger.engine.connect() as connection:
        rows = connection.execute(query).all()
    written = np.array([row[1] or 0 for row in rows], dtype=np.float64)
    aside = np.array([row[2] or 0 for row in rows], dtype=np.float64)
    return Versions(np.array([row[0] for row in rows], dtype=np.float64), written, written + aside, aside)


def minutes(ledger: Ledger, product: str, kind: str, subject: str, metric: str, since: float) -> Minutes:
    """Return the figures of a metric for the minutes from ``since`` on, oldest first; a minute may have several, of several processes."""
    column = measurements.c
    query = (
        select(column.window_start, column.value, column.count)
        .where(column.product == product, column.subject_kind == kind, column.subject == subject, column.metric == metric)
        .where(column.window_start.is_not(None))
        .order_by(column.id.desc())  # the index has no time: read back from the newest, and no farther than needed
    )
    rows: list[tuple[float, float, int | None]] = []
    with ledger.engine.connect() as connection:
        for row in connection.execution_options(stream_results=True).execute(query):
            if row[0] < since - _LATE_S:
                break
            rows.append((row[0], row[1], row[2]))
    rows = sorted((row for row in rows if row[0] >= since - MINUTE_S), key=itemgetter(0))
    at, value, count = (np.array([row[place] or 0 for row in rows], dtype=np.float64) for place in range(3))
    return Minutes(at, value, count)


def first_minute(ledger: Ledger, product: str, kind: str, subject: str, metric: str) -> float | None:
    """Return the beginning of the first minute that a metric was written for."""
    column = measurements.c
    query = (
        select(column.window_start)
        .where(column.product == product, column.subject == subject, column.metric == metric, column.subject_kind == kind)
        .order_by(column.id)
        .limit(1)
    )
    with ledger.engine.connect() as connection:
        first: float | None = connection.execute(query).scalar()
    return first


def count_minutes(ledger: Ledger, product: str, before: float) -> int:
    """Return how many figures of minutes before a time the ledger keeps of a product's servers and streams."""
    query = select(func.count().label("rows")).select_from(measurements).where(*_minutes_before(product, before))
    return int(ledger.rows(query)[0]["rows"])


def delete_minutes(ledger: Ledger, product: str, before: float) -> None:
    """Delete the figures of minutes before a time, of a product's servers and streams."""
    with ledger.engine.begin() as connection:
        connection.execute(delete(measurements).where(*_minutes_before(product, before)))


def _minutes_before(product: str, before: float) -> tuple[ColumnElement[bool], ...]:
    column = measurements.c
    return column.product == product, column.subject_kind.in_(("serving", "stream")), column.window_end <= before
