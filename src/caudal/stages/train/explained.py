"""The effects of the inputs of the chosen candidate, on test rows that it was not fitted to."""

from __future__ import annotations

from caudal.declarations.model import Model
from caudal.stages.explain.effects import InputEffect, effects
from caudal.stages.metrics.scores import better, scores
from caudal.stages.train.evaluate import Evaluation
from caudal.stages.train.rows import LabelledRows
from caudal.stages.train.split import Fold


def effects_of_inputs(model: Model, rows: LabelledRows, fold: Fold, evaluation: Evaluation) -> tuple[InputEffect, ...]:
    """Return the effects of the inputs on the test rows of the newest fold, as the candidate predicts that was fitted to that fold's training rows.

    A candidate that fails with made-up rows has no effects: they are told of it, not asked of it.
    """
    fitted = evaluation.fitted
    if fitted is None:
        return ()
    try:
        return effects(
            fitted.predict,
            lambda label, predicted: scores(model.task, label, predicted, rows.classes)[model.metric],
            rows.frame.iloc[fold.test],
            rows.y.iloc[fold.test],
            [input_["name"] for input_ in rows.inputs],
            lower=better(model.metric) == "lower",
            classes=rows.classes,
            seed=model.seed,
        )
    # A candidate is the user's code, and may raise anything.
    except Exception:  # noqa: BLE001
        return ()
