"""Evaluate every candidate on every fold: mean, spread and seconds; a candidate that raises gets its error as result."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caudal.declarations.model import BASELINE, Model
from caudal.stages.metrics.scores import METRICS, scores
from caudal.stages.train.candidates import Candidate
from caudal.stages.train.rows import LabelledRows
from caudal.stages.train.split import Fold, iso_timestamp

if TYPE_CHECKING:
    import pandas as pd

Report = Callable[[str], None]


@dataclass(frozen=True)
class EvaluatedCandidate:
    """The result of a candidate.

    Parameters
    ----------
    score, spread : mean and standard deviation of the model's metric over the folds; None where it failed
    folds : per fold every metric, with ``from`` and ``until`` of its test stretch, ``train_rows``, ``test_rows``, ``seconds``
    seconds : time to fit and predict all folds
    error : the error that it raised; it is then not chosen
    warnings : the warnings while it was fitted, each once
    """

    name: str
    baseline: bool
    score: float | None
    spread: float | None
    folds: tuple[Mapping[str, Any], ...]
    seconds: float
    parameters: Mapping[str, object]
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    error: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """A result with the predictions for each fold's test rows."""

    result: EvaluatedCandidate
    predictions: tuple[pd.DataFrame, ...] = ()


def evaluate(
    model: Model, rows: LabelledRows, folds_: Sequence[Fold], candidates: Mapping[str, Candidate], report: Report
) -> dict[str, Evaluation]:
    """Return each candidate's evaluation, by name, in the order of declaration."""
    return {name: _evaluate_candidate(model, rows, folds_, name, candidate, report) for name, candidate in candidates.items()}


def _evaluate_candidate(
    model: Model, rows: LabelledRows, folds_: Sequence[Fold], name: str, candidate: Candidate, report: Report
) -> Evaluation:
    fold_figures: list[Mapping[str, Any]] = []
    predictions: list[pd.DataFrame] = []
    error: str | None = None
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number, fold in enumerate(folds_, start=1):
            try:
                figures, prediction = _evaluate_fold(model, rows, fold, candidate)
            # A candidate is the user's code: an error of any kind is its result, and the other candidates are still evaluated.
            except Exception as raised:  # noqa: BLE001
                error = f"fold {number} of {len(folds_)}: {_one_line(raised)}"
                report(f"{name} failed in {error}")
                break
            fold_figures.append(figures)
            predictions.append(prediction)
            report(
                f"{name}, fold {number} of {len(folds_)}: {model.metric} {figures[model.metric]:.4g} ({figures['seconds']:.1f} s)"
            )
    seconds = time.perf_counter() - started
    remarks = tuple(
        dict.fromkeys(
            _warning_text(warning) for warning in caught if not issubclass(warning.category, DeprecationWarning | FutureWarning)
        )
    )
    means = {metric: _mean([figures_[metric] for figures_ in fold_figures]) for metric in METRICS[model.task]} if not error else {}
    spread = (
        statistics.stdev([figures_[model.metric] for figures_ in fold_figures])
        if not error and len(fold_figures) > 1
        else (None if error else 0.0)
    )
    result = EvaluatedCandidate(
        name,
        name == BASELINE,
        means.get(model.metric),
        spread,
        tuple(fold_figures),
        seconds,
        candidate.parameters(),
        means,
        error,
        remarks[:10],
    )
    return Evaluation(result, tuple(predictions) if not error else ())


def _evaluate_fold(model: Model, rows: LabelledRows, fold: Fold, candidate: Candidate) -> tuple[dict[str, Any], pd.DataFrame]:
    started = time.perf_counter()
    fitted = candidate.fit(rows.frame.iloc[fold.train], rows.y.iloc[fold.train])
    prediction = fitted.predict(rows.frame.iloc[fold.test])
    seconds = time.perf_counter() - started
    figures = scores(model.task, rows.y.iloc[fold.test], prediction, rows.classes)
    if figures[model.metric] is None:
        raise ValueError(
            f"{model.metric} has no value: {int(prediction.isna().any(axis=1).sum()):,} of {len(prediction):,} predictions are not numbers, or the candidate "
            "gives no probabilities, or its test rows are all of one class."
        )
    test_stretch = {
        "from": iso_timestamp(rows.as_of.iloc[fold.test[0]]), "until": iso_timestamp(fold.until),
        "train_rows": len(fold.train), "test_rows": len(fold.test), "seconds": seconds,
    }  # fmt: skip
    return {**figures, **test_stretch}, prediction


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.fmean(present) if present and len(present) == len(values) else None


def _warning_text(caught: warnings.WarningMessage) -> str:
    return f"{caught.category.__name__}: {(str(caught.message).splitlines() or [''])[0]}"


def _one_line(raised: Exception) -> str:
    lines = [line.strip() for line in str(raised).splitlines() if line.strip()]
    return f"{type(raised).__name__}: {lines[0] if lines else 'no message'}"[:500]
