"""The gate: the score differs little from fold to fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caudal.stages.gates.evidence import Evidence, GateResult, JudgingGate


@dataclass(frozen=True)
class Steady(JudgingGate):
    """The standard deviation of the chosen candidate's score over the folds is at most ``spread``."""

    spread: float
    kind: ClassVar[str] = "steady"

    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether it is."""
        found = evidence.chosen.spread or 0.0
        return GateResult(
            self.kind, found <= self.spread, {"spread": found}, f"The score differs by {found:.3g} from fold to fold."
        )


def steady(spread: float) -> Steady:
    """Return a gate that passes where the score differs by at most ``spread`` from fold to fold."""
    return Steady(spread)
