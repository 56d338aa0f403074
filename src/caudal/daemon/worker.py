"""The worker: takes events and runs their products, each run in a separate process."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from caudal.daemon.events import Ending, settle, take_events
from caudal.declarations.settings import Settings
from caudal.ledger.claim import HolderWatch, held_by_another
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs
from caudal.ledger.rows import EventRow
from caudal.runtime.lifecycle import new_run_id
from caudal.tables.home import Home

COMMAND = (sys.executable, "-m", "caudal.daemon.child")
ATTEMPTS = 5  # of runs that fail with a transient error
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 600.0
_BUSY_S = 1.0  # until the next look at a product that another process runs
_TRANSIENT = ("EnvironmentProblem", "LeaseHeld", "killed")
_STOPPED = 75
_LEFT_S = 86400.0


@dataclass(frozen=True)
class Ended:
    """The outcome of a run."""

    product: str
    run_id: str
    ending: Ending
    state: str
    events: int
    seconds: float
    why: str | None = None
    again_s: float | None = None


@dataclass
class Job:
    """A run in progress, with its process."""

    product: str
    run_id: str
    process: subprocess.Popen[bytes]
    out: Path
    events: list[EventRow]
    began: float = field(default_factory=time.monotonic)
    asked_to_stop: bool = False


class Worker:
    """Runs the products of a daemon: at most ``at_once`` runs at a time, and one per product."""

    def __init__(
        self, folders: dict[str, Path], home: Home, ledger: Ledger, settings: Settings, daemon: str, *, settle_s: float, at_once: int = 1,
        clock: Callable[[], float] = time.time, chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        self.folders, self.daemon = folders, daemon
        self._home, self._ledger, self._settings, self._settle_s, self._at_once = home, ledger, settings, settle_s, at_once
        self._clock, self._chance = clock, chance or random.Random()
        self._watch = HolderWatch()
        self._busy: dict[str, float] = {}
        self.jobs: dict[str, Job] = {}
        for output in home.path.glob("up/*.out"):  # of runs whose daemon died
            if clock() - output.stat().st_mtime > _LEFT_S:
                output.unlink(missing_ok=True)

    def start(self) -> Iterator[Job]:
        """Start a run for each product that has events, as far as ``at_once`` allows, and yield it."""
        for product in self.folders:
            if len(self.jobs) >= self._at_once:
                return
            if product in self.jobs or self._clock() < self._busy.get(product, 0.0):
                continue
            if held_by_another(self._ledger, product, self._watch):
                self._busy[product] = self._clock() + _BUSY_S
                continue
            run_id = new_run_id()
            if event_rows := take_events(self._ledger, product, self.daemon, run_id, self._clock()):
                self.jobs[product] = self._start_run(product, run_id, event_rows)
                yield self.jobs[product]

    def collect(self) -> Iterator[Ended]:
        """Settle the events of ended runs, and yield the outcomes."""
        for product, job in list(self.jobs.items()):
            if job.process.poll() is not None:
                ended = self._settle_job(job)
                del self.jobs[product]  # only now: if the ledger does not answer, the next round tries again
                job.out.unlink(missing_ok=True)
                yield ended

    def ask_to_stop(self) -> None:
        """Ask running runs to stop after the current step."""
        for job in self.jobs.values():
            job.asked_to_stop = True
            with contextlib.suppress(ProcessLookupError):
                job.process.send_signal(signal.SIGTERM)

    def abandon(self) -> None:
        """Kill running runs; what they published stays, the rest is done again."""
        for job in self.jobs.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.process.pid, signal.SIGKILL)
            job.process.wait()

    def _start_run(self, product: str, run_id: str, event_rows: list[EventRow]) -> Job:
        order = {
            "folder": str(self.folders[product]), "home": str(self._home.path), "data": str(self._settings.data) if self._settings.data else None,
            "lake": self._settings.lake, "engine": self._settings.engine, "settle_s": self._settle_s, "run_id": run_id, "pipeline": "all" if any(row["pipeline"] == "all" for row in event_rows) else "predict",
        }  # fmt: skip
        out = self._home.path / "up" / f"{run_id}.out"
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w") as out_file, self._log(product) as log:
            process = subprocess.Popen(
                [*COMMAND, json.dumps(order)],
                stdin=subprocess.PIPE, stdout=out_file, stderr=log, start_new_session=True,
            )  # fmt: skip
        return Job(product, run_id, process, out, event_rows)

    def _log(self, product: str) -> TextIO:
        """Return the file for all other output of a product's last run."""
        return (self._home.path / "up" / f"{product}.log").open("w")

    def _settle_job(self, job: Job) -> Ended:
        assert job.process.stdin is not None
        job.process.stdin.close()
        code = job.process.returncode
        printed = _last(job.out)
        run_rows = self._ledger.find(runs, run_id=job.run_id)
        state = run_rows[0]["state"] if run_rows else None
        of_run = (job.product, job.run_id)
        seconds = round(time.monotonic() - job.began, 1)
        if state == "succeeded" or code == 0:
            count = settle(self._ledger, job.run_id, "done")
            outcome = ((run_rows[0]["summary"] or {}).get("outcome") or state) if run_rows else None
            return Ended(*of_run, "done", str(outcome or "up to date"), count, seconds)
        if code == _STOPPED or (job.asked_to_stop and code < 0):  # killed by us, or before it could handle the signal
            return Ended(*of_run, "new", "stopped", settle(self._ledger, job.run_id, "new"), seconds)
        error: Mapping[str, Any] = (run_rows[0]["error"] if run_rows else None) or printed or {}
        kind = "killed" if code < 0 else str(error.get("error", ""))
        why = str(error.get("what") or f"its process ended with {code}" + (" (killed)" if code < 0 else ""))
        attempts = 1 + min((row["attempts"] for row in job.events), default=0)
        again = bool(error.get("transient", error.get("passing", kind in _TRANSIENT)))
        if kind == "TimeLimitPassed" and error.get("hung"):  # its process was killed, so its step could not be retried there
            again = attempts <= int(error.get("retry", 0))
        if again and attempts < ATTEMPTS:
            again_s = pause_s(attempts, self._chance)
            at = self._clock() + again_s
            count = settle(self._ledger, job.run_id, "new", not_before=at, again=kind != "LeaseHeld", why=why)
            return Ended(*of_run, "new", "failed", count, seconds, why, round(again_s, 1))
        return Ended(*of_run, "failed", "failed", settle(self._ledger, job.run_id, "failed", why=why), seconds, why)


def pause_s(attempts: int, chance: random.Random) -> float:
    """Return how long an event waits after so many attempts: anything up to a bound that doubles ("full jitter", as `batch.retry`)."""
    return chance.uniform(0, min(FIRST_WAIT_S * 2 ** (attempts - 1), LONGEST_WAIT_S))


def _last(file: Path) -> dict[str, object] | None:
    try:
        lines = [line for line in file.read_text().splitlines() if line.startswith("{")]
        return dict(json.loads(lines[-1])) if lines else None
    except (OSError, ValueError):
        return None
