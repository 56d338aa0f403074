"""``trial``: the version is tried in production first, beside the one that answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from caudal.declarations.model import Task
from caudal.declarations.trial import ROW, TrialLimits
from caudal.stages.gates.evidence import Evidence, GateResult, JudgingGate


@dataclass(frozen=True)
class TrialGate(JudgingGate):
    """Where a version is in production, the new one is tried beside it, and promoted by what servers have seen.

    Training cannot judge that: the gate's result then names the limits. The run begins the trial, and later runs judge it.
    """

    limits: TrialLimits = field(default_factory=TrialLimits)
    kind: ClassVar[str] = "trial"

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Return the tasks that the limits fit: differences are of numbers, agreement is of classes."""
        if self.limits.max_difference is not None:
            return ("regression",)
        return ("classification",) if self.limits.min_agreement is not None else super().tasks

    @property
    def aim(self) -> str:
        """Return the requirement as it continues a sentence about the model."""
        return "is tried by " + ("max_difference" if self.limits.max_difference is not None else "min_agreement")

    def judge(self, evidence: Evidence) -> GateResult:  # noqa: ARG002  training has nothing to say
        """Return the limits that later runs judge by."""
        kind = "as a canary" if self.limits.share else "in shadow"
        return GateResult(
            self.kind, True, {"trial": self.limits.as_dict()}, f"To be tried {kind} beside the version in production, if there is one."
        )  # fmt: skip


def trial(
    *, min_rows: int = 1000, max_difference: float | None = None, min_agreement: float | None = None, max_error_rate: float | None = 0.0,
    max_slowdown: float | None = None, share: float = 0.0, by: str = ROW,
) -> TrialGate:  # fmt: skip
    """Return a gate that passes where the version has shown in a trial beside the one in production that it may replace it.

    Parameters
    ----------
    min_rows : rows that it has to predict from before anything is decided
    max_difference : the greatest mean absolute difference from the predictions of the version in production, in their unit; only in shadow
    min_agreement : the least share of rows with the same class as by the version in production; only in shadow
    max_error_rate : the greatest share of rows that it cannot predict from
    max_slowdown : its median time for a row as a multiple of that of the version in production, at most
    share : of the keys whose requests it answers meanwhile; in shadow where it is 0
    by : what the keys are: an input, ``row``, ``caller`` or ``header:NAME``

    Raises
    ------
    DeclarationProblem : a limit is none, or does not fit the kind of trial
    """
    return TrialGate(TrialLimits(min_rows, max_difference, min_agreement, max_error_rate, max_slowdown, share, by))
