"""The observer that records a running step in the ledger, and reports while it runs that it takes longer than usual."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from caudal.errors import CaudalError
from caudal.ledger.records import runs
from caudal.ledger.rows import AtHand
from caudal.observers.usual_times import Usual, usual
from caudal.runtime.observer import ObservedRun, RunObserver

SEEN_S = 2.0  # a shorter step is over before anyone could look at it
_LOG = logging.getLogger(__name__)


class SlowSteps(RunObserver):
    """Watches the steps of runs: each run is at one step at a time."""

    order = 10

    def __init__(self) -> None:
        self._watches: dict[tuple[str, str], _Watch] = {}

    def step_began(self, run: ObservedRun, step: str) -> None:
        """Watch the step, in threads of its own."""
        self._watches[run.record.run_id, step] = _Watch(run, step)

    def step_ended(self, run: ObservedRun, step: str) -> None:
        """End the watch; nothing is reported afterwards."""
        if (watch := self._watches.pop((run.record.run_id, step), None)) is not None:
            watch.end()


class _Watch:
    def __init__(self, run: ObservedRun, step: str) -> None:
        self._run, self._step, self._began = run, step, run.record.clock()
        self._ended, self._is_recorded = threading.Event(), False
        self._lock = threading.Lock()  # nothing is reported after the step's end
        self._timer = self._start_timer(SEEN_S, self._record_running)

    def end(self) -> None:
        with self._lock:
            self._ended.set()
            self._timer.cancel()
            if self._is_recorded:
                self._write_running_step(None)

    def _start_timer(self, wait_s: float, action: Callable[..., None], *arguments: object) -> threading.Timer:
        timer = threading.Timer(wait_s, self._call_while_running, (action, *arguments))
        timer.daemon = True
        timer.start()
        return timer

    def _call_while_running(self, action: Callable[..., None], *arguments: object) -> None:
        """Call the action if the step is still running; an error here must not fail the step."""
        with self._lock:
            if not self._ended.is_set():
                try:
                    action(*arguments)
                except (SQLAlchemyError, OSError) as error:
                    _LOG.debug("watching '%s': %s", self._step, error)

    def _record_running(self) -> None:
        usual_time = usual(self._run.record.ledger, self._run.product.name, self._step)
        self._write_running_step(
            {"step": self._step, "since": self._began, "expected_s": usual_time.expected_s if usual_time else None, "slow": False}
        )
        if usual_time is not None:
            self._timer = self._start_timer(max(usual_time.limit_s - SEEN_S, 0.0), self._report_slow, usual_time)

    def _report_slow(self, usual_time: Usual) -> None:
        self._write_running_step({"step": self._step, "since": self._began, "expected_s": usual_time.expected_s, "slow": True})
        self._run.show_slow(self._step, self._run.record.clock() - self._began, usual_time.expected_s)
        # A mail server may be slow; a step that ends meanwhile must not wait for it.
        threading.Thread(target=self._notify_observers, args=(usual_time,), daemon=True).start()

    def _notify_observers(self, usual_time: Usual) -> None:
        try:
            for observer in self._run.observers:
                observer.step_slow(self._run, self._step, usual_time.expected_s, usual_time.limit_s)
        except (CaudalError, SQLAlchemyError, OSError) as error:  # the end of the run tries again, and reports the error
            _LOG.debug("telling that '%s' is slow: %s", self._step, error)

    def _write_running_step(self, running_step: AtHand | None) -> None:
        self._is_recorded = True
        self._run.record.ledger.change(runs, {"run_id": self._run.record.run_id}, at_hand=running_step)


OBSERVER = SlowSteps()
