"""What gates share that compare the chosen candidate with another one."""

from __future__ import annotations

from caudal.stages.gates.evidence import Evidence, GateResult, share
from caudal.stages.metrics.scores import gain


def against(gate: str, other: str, margin: float, evidence: Evidence) -> GateResult:
    """Return whether the chosen candidate is better than another one by a share of its score."""
    metric, chosen, reference = evidence.model.metric, evidence.chosen, evidence.evaluated[other].result
    if reference.score is None or chosen.score is None:
        return GateResult(gate, False, {"metric": metric}, f"{other} gave no score to compare with: {reference.error}.")
    gained = gain(metric, chosen.score, reference.score)
    passed = gained > 0 if margin == 0 else gained >= margin
    figures = {"metric": metric, "score": chosen.score, "reference": reference.score, "gain": gained, "margin": margin}
    margin_text = f", {margin:.1%} asked" if margin else ""
    return GateResult(
        gate, passed, figures,
        f"{chosen.name} {chosen.score:.4g} against {other} {reference.score:.4g} {metric}: {share(gained)}{margin_text}.",
    )  # fmt: skip
