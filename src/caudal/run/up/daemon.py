"""``caudal up``: the flow, top to bottom."""

from __future__ import annotations

import contextlib
import secrets
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from caudal.errors import DeclarationProblem
from caudal.graph.load import load, product_file
from caudal.lake.claim import Watch, claim, forget
from caudal.lake.home import Home
from caudal.lake.ledger import Ledger
from caudal.lake.records import claims
from caudal.run.manifest import folder_digest
from caudal.run.run import checked, opened
from caudal.run.up.events import note, orphans, take_up, try_failed_again
from caudal.run.up.watch import Watcher
from caudal.run.up.watch_clock import ClockWatcher
from caudal.run.up.watch_files import FileWatcher, Waker
from caudal.run.up.watch_tables import TableWatcher
from caudal.run.up.worker import Worker
from caudal.spec.product import Product
from caudal.spec.settings import Settings
from caudal.spec.trigger import OnArrival, OnPublish, Timed

SETTLE_S = 2.0
_TICK_S = 0.2
_REST_S = 0.05  # however often the bell rings
_AGAIN_S = 2.0
_ORPHANS_S = 5.0

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Pace:
    """How often and how long.

    Parameters
    ----------
    scan_s : seconds between two looks at everything, whoever woke in between
    grace_s : seconds that a step at hand is given to end when the daemon is asked to stop
    at_once : runs at a time
    seconds : until the daemon ends by itself
    idle_s : ends it when nothing has happened, and nothing was to be done, for so long
    """

    scan_s: float = 10.0
    grace_s: float = 60.0
    at_once: int = 1
    seconds: float | None = None
    idle_s: float | None = None


def up(folders: Sequence[Path], settings: Settings, say: Say, pace: Pace | None = None) -> None:
    """Keep products running until SIGTERM or Ctrl-C.

    Raises
    ------
    DeclarationProblem : a product cannot work, or nothing triggers it
    """
    pace = pace or Pace()
    home = opened(settings)
    products = {product.name: (folder, product) for folder in folders for product in [triggered(folder)]}
    settle_s = SETTLE_S if settings.settle is None else settings.settle
    with (
        contextlib.closing(home.ledger()) as ledger,
        Bell() as bell,
        claim(ledger, f"up {secrets.token_hex(4)}") as me,
        Waker(bell.ring) as waker,
    ):
        watchers = [
            one for folder, product in products.values() for one in watchers_of(product, home, _data(folder, settings), settle_s)
        ]
        worker = Worker(
            {name: folder for name, (folder, _) in products.items()}, home, ledger, settings, me.holder, settle_s=settle_s,
            at_once=pace.at_once,
        )  # fmt: skip
        rounds = Rounds(ledger, watchers, worker, waker, say, pace)
        say({"what": "up", "products": list(products), "watchers": [one.name for one in watchers]})
        began = time.monotonic()
        while not bell.asked_to_stop and not rounds.idle_for(pace.idle_s):
            if pace.seconds is not None and time.monotonic() - began > pace.seconds:
                break
            try:
                rounds.round(woken=bell.rung())
            except SQLAlchemyError as error:  # the ledger does not answer; nothing is lost by asking it again
                say({"what": "trouble", "trigger": "ledger", "why": f"{type(error).__name__}: {error}".splitlines()[0]})
                time.sleep(_AGAIN_S)
            bell.wait(_TICK_S)
            time.sleep(_REST_S)
        rounds.end(pace.grace_s)
        say({"what": "down"})


class Rounds:
    """What the daemon does again and again: look, settle, start."""

    def __init__(self, ledger: Ledger, watchers: Sequence[Watcher], worker: Worker, waker: Waker, say: Say, pace: Pace) -> None:
        self._ledger, self._watchers, self._worker, self._waker, self._say, self._pace = ledger, watchers, worker, waker, say, pace
        self._watch, self._orphans_at = Watch(), 0.0
        self._look_at = dict.fromkeys(range(len(watchers)), 0.0)
        self._trouble: dict[str, str] = {}
        self._code: dict[str, str] = {}
        self._last = time.monotonic()

    def round(self, *, woken: bool = False) -> None:
        """Do one round."""
        if time.monotonic() >= self._orphans_at:
            self._take_up_orphans()
            self._look_at_code()
            self._orphans_at = time.monotonic() + _ORPHANS_S
        for place, watcher in enumerate(self._watchers):
            if woken or time.monotonic() >= self._look_at[place]:
                self._look_at[place] = time.monotonic() + min(self._look(watcher), self._pace.scan_s)
        self._collect()
        for job in self._worker.start():
            self._heard({"what": "run", "product": job.product, "run_id": job.run_id, "events": len(job.events)})

    def idle_for(self, idle_s: float | None) -> bool:
        """Tell whether nothing has happened for so long, and nothing is at work."""
        if self._worker.jobs:
            self._last = time.monotonic()
        return idle_s is not None and time.monotonic() - self._last > idle_s

    def end(self, grace_s: float) -> None:
        """Let runs end after the step at hand, or abandon them when that takes longer than ``grace_s``."""
        if self._worker.jobs:
            self._say({"what": "stopping", "runs": [job.run_id for job in self._worker.jobs.values()], "grace_s": grace_s})
        self._worker.ask_to_stop()
        until = time.monotonic() + grace_s
        while self._worker.jobs and time.monotonic() < until:
            self._collect()
            time.sleep(_TICK_S)
        self._worker.abandon()
        self._collect()

    def _look(self, watcher: Watcher) -> float:
        """Note what a watcher sees and return after how many seconds it is to be looked at again."""
        seen = watcher.look(self._ledger)
        if seen.trouble and self._trouble.get(watcher.name) != seen.trouble:
            self._say({"what": "trouble", "trigger": watcher.name, "why": seen.trouble})
        self._trouble[watcher.name] = seen.trouble or ""
        if seen.mended:
            self._try_failed_again(watcher.product)
        new = note(self._ledger, seen.events, schedule=seen.schedule) if seen.events or seen.schedule else []
        watcher.told(seen.events)
        for one in new:
            self._heard({"what": "event", "product": one.product, "trigger": one.trigger, "kind": one.kind, "subject": one.subject})
        self._waker.watch(watcher.places())
        return self._pace.scan_s if seen.again_s is None else seen.again_s

    def _collect(self) -> None:
        for ended in self._worker.collect():
            self._heard({"what": "ended", **asdict(ended)})

    def _take_up_orphans(self) -> None:
        taken = orphans(self._ledger)
        for row in self._ledger.find(claims):
            if row["name"].startswith("up ") and row["holder"] not in taken and self._watch.dead(row):
                forget(self._ledger, row)
        for daemon, rows in taken.items():
            if daemon == self._worker.daemon:  # taken, but the run could not be begun
                rows = [row for row in rows if row["run_id"] not in {job.run_id for job in self._worker.jobs.values()}]
            theirs = [row for row in self._ledger.find(claims) if row["holder"] == daemon]
            if daemon != self._worker.daemon and theirs and not self._watch.dead(theirs[0]):
                continue
            for run_id, ending in take_up(self._ledger, rows).items():
                self._heard(
                    {"what": "taken up", "run_id": run_id, "events": sum(row["run_id"] == run_id for row in rows), "ending": ending}
                )

    def _look_at_code(self) -> None:
        """Try what failed again when the product's files have changed: the mistake may have been mended. So too when the daemon begins."""
        for product, folder in self._worker.folders.items():
            code = folder_digest(product_file(folder).parent)
            if self._code.get(product) != code:
                self._code[product] = code
                self._try_failed_again(product)

    def _try_failed_again(self, product: str) -> None:
        if count := try_failed_again(self._ledger, product):
            self._heard({"what": "again", "product": product, "events": count})

    def _heard(self, document: dict[str, Any]) -> None:
        self._last = time.monotonic()
        self._say(document)


def triggered(folder: Path) -> Product:
    """Return the product of a folder, which has something that triggers it.

    Raises
    ------
    DeclarationProblem : it cannot work, or has no trigger
    """
    product = checked(load(folder))
    sources, predictions = product.sources.values(), product.predictions.values()
    if not any([*product.schedules, *(one.trigger for one in sources), *(one.trigger for one in predictions)]):
        raise DeclarationProblem(
            f"Nothing triggers product '{product.name}'.",
            fix='Give a source trigger=cd.on_arrival(), or say product.schedule(cd.every("midnight")).',
            where=str(product.where),
        )
    return product


def watchers_of(product: Product, home: Home, data: Path, settle_s: float) -> list[Watcher]:
    """Return what looks out for a product's triggers: one watcher each."""
    found: list[Watcher] = []
    declared = [
        *(("schedule", one, None) for one in product.schedules),
        *((f"source:{name}", one.trigger, one) for name, one in product.sources.items()),
        *((f"prediction:{name}", one.trigger, None) for name, one in product.predictions.items()),
    ]
    for of, trigger, source in declared:
        if isinstance(trigger, OnArrival) and source is not None:
            found.append(FileWatcher(product.name, source, data, settle_s))
        elif isinstance(trigger, OnPublish):
            found.append(TableWatcher(product.name, trigger, home, of))
        elif isinstance(trigger, Timed):
            found.append(ClockWatcher(product.name, trigger, product.tz, of, "predict" if of.startswith("prediction:") else "all"))
    return found


class Bell:
    """Rings when something is to be looked at, and knows when the daemon was asked to stop."""

    def __init__(self) -> None:
        self.asked_to_stop = False
        self._event = threading.Event()

    def __enter__(self) -> Bell:
        self._old = {}
        if threading.current_thread() is threading.main_thread():
            self._old = {one: signal.signal(one, self._ask) for one in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for one, handler in self._old.items():
            signal.signal(one, handler)

    def ring(self) -> None:
        """Ring; from any thread."""
        self._event.set()

    def rung(self) -> bool:
        """Tell whether it has rung since it was asked last."""
        rang = self._event.is_set()
        self._event.clear()
        return rang

    def wait(self, seconds: float) -> None:
        """Wait until it rings."""
        self._event.wait(seconds)

    def _ask(self, *_: object) -> None:
        self.asked_to_stop = True  # no lock is taken: the thread that the signal interrupts may hold it


def _data(folder: Path, settings: Settings) -> Path:
    return settings.data or product_file(folder).parent
