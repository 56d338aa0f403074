"""What gates share that compare the chosen candidate with another one."""

from __future__ import annotations

from caudal.stages.gates.evidence import Evidence, GateResult, share
from caudal.stages.metrics.scores import gain


def against(said: str, other: str, margin: float, evidence: Evidence) -> GateResult:
    """Return whether the chosen candidate is better than another one by a share of its score."""
    metric, mine, theirs = evidence.model.metric, evidence.chosen, evidence.evaluated[other].result
    if theirs.score is None or mine.score is None:
        return GateResult(said, False, {"metric": metric}, f"{other} gave no score to compare with: {theirs.error}.")
    gained = gain(metric, mine.score, theirs.score)
    passed = gained > 0 if margin == 0 else gained >= margin
    figures = {"metric": metric, "score": mine.score, "reference": theirs.score, "gain": gained, "margin": margin}
    asked = f", {margin:.1%} asked" if margin else ""
    return GateResult(
        said, passed, figures,
        f"{mine.name} {mine.score:.4g} against {other} {theirs.score:.4g} {metric}: {share(gained)}{asked}.",
    )  # fmt: skip
