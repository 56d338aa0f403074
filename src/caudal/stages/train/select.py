"""Choose a candidate by the declared rule, and state the reason in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caudal.declarations.model import Model
from caudal.errors import StepFailed
from caudal.stages.metrics.scores import better
from caudal.stages.select.best_mean import BestMean
from caudal.stages.select.rule import CandidateScores, ComparedCandidates, SelectionRule
from caudal.stages.train.evaluate import EvaluatedCandidate, Evaluation


def select(model: Model, evaluated: Mapping[str, Evaluation]) -> tuple[EvaluatedCandidate, str]:
    """Return the candidate that the declared rule chooses, and the rule as a sentence with its figures.

    The baseline is never chosen. Of candidates that are equal by the rule the one declared first is chosen: by seconds, the choice would differ in
    each run.

    Raises
    ------
    StepFailed : every candidate failed; their errors are quoted
    """
    eligible = eligible_results(evaluated)
    failed = [evaluation.result for evaluation in evaluated.values() if evaluation.result.error]
    if not eligible:
        quoted = "; ".join(f"{result.name}: {result.error}" for result in failed)
        raise StepFailed(
            f"Every candidate of model '{model.name}' failed. {quoted}",
            fix="Correct one of them, or declare another metric or longer test stretches where the rows are what it fails of.",
            where=str(model.where or ""),
            failed=len(failed),
        )
    compared = comparison(model, eligible)
    ranked = rule_of(model).rank(compared)
    rule = rule_of(model).reason(compared, ranked)
    if failed:
        rule += f"; failed: {', '.join(result.name for result in failed)}"
    return evaluated[ranked[0]].result, rule + "."


def eligible_results(evaluated: Mapping[str, Evaluation]) -> list[EvaluatedCandidate]:
    """Return the results that can be chosen, in the order of declaration: neither the baseline nor a candidate that failed."""
    results = (evaluation.result for evaluation in evaluated.values())
    return [result for result in results if not result.baseline and result.score is not None]


def comparison(model: Model, results: Sequence[EvaluatedCandidate]) -> ComparedCandidates:
    """Return the scores of some candidates by which rules choose."""
    candidates = [
        CandidateScores(result.name, tuple(fold[model.metric] for fold in result.folds), result.size) for result in results
    ]
    return ComparedCandidates(model.metric, better(model.metric) == "lower", tuple(candidates))


def rule_of(model: Model) -> SelectionRule:
    """Return the declared rule; the best mean where none is declared."""
    return model.select if isinstance(model.select, SelectionRule) else BestMean()
