"""Tables of other products: a new version that is published is an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from caudal.daemon.events import Event
from caudal.daemon.watch import DeclaredTrigger, Look, watches
from caudal.declarations.trigger import OnPublish
from caudal.ledger.ledger import Ledger
from caudal.storage import delta
from caudal.tables.home import Home


@watches("tables")
def table_watcher(watched: DeclaredTrigger) -> TableWatcher | None:
    """Return the watcher of another product's table; None for other triggers."""
    if not isinstance(watched.trigger, OnPublish):
        return None
    return TableWatcher(watched.product.name, watched.trigger, watched.home, watched.of)


class TableWatcher:
    """One table of another product."""

    def __init__(self, product: str, trigger: OnPublish, home: Home, of: str, clock: Callable[[], float] = time.time) -> None:
        self.product, self.trigger, self._clock = product, trigger, clock
        self.name = f"{of}:{trigger}"[:200]
        self._folder = home.table(trigger.product, trigger.table)
        self._reported: int | None = None

    def places(self) -> list[tuple[Path, bool]]:
        """Return the folder of the table's log; none if it is remote: it is then polled."""
        return [(self._folder / "_delta_log", False)] if isinstance(self._folder, Path) else []

    def look(self, ledger: Ledger) -> Look:
        """Return an event for the newest version; it covers older versions that were not reported."""
        number = delta.version_of(self._folder)
        if number is None or number == self._reported:
            return Look([])
        author = delta.identity(self._folder, number).get("run_id", "")
        subject = f"{self.trigger.product}.{self.trigger.table} version {number}"
        return Look([Event(self.product, self.name, "table", subject, f"{number} {author}", self._clock())])

    def recorded(self, recorded_events: list[Event]) -> None:
        """Remember the reported version."""
        if recorded_events:
            self._reported = int(recorded_events[-1].happening.split()[0])
