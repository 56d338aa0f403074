"""Requests that servers have answered and logged: a finished file of them is an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from caudal.daemon.events import Event
from caudal.daemon.watch import DeclaredTrigger, Look, watches
from caudal.declarations.requests import Requests
from caudal.declarations.trigger import OnArrival
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.messaging.request_files import finished_files
from caudal.stages.ingest.requests import landed_as

PATIENCE_S = 300.0  # after which a file that nobody finishes is one of a server that was killed


@watches("requests")
def request_watcher(watched: DeclaredTrigger) -> RequestWatcher | None:
    """Return the watcher of logged requests; None for other triggers."""
    source = watched.source
    if source is None or not isinstance(watched.trigger, OnArrival) or not isinstance(source.connection, Requests):
        return None
    folder = watched.home.requests(watched.product.name, source.name)
    return RequestWatcher(watched.product.name, source.name, source.connection, folder)


class RequestWatcher:
    """The requests of one source."""

    def __init__(
        self, product: str, source: str, connection: Requests, folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self.product, self.name = product, f"source:{source}"
        self._source, self._connection, self._folder, self._clock = source, connection, folder, clock
        self._reported: set[str] = set()

    def places(self) -> list[tuple[Path, bool]]:
        """Return no folder: servers change the files twice a second, so they are looked at from time to time."""
        return []

    def look(self, ledger: Ledger) -> Look:
        """Return an event for each finished file that is neither landed nor reported."""
        origins = {landed_as(self._connection, file) for file in finished_files(self._folder, PATIENCE_S)}
        self._reported &= origins
        new = origins - self._reported
        if new:
            new -= {row["path"] for row in ledger.find(landed, product=self.product, source=self._source)}
        return Look([Event(self.product, self.name, "file", origin, origin, self._clock()) for origin in sorted(new)])

    def recorded(self, recorded_events: list[Event]) -> None:
        """Remember the reported files."""
        self._reported |= {event.happening for event in recorded_events}
