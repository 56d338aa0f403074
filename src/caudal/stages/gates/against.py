"""Compare the chosen candidate with another candidate, for several gates."""

from __future__ import annotations

from caudal.stages.gates.evidence import Evidence, GateResult, gain_words, percent
from caudal.stages.metrics.scores import gain


def against(gate: str, reference_name: str, margin: float, evidence: Evidence) -> GateResult:
    """Return the result of a gate: whether the chosen candidate is better than the reference by at least ``margin``, a share of the reference's score."""
    metric, chosen, reference = evidence.model.metric, evidence.chosen, evidence.evaluated[reference_name].result
    if reference.score is None or chosen.score is None:
        return GateResult(gate, False, {"metric": metric}, f"{reference_name} gave no score to compare with: {reference.error}.")
    gained = gain(metric, chosen.score, reference.score)
    passed = gained > 0 if margin == 0 else gained >= margin
    figures = {"metric": metric, "score": chosen.score, "reference": reference.score, "gain": gained, "margin": margin}
    margin_text = f", {percent(margin)} required" if margin else ""
    return GateResult(
        gate, passed, figures,
        f"{chosen.name} {chosen.score:.4g} against {reference_name} {reference.score:.4g} {metric}: {gain_words(gained, margin)}{margin_text}.",
    )  # fmt: skip
