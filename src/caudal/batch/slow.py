"""Watches a running step: records it in the ledger, and reports while it runs that it takes longer than usual."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from sqlalchemy.exc import SQLAlchemyError

from caudal.batch.step import Step
from caudal.errors import CaudalError
from caudal.ledger.records import runs
from caudal.ledger.rows import AtHand
from caudal.observers.usual_times import Usual, usual
from caudal.runtime.workspace import Workspace

SEEN_S = 2.0  # a shorter step is over before anyone could look at it
_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def watch_duration(ws: Workspace, step: Step) -> Iterator[None]:
    """Watch the duration of a step during the block."""
    watch = _Watch(ws, step)
    try:
        yield
    finally:
        watch.end()


class _Watch:
    def __init__(self, ws: Workspace, step: Step) -> None:
        self._ws, self._step, self._began = ws, step, ws.record.clock()
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
                    _LOG.debug("watching '%s': %s", self._step.name, error)

    def _record_running(self) -> None:
        usual_time = usual(self._ws.record.ledger, self._ws.product.name, self._step.name)
        self._write_running_step(
            {
                "step": self._step.name,
                "since": self._began,
                "expected_s": usual_time.expected_s if usual_time else None,
                "slow": False,
            }
        )
        if usual_time is not None:
            self._timer = self._start_timer(max(usual_time.limit_s - SEEN_S, 0.0), self._report_slow, usual_time)

    def _report_slow(self, usual_time: Usual) -> None:
        self._write_running_step({"step": self._step.name, "since": self._began, "expected_s": usual_time.expected_s, "slow": True})
        self._ws.reporting.progress.slow(self._step.name, self._ws.record.clock() - self._began, usual_time.expected_s)
        # A mail server may be slow; a step that ends meanwhile must not wait for it.
        threading.Thread(target=_notify_observers, args=(self._ws, self._step.name, usual_time), daemon=True).start()

    def _write_running_step(self, running_step: AtHand | None) -> None:
        self._is_recorded = True
        self._ws.record.ledger.change(runs, {"run_id": self._ws.record.run_id}, at_hand=running_step)


def _notify_observers(ws: Workspace, step: str, usual_time: Usual) -> None:
    try:
        for observer in ws.reporting.observers:
            observer.step_slow(ws.observed, step, usual_time.expected_s, usual_time.limit_s)
    except (CaudalError, SQLAlchemyError, OSError) as error:  # the end of the run tries again, and reports the error
        _LOG.debug("telling that '%s' is slow: %s", step, error)
