"""A step of a run: its name, the steps that it needs, and its work. ``batch/tasks.py`` makes Luigi tasks of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from caudal.ledger.rows import ExpectationDocument, LineageDocument, ProfileDocument, StepDetail, StepRow

if TYPE_CHECKING:
    from caudal.runtime.workspace import Workspace

State = Literal["succeeded", "skipped", "failed", "waiting"]


@dataclass(frozen=True)
class StepResult:
    """The result of a step that succeeded, was skipped or has to wait."""

    state: State = "succeeded"
    fingerprint: str | None = None
    inputs: Mapping[str, int] = field(default_factory=dict)
    output_version: int | None = None
    rows_read: int | None = None
    rows_written: int | None = None
    rows_quarantined: int | None = None
    partitions: list[str] | None = None
    detail: StepDetail = field(default_factory=StepDetail)
    checks: tuple[ExpectationDocument, ...] = ()
    profile: ProfileDocument | None = None
    lineage: LineageDocument | None = None

    @property
    def why(self) -> str | None:
        """Why a step was skipped or waits."""
        return self.detail.get("why")


@dataclass(frozen=True)
class Step:
    """One unit of work of a run.

    Parameters
    ----------
    name : str, ``kind:subject``
    subject : str, the source, table, model or prediction that it works on
    needs : names of the steps that must have succeeded before
    after : names of steps that come first if they run at all, but may fail
    behind : the user's Luigi tasks that must be complete before, or functions that return them
    work : does the step's work, or returns that there is nothing to do
    """

    name: str
    kind: str
    subject: str
    needs: tuple[str, ...]
    work: Callable[[Workspace], StepResult]
    after: tuple[str, ...] = ()
    behind: tuple[Any, ...] = ()


def waits(why: str) -> StepResult:
    """Return the result of a step that must wait for something from outside, which is no failure; the steps that need it wait too."""
    return StepResult(state="waiting", detail={"why": why})


def skipped(
    why: str, *, fingerprint: str | None = None, inputs: Mapping[str, int] | None = None, output_version: int | None = None
) -> StepResult:
    """Return the result of a step that had nothing to do, with the reason."""
    return StepResult("skipped", fingerprint, inputs or {}, output_version, detail={"why": why})


def up_to_date(last_row: StepRow | None, fingerprint: str, inputs: Mapping[str, int], version: int | None) -> StepResult | None:
    """Return the result of a step whose last success has the same fingerprint and gave the version that is published; None for any other.

    Parameters
    ----------
    last_row : the step's last success in the ledger, None where there is none
    version : the published version
    """
    if last_row is None or last_row["fingerprint"] != fingerprint or last_row["output_version"] != version:
        return None
    return skipped("up to date", fingerprint=fingerprint, inputs=inputs, output_version=version)
