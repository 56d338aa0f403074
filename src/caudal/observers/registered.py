"""The registered observers: ``OBSERVER`` of each module of this folder, and the entry points ``caudal.observers`` of other packages."""

from __future__ import annotations

import logging
import pkgutil
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

import caudal.observers
from caudal.errors import CaudalError
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import ObservedRun, RunObserver

GROUP = "caudal.observers"
_LOG = logging.getLogger(__name__)


@cache
def registered() -> tuple[RunObserver, ...]:
    """Return an observer of each kind in order, those of caudal before those of other packages."""
    modules = (import_module(f"caudal.observers.{module.name}") for module in pkgutil.iter_modules(caudal.observers.__path__))
    observers = sorted((module.OBSERVER for module in modules if hasattr(module, "OBSERVER")), key=lambda observer: observer.order)
    return (
        *observers,
        *(Foreign(entry.name, entry.load()()) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)),
    )


class Foreign(RunObserver):
    """An observer of another package: its errors are logged and do not affect the run."""

    def __init__(self, name: str, observer: RunObserver) -> None:
        self._name, self._observer = name, observer

    def run_began(self, run: ObservedRun) -> None:
        """Call the observer at the begin of a run."""
        self._call("run_began", run)

    def step_began(self, run: ObservedRun, step: str) -> None:
        """Call the observer at the begin of a step."""
        self._call("step_began", run, step)

    def step_ended(self, run: ObservedRun, step: str) -> None:
        """Call the observer at the end of a step."""
        self._call("step_ended", run, step)

    def step_slow(self, run: ObservedRun, step: str, expected_s: float, limit_s: float) -> None:
        """Call the observer for a slow step."""
        self._call("step_slow", run, step, expected_s, limit_s)

    def run_ended(self, run: ObservedRun, document: RunDocument) -> None:
        """Call the observer at the end of a run."""
        self._call("run_ended", run, document)

    def _call(self, method: str, run: ObservedRun, *facts: object) -> None:
        try:
            getattr(self._observer, method)(run, *facts)
        except CaudalError as error:
            run.note(f"The observer '{self._name}' failed: {error.what}")
        except Exception as error:
            _LOG.warning("the observer '%s' failed", self._name, exc_info=error)
            run.note(f"The observer '{self._name}' failed in {method}: {type(error).__name__}: {error}")
