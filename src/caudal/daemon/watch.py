"""What every watcher is: something that can be looked at for events, as often as one likes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from caudal.daemon.events import Event
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import ScheduleRow


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
