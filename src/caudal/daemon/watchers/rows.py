"""Rows of a database: a greater watermark, or more rows in the overlap before it, is an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from caudal.daemon.events import Event
from caudal.daemon.watch import DeclaredTrigger, Look, watches
from caudal.declarations.database import Database
from caudal.declarations.node import Source
from caudal.declarations.trigger import OnArrival
from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.stages.ingest.sql.state import state


@watches("rows")
def row_watcher(watched: DeclaredTrigger) -> RowWatcher | None:
    """Return the watcher of a database's rows; None for other triggers."""
    source = watched.source
    if source is None or not isinstance(watched.trigger, OnArrival) or not isinstance(source.connection, Database):
        return None
    return RowWatcher(watched.product.name, source, watched.data)


class RowWatcher:
    """The rows of one source."""

    def __init__(self, product: str, source: Source, data: Path, clock: Callable[[], float] = time.time) -> None:
        assert isinstance(source.connection, Database)
        self.product, self._connection, self._data, self._clock = product, source.connection, data, clock
        self.name = f"source:{source.name}"
        self._reported: str | None = None

    def places(self) -> list[tuple[Path, bool]]:
        """Return no folder: a database is queried from time to time."""
        return []

    def look(self, ledger: Ledger) -> Look:
        """Return an event if the table has grown; it covers earlier growth that was not reported."""
        try:
            growth = state(self._connection, self._data)
        except CaudalError as problem:  # it may be there again at the next look
            return Look([], trouble=problem.sentence())
        if growth is None:
            return Look([])
        watermark, overlap_rows = growth
        happening = f"{watermark} {overlap_rows}"
        if happening == self._reported:
            return Look([])
        detail = {"watermark": str(watermark), "rows_from_the_overlap_on": overlap_rows}
        subject = f"{self._connection.what} up to {watermark}"
        return Look([Event(self.product, self.name, "rows", subject, happening, self._clock(), detail=detail)])

    def recorded(self, recorded_events: list[Event]) -> None:
        """Remember the reported state."""
        if recorded_events:
            self._reported = recorded_events[-1].happening
