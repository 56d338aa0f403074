"""A step at work: the ledger knows which it is, and somebody is told when it takes longer than usual, while it does."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from caudal.batch.step import Step
from caudal.errors import CaudalError
from caudal.ledger.records import runs
from caudal.observers.usual_times import Usual, usual
from caudal.runtime.workspace import Workspace

SEEN_S = 2.0  # shorter steps are over before anybody could look
_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def watch_duration(ws: Workspace, step: Step) -> Iterator[None]:
    """Watch a step for the length of the block."""
    watch = _Watch(ws, step)
    try:
        yield
    finally:
        watch.end()


class _Watch:
    def __init__(self, ws: Workspace, step: Step) -> None:
        self._ws, self._step, self._began = ws, step, ws.record.clock()
        self._over, self._told = threading.Event(), False
        self._lock = threading.Lock()  # what is said of a step at work is not said after its end
        self._timer = self._later(SEEN_S, self._seen)

    def end(self) -> None:
        with self._lock:
            self._over.set()
            self._timer.cancel()
            if self._told:
                self._say(None)

    def _later(self, wait_s: float, action: object, *arguments: object) -> threading.Timer:
        timer = threading.Timer(wait_s, self._guarded, (action, *arguments))
        timer.daemon = True
        timer.start()
        return timer

    def _guarded(self, action: Any, *arguments: Any) -> None:
        """Do it while the step is at work; to watch a step never makes it fail."""
        with self._lock:
            if not self._over.is_set():
                try:
                    action(*arguments)
                except (SQLAlchemyError, OSError) as error:
                    _LOG.debug("watching '%s': %s", self._step.name, error)

    def _seen(self) -> None:
        usual_time = usual(self._ws.record.ledger, self._ws.product.name, self._step.name)
        self._say(
            {
                "step": self._step.name,
                "since": self._began,
                "expected_s": usual_time.expected_s if usual_time else None,
                "slow": False,
            }
        )
        if usual_time is not None:
            self._timer = self._later(max(usual_time.limit_s - SEEN_S, 0.0), self._slow, usual_time)

    def _slow(self, usual_time: Usual) -> None:
        self._say({"step": self._step.name, "since": self._began, "expected_s": usual_time.expected_s, "slow": True})
        self._ws.reporting.progress.slow(self._step.name, self._ws.record.clock() - self._began, usual_time.expected_s)
        # A mail server may keep one waiting; the step that is over meanwhile is not to wait too.
        threading.Thread(target=_notify_observers, args=(self._ws, self._step.name, usual_time), daemon=True).start()

    def _say(self, running_step: dict[str, object] | None) -> None:
        self._told = True
        self._ws.record.ledger.change(runs, {"run_id": self._ws.record.run_id}, at_hand=running_step)


def _notify_observers(ws: Workspace, step: str, usual_time: Usual) -> None:
    try:
        for observer in ws.reporting.observers:
            observer.step_slow(ws.observed, step, usual_time.expected_s, usual_time.limit_s)
    except (CaudalError, SQLAlchemyError, OSError) as error:  # the end of the run tries again, and says what is wrong
        _LOG.debug("telling that '%s' is slow: %s", step, error)
