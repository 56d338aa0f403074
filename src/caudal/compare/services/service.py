"""What a service is: it takes files, does work that is submitted, says how that goes, and gives files back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WorkState:
    """How submitted work goes.

    Parameters
    ----------
    ended : whether it goes on no more
    why : why it was not done, as the service says it; None where it was done, or goes on
    total_s : how long it took in all, by the service's clock; None where the service does not say
    """

    ended: bool
    why: str | None = None
    total_s: float | None = None


class Service(ABC):
    """A service that does work. Files go by names within a folder of the comparison alone, which `clear` removes.

    Each method raises `EnvironmentProblem`, with the fix, where the service refuses or does not answer.

    Attributes
    ----------
    title : its name in sentences
    """

    title = ""

    @abstractmethod
    def send(self, file: Path, name: str) -> None:
        """Store a file of this machine."""

    @abstractmethod
    def fetch(self, name: str, file: Path) -> bool:
        """Bring a file here; return False where there is none of this name."""

    @abstractmethod
    def submit(self, title: str, parcel: str, home: str, started_at: float) -> str:
        """Let the work of a parcel be done, and return the number by which the service knows it.

        Parameters
        ----------
        title : for people
        parcel, home : the names of the parcel, and of the home that is to be sent back
        """

    def submitted_once(self, ask: Callable[[], str]) -> str:
        """Return the number of work that is submitted with a token of its own; where that is interrupted, it is cancelled.

        Parameters
        ----------
        ask : submits it, and returns its number; asked again, it returns the same one
        """
        try:
            return ask()
        except KeyboardInterrupt:  # it may have been submitted, and the answer been lost
            self.cancel(ask())
            raise

    @abstractmethod
    def state(self, run: str) -> WorkState:
        """Return how submitted work goes."""

    @abstractmethod
    def cancel(self, run: str) -> None:
        """Stop submitted work."""

    @abstractmethod
    def fetch_event_log(self, run: str, folder: Path, *, wait: bool) -> None:
        """Bring the event log of work that has ended into a folder, as one log; nothing where the service has none.

        Parameters
        ----------
        wait : whether one is sure to come, and is to be waited for
        """

    @abstractmethod
    def clear(self) -> None:
        """Remove what was stored."""
