"""Metrics of predictions, and which direction of each is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caudal import kinds
from caudal.declarations.metrics import METRICS, Better
from caudal.declarations.model import Model, Task
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.metrics.judged import Judged

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "Better", "Scores", "better", "error_metric", "gain", "require_metric", "scores"]

Scores = dict[str, float | None]


def better(metric: str) -> Better:
    """Return whether lower or higher values of a metric are better.

    Examples
    --------
    >>> better("mae"), better("roc_auc")
    ('lower', 'higher')
    """
    direction: Better = kinds.METRICS[metric].better
    return direction


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


def require_metric(model: Model, metric: str) -> str:
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
    predicted : DataFrame, ``prediction`` and ``probability_<class>``, in the same order
    """
    judged = Judged(actual, predicted, classes or ())
    figures = {name: kinds.METRICS[name].score(judged) for name in METRICS[task]}
    return {name: float(value) if value is not None and math.isfinite(value) else None for name, value in figures.items()}
