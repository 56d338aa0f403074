"""What a platform is: a place where a product's work is done, as it is written after ``--on``."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from caudal.compare.attempt import Attempt, WorkOrder
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram

Workload = Literal["run", "stream"]
SPARK_MEASURES = "Spark's measures of jobs and stages: what computes here is not Spark"
"""What a platform without an event log lacks."""


@dataclass(frozen=True)
class PlatformKind:
    """A kind of platform.

    Parameters
    ----------
    name : its word in documents
    form : how it is written, for people, such as ``local[N]``
    about : what it is, for people, in a few words
    read : returns the platform that a text names; None where the text has another form
    """

    name: str
    form: str
    about: str
    read: Callable[[str], Platform | None]


@dataclass(frozen=True)
class Platform:
    """A place where work is done.

    Parameters
    ----------
    text : as it was written
    title : its name in sentences
    workloads : what it can do
    cores : those that compute; None where they are not known before
    lacks : the measures that it does not have, each with the reason
    """

    text: str
    title: str
    workloads: frozenset[Workload]
    cores: int | None = None
    lacks: tuple[str, ...] = ()

    kind = ""
    engine = "spark"
    """The engine of runs there (`Settings.engine`)."""
    executor = "spark"
    """The executor of streams there (``caudal stream --on``)."""
    writes_event_log = True
    """Whether Spark computes in a process that this machine starts, so that its event log is here."""
    is_cluster = False
    """Whether executors are processes apart from the driver's."""
    is_service = False
    """Whether a service does the work, whose machines can be neither watched nor broken from here."""
    awaits = ""
    """What a person does until its results are there, in a sentence; empty where caudal does the work itself."""

    @contextmanager
    def started(self, folder: Path, settings: Settings) -> Iterator[RunningPlatform]:  # noqa: ARG002
        """Start what caudal has to start, and yield the platform as it runs.

        Parameters
        ----------
        folder : for logs and files of what is started
        settings : those of the user; memory and Spark's settings hold on each platform

        Raises
        ------
        EnvironmentProblem : it cannot be started or reached
        """
        yield RunningPlatform(self, self.changes())

    def changes(self) -> Mapping[str, object]:
        """Return the settings that make the work run here."""
        return {"engine": self.engine, "master": None, "cores": None}

    @abstractmethod
    def diagram(self, settings: Settings) -> Diagram:
        """Return its parts as they are declared; executors that are found while it works are added."""


@dataclass
class RunningPlatform:
    """A platform that runs.

    Parameters
    ----------
    changes : the settings that differ from the user's
    processes : returns the processes beside that of the work whose time and memory are measured, by their numbers
    workers : the numbers of the workers that can be killed and started again
    cut_network, join_network : cut the link of a worker's host, and mend it; None where workers have no hosts of their own
    attempt : returns the work that is to be begun, with its folder and its home, where it is no process of this machine
    """

    platform: Platform
    changes: Mapping[str, object]
    processes: Callable[[], list[int]] = field(default=list)
    workers: tuple[int, ...] = ()
    kill_worker: Callable[[int], None] | None = None
    start_worker: Callable[[int], None] | None = None
    cut_network: Callable[[int], None] | None = None
    join_network: Callable[[int], None] | None = None
    attempt: Callable[[WorkOrder, Path, Path], Attempt] | None = None


def by_form(pattern: str, make: Callable[[re.Match[str], str], Platform | None]) -> Callable[[str], Platform | None]:
    """Return a function that makes a platform of a text that has a form, and None of others."""
    compiled = re.compile(pattern)

    def read(text: str) -> Platform | None:
        match = compiled.fullmatch(text)
        return None if match is None else make(match, text)

    return read
