"""The receivers of a run's events: the progress display, the observers, and a callback before files are landed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from caudal.runtime.observer import RunObserver
from caudal.runtime.progress import NoProgress, Progress
from caudal.runtime.run_record import RunRecord

if TYPE_CHECKING:
    from caudal.declarations.node import Source
    from caudal.stages.ingest import Arrival

BeforeLanding = Callable[[RunRecord, "Source", "Sequence[Arrival]"], None]


@dataclass(frozen=True)
class RunReporting:
    """The receivers of a run's events.

    Parameters
    ----------
    progress : the display of the run
    observers : called at the beginning and end of the run and of its steps, and for slow steps
    before_landing : called with a source and its new files before they are landed; None where nothing needs it
    """

    progress: Progress = field(default_factory=NoProgress)
    observers: tuple[RunObserver, ...] = ()
    before_landing: BeforeLanding | None = None
