"""``beats_baseline``: the chosen candidate is better than the naive baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caudal.declarations.model import BASELINE
from caudal.stages.gates.against import against
from caudal.stages.gates.evidence import Evidence, GateResult, JudgingGate


@dataclass(frozen=True)
class BeatsBaseline(JudgingGate):
    """The chosen candidate's mean score is better than the naive baseline's by at least ``margin`` (a share)."""

    margin: float = 0.0
    kind: ClassVar[str] = "beats_baseline"

    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether the chosen candidate is better, by the mean score over the folds."""
        return against(self.kind, BASELINE, self.margin, evidence)


def beats_baseline(margin: float = 0.0) -> BeatsBaseline:
    """Return a gate that passes where the chosen candidate beats the naive baseline by at least ``margin`` (a share)."""
    return BeatsBaseline(margin)
