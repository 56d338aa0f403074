"""What a fault is: something that is broken on purpose while work is done, and mended afterwards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caudal.compare.attempt import Attempt
    from caudal.compare.platform import Platform, RunningPlatform, Workload

Note = Callable[[str, str], None]
"""Takes a kind of event and a sentence, for the time line."""


@dataclass(frozen=True)
class BrokenWork:
    """Work at the moment when the fault strikes.

    Parameters
    ----------
    note : adds a sentence to the time line
    """

    attempt: Attempt
    platform: RunningPlatform
    home: Path
    note: Note


class Fault:
    """A kind of fault; its subclasses say more of what they need than these answers.

    Attributes
    ----------
    name : its word after ``--fault``
    about : what it is, for people
    strikes : whether it strikes in the middle of the work; else it holds from the beginning
    """

    name = ""
    about = ""
    strikes = True

    def refuses(self, platform: Platform, workload: Workload) -> str | None:  # noqa: ARG002
        """Return why the fault cannot happen there, or None."""
        return None

    def spark(self, platform: Platform) -> Mapping[str, str]:  # noqa: ARG002
        """Return further settings of Spark for the broken work."""
        return {}

    def environment(self) -> Mapping[str, str]:
        """Return the variables of the commands that are given after the fault."""
        return {}

    @contextmanager
    def prepared(self, home: Path) -> Iterator[None]:  # noqa: ARG002
        """Prepare the home of the broken work, which does not exist yet, and clear up afterwards."""
        yield

    @abstractmethod
    def strike(self, work: BrokenWork) -> None:
        """Break it."""

    def mend(self, work: BrokenWork) -> None:
        """Mend what was broken, before the command is started again."""
