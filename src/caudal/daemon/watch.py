"""The protocol of every watcher: it can be looked at for events any number of times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from caudal.daemon.events import Event
from caudal.ledger.ledger import Ledger, Row


@dataclass(frozen=True)
class Look:
    """The result of one look at a watcher.

    Parameters
    ----------
    again_s : seconds after which something that is not complete yet should be looked at again
    trouble : why the look failed
    mended : bool, True if a possible cause of failed runs is gone, so that they are worth a retry
    schedule : a row that is written with the events, for watchers that record how far they have got
    """

    events: list[Event]
    again_s: float | None = None
    trouble: str | None = None
    mended: bool = False
    schedule: Row | None = None


class Watcher(Protocol):
    """Looks for one kind of happening. It only reports; it may report the same happening again."""

    product: str

    @property
    def name(self) -> str:
        """The trigger name of its events."""

    def places(self) -> list[tuple[Path, bool]]:
        """Return the folders whose changes trigger a look, each with whether its subfolders count too."""

    def look(self, ledger: Ledger) -> Look:
        """Return the events since the last look."""

    def recorded(self, happened: list[Event]) -> None:
        """Take note that these events are in the ledger."""
