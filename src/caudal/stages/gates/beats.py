"""``beats``: the chosen candidate is better than a named one."""

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
        """Return the candidate that the chosen one has to beat."""
        return (self.candidate,)

    @property
    def aim(self) -> str:
        """Return the requirement as it continues a sentence about the model."""
        return f"is to beat the candidate '{self.candidate}'"

    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether the chosen candidate is better, by the mean score over the folds."""
        return against(f"beats({self.candidate})", self.candidate, self.margin, evidence)


def beats(candidate: str, margin: float = 0.0) -> Beats:
    """Return a gate that passes where the chosen candidate beats a named candidate by at least ``margin`` (a share)."""
    return Beats(candidate, margin)
