"""The protocol of watchers, which are polled for events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from caudal.daemon.events import Event
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.discovery import mark_kind
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import ScheduleRow
from caudal.tables.home import Home


@dataclass(frozen=True)
class Look:
    """The result of one poll of a watcher.

    Parameters
    ----------
    again_s : seconds after which an incomplete file should be polled again
    trouble : why the poll failed
    mended : bool, True if a possible cause of failed runs is gone, so that a retry may succeed
    schedule : a row that is written with the events, for watchers that record how far they have got
    """

    events: list[Event]
    again_s: float | None = None
    trouble: str | None = None
    mended: bool = False
    schedule: ScheduleRow | None = None


class Watcher(Protocol):
    """Looks for one kind of event. It only reports events, and may report one twice."""

    product: str

    @property
    def name(self) -> str:
        """The trigger name of its events."""

    def places(self) -> list[tuple[Path, bool]]:
        """Return the folders whose changes trigger a look, each with whether its subfolders count too."""

    def look(self, ledger: Ledger) -> Look:
        """Return the events since the last look."""

    def recorded(self, recorded_events: list[Event]) -> None:
        """Remember that these events are in the ledger."""


@dataclass(frozen=True)
class DeclaredTrigger:
    """A trigger that a product declares.

    Parameters
    ----------
    of : str, what it triggers: ``schedule``, ``source:<name>``, ``prediction:<name>`` or ``model:<name>``
    trigger : what was declared, such as `caudal.on_arrival`, or the ``retrain=`` of a model
    source : the source that it belongs to, where it does
    data : Path, the folder of relative patterns
    settle_s : float, a file younger than this waits
    """

    product: Product
    of: str
    trigger: Any
    source: Source | None
    home: Home
    data: Path
    settle_s: float


Make = Callable[[DeclaredTrigger], Watcher | None]
_M = TypeVar("_M", bound=Make)


def watches(name: str) -> Callable[[_M], _M]:
    """Return a decorator that registers a function that makes watchers; the function returns None for triggers of other kinds."""
    return mark_kind("watchers", name)
