"""What every watcher is: something that can be looked at for events, as often as one likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from caudal.daemon.events import Event
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.discovery import marked
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import ScheduleRow
from caudal.tables.home import Home


@dataclass(frozen=True)
class Look:
    """What a look at a watcher has shown.

    Parameters
    ----------
    again_s : seconds after which something is to be seen that is not ripe yet
    trouble : why nothing can be seen
    mended : something that may have made runs fail is gone, so that what failed is worth trying again
    schedule : row that is written with the events, for watchers that remember how far they have come
    """

    events: list[Event]
    again_s: float | None = None
    trouble: str | None = None
    mended: bool = False
    schedule: ScheduleRow | None = None


class Watcher(Protocol):
    """Looks out for one kind of happening. It only tells; what it told before it may tell again."""

    product: str

    @property
    def name(self) -> str:
        """What its events say that they come from."""

    def places(self) -> list[tuple[Path, bool]]:
        """Return the folders whose changes are a reason to look, each with whether those below it count too."""

    def look(self, ledger: Ledger) -> Look:
        """Return what has happened."""

    def told(self, happened: list[Event]) -> None:
        """Hear that these are in the ledger."""


@dataclass(frozen=True)
class Watched:
    """A trigger that a product declares.

    Parameters
    ----------
    of : str, what it triggers: ``schedule``, ``source:<name>`` or ``prediction:<name>``
    trigger : what was declared, such as `caudal.on_arrival`
    source : the source that it belongs to, where it does
    data : Path, the folder that relative patterns are meant in
    settle_s : float, a file younger than this waits
    """

    product: Product
    of: str
    trigger: Any
    source: Source | None
    home: Home
    data: Path
    settle_s: float


Make = Callable[[Watched], Watcher | None]
_M = TypeVar("_M", bound=Make)


def watches(name: str) -> Callable[[_M], _M]:
    """Return a decorator by which a function says that it makes watchers: it gives one for the triggers that it looks out for, else None."""
    return marked("watchers", name)
