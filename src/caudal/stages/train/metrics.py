"""Metrics of predictions, and which direction of each is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caudal.declarations.metrics import METRICS, Better
from caudal.declarations.model import Model, Task
from caudal.declarations.signature import PREDICTION
from caudal.errors import DeclarationProblem, nearest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["METRICS", "Better", "Scores", "better", "error_metric", "gain", "known_metric", "scores"]

Scores = dict[str, float | None]

MIN_PROBABILITY = 1e-15  # keeps the logarithm finite, as scikit-learn does for float64


def better(metric: str) -> Better:
    """Return whether lower or higher values of a metric are better.

    Examples
    --------
    >>> better("mae"), better("roc_auc")
    ('lower', 'higher')
    """
    return next(known[metric] for known in METRICS.values() if metric in known)


def gain(metric: str, score: float, reference: float) -> float:
    """Return how much better a score is than a reference, as a share of the reference; negative where it is worse.

    Examples
    --------
    >>> gain("mae", 9.0, 10.0), gain("accuracy", 0.9, 0.6)
    (0.1, 0.5)
    """
    difference = reference - score if better(metric) == "lower" else score - reference
    if difference == 0:
        return 0.0
    return round(difference / abs(reference), 12) if reference else math.copysign(math.inf, difference)


def error_metric(metric: str, task: Task) -> str:
    """Return the metric itself where it is an error, else the task's error metric, because only ratios of errors are meaningful."""
    return metric if better(metric) == "lower" else ("mae" if task == "regression" else "error_rate")


def known_metric(model: Model, metric: str) -> str:
    """Return the metric after checking that the model's task has it.

    Raises
    ------
    DeclarationProblem : there is no such metric for the task
    """
    metrics = METRICS[model.task]
    if metric not in metrics:
        raise DeclarationProblem(
            f"Model '{model.name}' asks for the metric '{metric}', which {model.task} does not have.",
            nearest=nearest(metric, metrics), fix=f"Use one of {', '.join(metrics)}.", where=str(model.where or ""), metric=metric,
        )  # fmt: skip
    return metric


def scores(task: Task, actual: pd.Series, predicted: pd.DataFrame, classes: Sequence[str] | None) -> Scores:
    """Return every metric of the task; None where it has no value, such as the area under a curve of one class.

    Parameters
    ----------
    actual : Series, the labels
    said : DataFrame, ``prediction`` and ``probability_<class>``, in the same order
    """
    import numpy as np

    figures = _classification(actual, predicted, classes or ()) if task == "classification" else _regression(
        actual.to_numpy("float64"), np.asarray(predicted[PREDICTION], "float64")
    )  # fmt: skip
    return {name: float(value) if value is not None and math.isfinite(value) else None for name, value in figures.items()}


def _regression(actual: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> Scores:
    import numpy as np

    error = np.abs(predicted - actual)
    nonzero = actual != 0  # the share of zero has no value: such rows are left out
    scatter = float(np.square(actual - actual.mean()).sum())
    return {
        "mae": float(error.mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "mape": float((error[nonzero] / np.abs(actual[nonzero])).mean()) if nonzero.any() else None,
        "r2": 1 - float(np.square(error).sum()) / scatter if scatter else None,
    }


def _classification(actual: pd.Series, predicted: pd.DataFrame, classes: Sequence[str]) -> Scores:
    import numpy as np
    from sklearn.metrics import f1_score, roc_auc_score

    truth, guess = actual.to_numpy(object), predicted[PREDICTION].to_numpy(object)
    hit = float((truth == guess).mean())
    binary = len(classes) == 2
    # The class that sorts last counts as the positive one: 1 after 0, true after false, yes after no.
    f1 = f1_score(truth == classes[-1], guess == classes[-1], zero_division=0) if binary else f1_score(
        truth, guess, average="macro", zero_division=0
    )  # fmt: skip
    figures: Scores = {"accuracy": hit, "error_rate": 1 - hit, "f1": float(f1), "log_loss": None, "roc_auc": None}
    columns = [f"probability_{name}" for name in classes]
    if any(name in predicted for name in columns):
        # A class that a fold's training rows did not contain has no column: its probability was zero.
        share = np.clip(predicted.reindex(columns=columns, fill_value=0.0).to_numpy("float64"), MIN_PROBABILITY, 1.0)
        share /= share.sum(axis=1, keepdims=True)
        places = np.searchsorted(np.asarray(classes, object), truth)
        figures["log_loss"] = float(-np.log(share[np.arange(len(truth)), places]).mean())
        if len(set(truth)) == len(classes):
            figures["roc_auc"] = float(
                roc_auc_score(truth == classes[-1], share[:, -1])
                if binary
                else roc_auc_score(truth, share, multi_class="ovr", labels=list(classes))
            )
    return figures
