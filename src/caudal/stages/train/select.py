"""Choose the best candidate, and state the reason in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from caudal.declarations.model import Model
from caudal.errors import StepFailed
from caudal.stages.metrics.scores import better
from caudal.stages.train.evaluate import EvaluatedCandidate, Evaluation


def select(model: Model, evaluated: Mapping[str, Evaluation]) -> tuple[EvaluatedCandidate, str]:
    """Return the candidate with the best mean score, and the rule as a sentence with its figures.

    The baseline is never chosen. Of candidates with equal means the one declared first is chosen: by seconds, the choice would differ in each
    run.

    Raises
    ------
    StepFailed : every candidate failed; their errors are quoted
    """
    eligible = [
        evaluation.result
        for evaluation in evaluated.values()
        if not evaluation.result.baseline and evaluation.result.score is not None
    ]
    failed = [evaluation.result for evaluation in evaluated.values() if evaluation.result.error]
    if not eligible:
        quoted = "; ".join(f"{result.name}: {result.error}" for result in failed)
        raise StepFailed(
            f"Every candidate of model '{model.name}' failed. {quoted}",
            fix="Correct one of them.",
            where=str(model.where or ""),
            failed=len(failed),
        )
    sign = 1 if better(model.metric) == "lower" else -1
    ranked = sorted(eligible, key=lambda result: sign * (result.score or 0.0))  # stable: ties keep the order of declaration
    best = ranked[0]
    folds = len(best.folds)
    rule = f"Best mean {model.metric} over {folds} fold{'' if folds == 1 else 's'} ({better(model.metric)} is better): {_score_text(best)}"
    if len(ranked) > 1:
        rule += f", before {_score_text(ranked[1])}"
    if failed:
        rule += f"; failed: {', '.join(result.name for result in failed)}"
    return best, rule + "."


def _score_text(result: EvaluatedCandidate) -> str:
    return f"{result.name} {result.score:.4g} ± {result.spread:.2g}"
