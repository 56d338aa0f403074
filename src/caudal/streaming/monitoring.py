"""The thread that watches tables of the streams while they run: monitors are brought up to date every minute, and alarms are told as they begin."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.declarations.monitor import Monitor
from caudal.graph.registered import is_streamed
from caudal.ledger.records import steps
from caudal.ledger.rows import AlarmDocument
from caudal.report.figures import plural
from caudal.runtime.workspace import Workspace

if TYPE_CHECKING:
    from caudal.declarations.product import Product
    from caudal.report.documents import WatchedDocument

log = logging.getLogger(__name__)
EVERY_S = 60.0


@dataclass(frozen=True)
class MonitorUpdate:
    """What an update of a monitor has found.

    Parameters
    ----------
    outcome : what follows from the figures, in words
    alarms : the figures in alarm whose newest window was judged now
    windows, rows : those that were counted
    fingerprint, inputs : of the step, as a run has it
    next_window_ends : seconds since 1970, UTC; None where no window is open
    in_alarm : the figures that are in alarm now
    """

    monitor: str
    outcome: str
    alarms: tuple[AlarmDocument, ...]
    windows: int
    rows: int
    fingerprint: str
    inputs: Mapping[str, int]
    next_window_ends: float | None
    in_alarm: frozenset[str]

    def note(self, windows: int) -> str:
        """Return a sentence about so many counted windows."""
        return f"{plural(windows, 'window')} counted; {self.outcome}."


Update = Callable[[], MonitorUpdate | None]


class StreamMonitors(threading.Thread):
    """Watches the monitored tables of a product's streams beside them: what fails here is told, and the stream goes on.

    Attributes
    ----------
    seconds : processor time that the updates of each monitor have taken
    """

    def __init__(self, ws: Workspace, updates: Mapping[str, Update], every_s: float = EVERY_S) -> None:
        super().__init__(name="monitors", daemon=True)
        self._ws, self._updates, self._every_s, self._began = ws, dict(updates), every_s, ws.record.clock()
        self._ending = threading.Event()
        self._counted = dict.fromkeys(updates, (0, 0))
        self._last: dict[str, MonitorUpdate] = {}
        self._alarms: dict[str, dict[str, AlarmDocument]] = {name: {} for name in updates}
        self._trouble: dict[str, str] = {}
        self.seconds = dict.fromkeys(updates, 0.0)

    def run(self) -> None:
        """Run until asked to stop."""
        while self._updates and not self._ending.wait(self._every_s):
            self._update_all()

    def stop(self) -> None:
        """Stop after the current update."""
        self._ending.set()
        self.join()

    def finish(self) -> None:
        """Bring the monitors up to date with what is published, and record in the ledger what they have done, as a run records its steps."""
        self._update_all()
        for name, update in self._last.items():
            windows, rows = self._counted[name]
            now, record = self._ws.record.clock(), self._ws.record
            record.ledger.add(steps, {
                "run_id": record.run_id, "product": record.product_name, "step": f"monitor:{name}", "kind": "monitor", "name": name,
                "state": "succeeded" if windows else "skipped", "started_at": self._began, "finished_at": now, "seconds": round(self.seconds[name], 4),
                "rows_read": rows, "fingerprint": update.fingerprint, "inputs": dict(update.inputs),
                "detail": {"note": update.note(windows), "alarms": list(self._alarms[name].values()), "next_window_ends": update.next_window_ends}
                if windows else {"why": "no window has ended"},
            })  # fmt: skip

    def documents(self) -> dict[str, WatchedDocument]:
        """Return the state of each monitor, JSON-ready."""
        return {
            name: {
                "windows": self._counted[name][0], "alarms": sorted(self._alarms[name]), "trouble": self._trouble.get(name),
            }
            for name in self._updates
        }  # fmt: skip

    def _update_all(self) -> None:
        for name, update in self._updates.items():
            began = time.thread_time()
            try:
                self._take(name, update())
                self._trouble.pop(name, None)
            except Exception as error:  # noqa: BLE001 (the stream goes on; the next update tries again)
                trouble = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
                if trouble != self._trouble.get(name):
                    log.warning("Monitor '%s' could not be brought up to date: %s", name, trouble)
                self._trouble[name] = trouble
            self.seconds[name] += time.thread_time() - began

    def _take(self, name: str, update: MonitorUpdate | None) -> None:
        """Tell the alarms that have begun since."""
        if update is None:
            return
        windows, rows = self._counted[name]
        self._counted[name], self._last[name] = (windows + update.windows, rows + update.rows), update
        before = self._alarms[name]
        new = [alarm for alarm in update.alarms if alarm["figure"] not in before]
        now = before | {alarm["figure"]: alarm for alarm in update.alarms}
        self._alarms[name] = {figure: alarm for figure, alarm in now.items() if figure in update.in_alarm or alarm in new}
        for alarm in new:
            log.warning("Monitor '%s': %s.", name, alarm["what"])
        for observer in self._ws.reporting.observers if new else ():
            observer.alarmed(self._ws.observed, name, new)


def streamed_monitors(product: Product) -> list[Monitor]:
    """Return the monitors of tables that the product's streams write."""
    return [monitor for monitor in product.monitors.values() if is_streamed(product, monitor.of)]
