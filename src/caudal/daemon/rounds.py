"""The daemon's loop: look, record, settle, start; again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy.exc import SQLAlchemyError

from caudal.daemon.events import record_events, settle_stopped_runs, taken_events, try_failed_again
from caudal.daemon.watch import Watcher
from caudal.daemon.watchers.files import Waker
from caudal.daemon.worker import Worker
from caudal.graph.load import product_file
from caudal.ledger.claim import HolderWatch, delete_claim
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import claims, events
from caudal.runtime.manifest import folder_digest

TICK_S = 0.2
_ORPHANS_S = 5.0

Say = Callable[[dict[str, object]], None]


@dataclass(frozen=True)
class DaemonPace:
    """How often the daemon looks, how many runs it starts, and when it ends.

    Parameters
    ----------
    scan_s : seconds between two scans of all watchers, besides those after wake-ups
    grace_s : seconds that a running step has to end when the daemon is asked to stop
    at_once : most runs at a time
    seconds : seconds after which the daemon ends
    idle_s : the daemon ends when nothing has happened, and nothing was to be done, for so long
    """

    scan_s: float = 10.0
    grace_s: float = 60.0
    at_once: int = 1
    seconds: float | None = None
    idle_s: float | None = None


class Rounds:
    """The daemon's loop body: look, settle, start."""

    def __init__(
        self, ledger: Ledger, watchers: Sequence[Watcher], worker: Worker, waker: Waker, say: Say, pace: DaemonPace
    ) -> None:
        self._ledger, self._watchers, self._worker, self._waker, self._say, self._pace = ledger, watchers, worker, waker, say, pace
        self._watch, self._orphans_at = HolderWatch(), 0.0
        self._look_at = dict.fromkeys(range(len(watchers)), 0.0)
        self._trouble: dict[str, str] = {}
        self._code: dict[str, str] = {}
        self._last = time.monotonic()

    def round(self, *, woken: bool = False) -> None:
        """Do one round: look at the watchers that are due, settle ended runs, start new ones."""
        if time.monotonic() >= self._orphans_at:
            self._take_up_orphans()
            self._look_at_code()
            self._orphans_at = time.monotonic() + _ORPHANS_S
        for place, watcher in enumerate(self._watchers):
            if woken or time.monotonic() >= self._look_at[place]:
                self._look_at[place] = time.monotonic() + min(self._look(watcher), self._pace.scan_s)
        self._collect()
        for job in self._worker.start():
            self._report({"what": "run", "product": job.product, "run_id": job.run_id, "events": len(job.events)})

    def report_error(self, error: Exception) -> None:
        """Report, once, the error that broke a round; the next round may succeed."""
        self._report_trouble("caudal up", f"{type(error).__name__}: {error}".splitlines()[0])

    def idle_for(self, idle_s: float | None) -> bool:
        """Return whether nothing has happened for ``idle_s``, no run is active, and no event waits for a retry or for another run's
        end."""
        if self._worker.jobs:
            self._last = time.monotonic()
        if idle_s is None or time.monotonic() - self._last <= idle_s:
            return False
        if self._waiting():
            self._last = time.monotonic()
            return False
        return True

    def end(self, grace_s: float) -> None:
        """Let runs end after the current step, or abandon them when that takes longer than ``grace_s``."""
        if self._worker.jobs:
            self._say({"what": "stopping", "runs": [job.run_id for job in self._worker.jobs.values()], "grace_s": grace_s})
        self._worker.ask_to_stop()
        until = time.monotonic() + grace_s
        while self._worker.jobs and time.monotonic() < until:
            self._collect()
            time.sleep(TICK_S)
        self._worker.abandon()
        self._collect()

    def _waiting(self) -> bool:
        try:
            return any(self._ledger.find(events, product=product, state="new", limit=1) for product in self._worker.folders)
        except SQLAlchemyError:  # without the ledger it is not known, so the daemon stays
            return True

    def _look(self, watcher: Watcher) -> float:
        """Record what a watcher sees, and return the seconds until it is looked at again."""
        look = watcher.look(self._ledger)
        self._report_trouble(watcher.name, look.trouble or "")
        if look.mended:
            self._try_failed_again(watcher.product)
        new = record_events(self._ledger, look.events, schedule=look.schedule) if look.events or look.schedule else []
        watcher.recorded(look.events)
        for event in new:
            self._report(
                {"what": "event", "product": event.product, "trigger": event.trigger, "kind": event.kind, "subject": event.subject}
            )
        self._waker.watch(watcher.places())
        return self._pace.scan_s if look.again_s is None else look.again_s

    def _collect(self) -> None:
        for ended in self._worker.collect():
            self._report({"what": "ended", **asdict(ended)})

    def _take_up_orphans(self) -> None:
        rows_by_daemon = taken_events(self._ledger)
        for row in self._ledger.find(claims):
            if row["name"].startswith("up ") and row["holder"] not in rows_by_daemon and self._watch.dead(row):
                delete_claim(self._ledger, row)
        for daemon, rows in rows_by_daemon.items():
            if daemon == self._worker.daemon:  # taken, but the run could not be started
                rows = [row for row in rows if row["run_id"] not in {job.run_id for job in self._worker.jobs.values()}]
            daemon_claims = [row for row in self._ledger.find(claims) if row["holder"] == daemon]
            if daemon != self._worker.daemon and daemon_claims and not self._watch.dead(daemon_claims[0]):
                continue
            for run_id, ending in settle_stopped_runs(self._ledger, rows).items():
                self._report(
                    {"what": "taken up", "run_id": run_id, "events": sum(row["run_id"] == run_id for row in rows), "ending": ending}
                )

    def _look_at_code(self) -> None:
        """Retry failed events when the product's files have changed, and when the daemon starts: the mistake may have been
        fixed."""
        for product, folder in self._worker.folders.items():
            code = folder_digest(product_file(folder).parent)
            if self._code.get(product) != code:
                self._code[product] = code
                self._try_failed_again(product)

    def _try_failed_again(self, product: str) -> None:
        if count := try_failed_again(self._ledger, product):
            self._report({"what": "again", "product": product, "events": count})

    def _report_trouble(self, trigger: str, why: str) -> None:
        if why and self._trouble.get(trigger) != why:
            self._say({"what": "trouble", "trigger": trigger, "why": why})
        self._trouble[trigger] = why

    def _report(self, document: dict[str, object]) -> None:
        self._last = time.monotonic()
        self._say(document)
