"""A step: a name, what it needs, and the work. Pure data, made into a Luigi task by ``batch/execute.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from caudal.runtime.workspace import Workspace

State = Literal["succeeded", "skipped", "failed", "waiting"]


@dataclass(frozen=True)
class StepResult:
    """What a step says when it has ended well, or has to wait."""

    state: State = "succeeded"
    fingerprint: str | None = None
    inputs: Mapping[str, int] = field(default_factory=dict)
    output_version: int | None = None
    rows_read: int | None = None
    rows_written: int | None = None
    rows_quarantined: int | None = None
    partitions: list[str] | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()
    profile: Mapping[str, Any] | None = None
    lineage: Mapping[str, Any] | None = None  # which input columns each column is made of

    @property
    def why(self) -> str | None:
        """Why a step was skipped or waits."""
        return self.detail.get("why")


@dataclass(frozen=True)
class Step:
    """One piece of work of a run.

    Parameters
    ----------
    name : str, ``kind:subject``
    subject : str, the source, table, model or prediction that it is about
    needs : names of the steps that must have succeeded before
    after : names of steps that come first if they run at all, but may fail
    behind : Luigi tasks of the user's own that must be complete before, or functions that return them
    work : does it, or finds that nothing is to be done
    """

    name: str
    kind: str
    subject: str
    needs: tuple[str, ...]
    work: Callable[[Workspace], StepResult]
    after: tuple[str, ...] = ()
    behind: tuple[Any, ...] = ()


def waits(why: str) -> StepResult:
    """Return that the work must wait for something from outside, which is no fault; what comes after waits too."""
    return StepResult(state="waiting", detail={"why": why})


def skipped(why: str, **more: Any) -> StepResult:
    """Return that nothing was to be done, and why."""
    return StepResult(state="skipped", detail={"why": why}, **more)
