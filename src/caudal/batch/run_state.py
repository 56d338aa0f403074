"""How far the steps of a run are: written by what performs them, read by the Luigi tasks that order them."""

from __future__ import annotations

from dataclasses import dataclass, field

from caudal.batch.step import StepResult
from caudal.errors import CaudalError, Stopped


@dataclass
class RunState:
    """The steps of a run that have ended, by name.

    Parameters
    ----------
    completed : results of steps that succeeded or had nothing to do
    failed : errors of steps that failed
    waiting : results of steps that wait for something from outside, or for a step that does
    stopped : the request to stop, where the run was asked to
    """

    completed: dict[str, StepResult] = field(default_factory=dict)
    failed: dict[str, CaudalError] = field(default_factory=dict)
    waiting: dict[str, StepResult] = field(default_factory=dict)
    stopped: Stopped | None = None

    @property
    def error(self) -> CaudalError | None:
        """The first failure, or that the run was asked to stop."""
        return next(iter(self.failed.values()), self.stopped)

    def has_ended(self, step: str) -> bool:
        """Return whether a step completed, failed or waits."""
        return step in self.completed or step in self.failed or step in self.waiting
