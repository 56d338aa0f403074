"""``limit``: a metric of the chosen candidate is within a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caudal.stages.gates.evidence import Evidence, GateResult, JudgingGate, text_beside
from caudal.stages.metrics.scores import better


@dataclass(frozen=True)
class Limit(JudgingGate):
    """A metric of the chosen candidate is at most ``limit``; at least ``limit`` for metrics where higher is better."""

    metric: str
    limit: float
    kind: ClassVar[str] = "limit"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the metric that is limited."""
        return (self.metric,)

    def judge(self, evidence: Evidence) -> GateResult:
        """Return whether the mean over the folds is within the limit."""
        value = evidence.chosen.metrics.get(self.metric)
        lower = better(self.metric) == "lower"
        name = f"limit({self.metric})"
        figures = {"metric": self.metric, "score": value, "limit": self.limit}
        if value is None:
            return GateResult(name, False, figures, f"{evidence.chosen.name} has no {self.metric} on these folds.")
        passed = value <= self.limit if lower else value >= self.limit
        return GateResult(
            name,
            passed,
            figures,
            f"{evidence.chosen.name} has {self.metric} {text_beside(value, self.limit)}; {'at most' if lower else 'at least'} {self.limit:.12g} required.",
        )


def limit(metric: str, limit: float) -> Limit:
    """Return a gate that passes where a metric of the chosen candidate is at most ``limit`` (at least, where higher is better)."""
    return Limit(metric, limit)
