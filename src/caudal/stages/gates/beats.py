"""The gate: better than a named candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caudal.stages.gates.against import against
from caudal.stages.gates.evidence import Evidence, GateResult, JudgingGate


@dataclass(frozen=True)
class Beats(JudgingGate):
    """The chosen candidate beats a named candidate by at least ``margin`` (a share)."""

    candidate: str
    margin: float = 0.0
    kind: ClassVar[str] = "beats"

    @property
    def candidates(self) -> tuple[str, ...]:
        """The candidate that is to be beaten."""
        return (self.candidate,)

    @property
    def aim(self) -> str:
        """What the model is to do."""
        return f"is to beat the candidate '{self.candidate}'"

    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether it is, by the mean score over the folds."""
        return against(f"beats({self.candidate})", self.candidate, self.margin, evidence)


def beats(candidate: str, margin: float = 0.0) -> Beats:
    """Return the gate: better than a named candidate."""
    return Beats(candidate, margin)
