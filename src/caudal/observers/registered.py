"""Observers are found: each module of this folder that has an ``OBSERVER``, and the entry points ``caudal.observers`` of other packages."""

from __future__ import annotations

import logging
import pkgutil
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

import caudal.observers
from caudal.errors import CaudalError
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import RunObserver
from caudal.runtime.workspace import Workspace

GROUP = "caudal.observers"
_LOG = logging.getLogger(__name__)


@cache
def registered() -> tuple[RunObserver, ...]:
    """Return an observer of each kind in their order, ours before those of other packages."""
    modules = (import_module(f"caudal.observers.{module.name}") for module in pkgutil.iter_modules(caudal.observers.__path__))
    own = sorted((module.OBSERVER for module in modules if hasattr(module, "OBSERVER")), key=lambda observer: observer.order)
    return (
        *own,
        *(Foreign(entry.name, entry.load()()) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)),
    )


class Foreign(RunObserver):
    """An observer of another package: what goes wrong in it is logged, and changes nothing in the run."""

    def __init__(self, name: str, observer: RunObserver) -> None:
        self._name, self._observer = name, observer

    def run_began(self, ws: Workspace) -> None:
        """Tell it that a run has begun."""
        self._tell("run_began", ws)

    def step_slow(self, ws: Workspace, step: str, expected_s: float, limit_s: float) -> None:
        """Tell it of a slow step."""
        self._tell("step_slow", ws, step, expected_s, limit_s)

    def run_ended(self, ws: Workspace, document: RunDocument) -> None:
        """Tell it how a run ended."""
        self._tell("run_ended", ws, document)

    def _tell(self, method: str, ws: Workspace, *facts: object) -> None:
        try:
            getattr(self._observer, method)(ws, *facts)
        except CaudalError as error:
            ws.progress.noted(f"The observer '{self._name}' failed: {error.what}")
        except Exception as error:
            _LOG.warning("the observer '%s' failed", self._name, exc_info=error)
            ws.progress.noted(f"The observer '{self._name}' failed in {method}: {type(error).__name__}: {error}")
