"""Which candidate is chosen, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Mapping

from caudal.declarations.model import Model
from caudal.errors import StepFailed
from caudal.stages.metrics.scores import better
from caudal.stages.train.evaluate import Evaluation, Result


def select(model: Model, evaluated: Mapping[str, Evaluation]) -> tuple[Result, str]:
    """Return the candidate with the best mean score, and the rule as a sentence with its figures.

    The baseline is never chosen. Of equal means the candidate declared first is chosen: seconds would choose differently in each
    run.

    Raises
    ------
    StepFailed : every candidate failed; their errors are quoted
    """
    able = [one.result for one in evaluated.values() if not one.result.baseline and one.result.score is not None]
    failed = [one.result for one in evaluated.values() if one.result.error]
    if not able:
        quoted = "; ".join(f"{one.name}: {one.error}" for one in failed)
        raise StepFailed(
            f"Every candidate of model '{model.name}' failed. {quoted}",
            fix="Mend one of them.",
            where=str(model.where or ""),
            failed=len(failed),
        )
    sign = 1 if better(model.metric) == "lower" else -1
    ranked = sorted(able, key=lambda one: sign * (one.score or 0.0))  # stable: ties keep the order of declaration
    best = ranked[0]
    folds = len(best.folds)
    said = (
        f"Best mean {model.metric} over {folds} fold{'' if folds == 1 else 's'} ({better(model.metric)} is better): {_said(best)}"
    )
    if len(ranked) > 1:
        said += f", before {_said(ranked[1])}"
    if failed:
        said += f"; failed: {', '.join(one.name for one in failed)}"
    return best, said + "."


def _said(one: Result) -> str:
    return f"{one.name} {one.score:.4g} ± {one.spread:.2g}"
