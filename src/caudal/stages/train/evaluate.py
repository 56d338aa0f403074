"""Evaluate every candidate on every fold: mean, spread and seconds; a candidate that raises gets its error as result."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caudal import kinds
from caudal.declarations.model import BASELINE, Model, Task
from caudal.stages.metrics.scores import METRICS, scores
from caudal.stages.train.candidates import Candidate, FittedCandidate
from caudal.stages.train.fitted_size import fitted_size
from caudal.stages.train.parallel import evaluate_in_processes, is_portable, limited, plan_for, with_threads
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
    size : how many numbers its fitted form holds, on the newest fold; None where that cannot be counted
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
    size: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """A result with the predictions for each fold's test rows, and the candidate as it was fitted in the newest fold."""

    result: EvaluatedCandidate
    predictions: tuple[pd.DataFrame, ...] = ()
    fitted: FittedCandidate | None = None


@dataclass(frozen=True)
class FoldOutcome:
    """What came of a candidate in a fold: its figures and predictions, or its error."""

    seconds: float
    figures: Mapping[str, Any] = field(default_factory=dict)
    prediction: pd.DataFrame | None = None
    size: int | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    fitted: FittedCandidate | None = None  # of the newest fold alone


def evaluate(
    model: Model,
    rows: LabelledRows,
    folds_: Sequence[Fold],
    candidates: Mapping[str, Candidate],
    report: Report,
    jobs: int | None = None,
) -> dict[str, Evaluation]:
    """Return each candidate's evaluation, by name, in the order of declaration.

    Parameters
    ----------
    jobs : processes that fit at the same time; None fits in this process
    """
    asked = {"metric": model.metric, "task": model.task, "rows": rows, "folds_": folds_}
    portable = [name for name, candidate in candidates.items() if is_portable(candidate)]
    plan = plan_for(jobs, len(portable) * len(folds_), rows.frame, len(rows.inputs))
    limited_candidates = {name: with_threads(candidate, plan) for name, candidate in candidates.items()}
    outcomes: dict[tuple[str, int], FoldOutcome] = {}
    if plan.jobs > 1:
        tasks = [((name, number), limited_candidates[name]) for name in portable for number in range(1, len(folds_) + 1)]
        for (name, number), outcome in evaluate_in_processes(plan, tasks, fold_outcome, asked):
            outcomes[name, number] = outcome
            report(_progress_line(model, name, number, folds_, outcome))
    with limited(plan):
        for name, candidate in limited_candidates.items():
            for number in range(1, len(folds_) + 1):
                if (name, number) not in outcomes:
                    report(f"{name}, fold {number} of {len(folds_)}")
                    outcomes[name, number] = fold_outcome(candidate=candidate, number=number, **asked)  # type: ignore[arg-type]
                    report(_progress_line(model, name, number, folds_, outcomes[name, number]))
                if outcomes[name, number].error:
                    break
    return {name: _evaluation(model, name, candidate, folds_, outcomes) for name, candidate in candidates.items()}


def fold_outcome(
    *, metric: str, task: Task, rows: LabelledRows, folds_: Sequence[Fold], candidate: Candidate, number: int
) -> FoldOutcome:
    """Return what comes of a candidate that is fitted to a fold's training rows and predicts its test rows."""
    fold = folds_[number - 1]
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            figures, prediction, fitted = _evaluate_fold(metric, task, rows, fold, candidate)
        # A candidate is the user's code: an error of any kind is its result, and the other candidates are still evaluated.
        except Exception as raised:  # noqa: BLE001
            return FoldOutcome(time.perf_counter() - started, error=_one_line(raised), warnings=_texts(caught))
    size = None if fitted.estimator is None else fitted_size(fitted.estimator)
    kept = fitted if number == len(folds_) and fitted.estimator is not None else None
    return FoldOutcome(time.perf_counter() - started, figures, prediction, size, None, _texts(caught), kept)


def _evaluation(
    model: Model, name: str, candidate: Candidate, folds_: Sequence[Fold], outcomes: Mapping[tuple[str, int], FoldOutcome]
) -> Evaluation:
    """Return a candidate's evaluation from its outcomes until the first error."""
    of_folds: list[FoldOutcome] = []
    error: str | None = None
    for number in range(1, len(folds_) + 1):
        of_folds.append(outcomes[name, number])
        if of_folds[-1].error:
            error = f"fold {number} of {len(folds_)}: {of_folds[-1].error}"
            break
    fold_figures = [outcome.figures for outcome in of_folds if not outcome.error]
    means = {metric: _mean([figures_[metric] for figures_ in fold_figures]) for metric in METRICS[model.task]} if not error else {}
    spread = (
        statistics.stdev([figures_[model.metric] for figures_ in fold_figures])
        if not error and len(fold_figures) > 1
        else (None if error else 0.0)
    )
    remarks = tuple(dict.fromkeys(text for outcome in of_folds for text in outcome.warnings))
    result = EvaluatedCandidate(
        name,
        name == BASELINE,
        means.get(model.metric),
        spread,
        tuple(fold_figures),
        sum(outcome.seconds for outcome in of_folds),
        candidate.parameters(),
        means,
        error,
        remarks[:10],
        of_folds[-1].size,
    )
    predictions = tuple(outcome.prediction for outcome in of_folds if outcome.prediction is not None and not error)
    return Evaluation(result, predictions, None if error else of_folds[-1].fitted)


def _evaluate_fold(
    metric: str, task: Task, rows: LabelledRows, fold: Fold, candidate: Candidate
) -> tuple[dict[str, Any], pd.DataFrame, FittedCandidate]:
    started = time.perf_counter()
    fitted = candidate.fit(rows.frame.iloc[fold.train], rows.y.iloc[fold.train])
    prediction = fitted.predict(rows.frame.iloc[fold.test])
    seconds = time.perf_counter() - started
    figures = scores(task, rows.y.iloc[fold.test], prediction, rows.classes)
    if figures[metric] is None:
        raise ValueError(f"{metric} has no value: {_why_without(metric, rows.y.iloc[fold.test], prediction, rows.classes)}.")
    test_stretch = {
        "from": iso_timestamp(rows.as_of.iloc[fold.test[0]]), "until": iso_timestamp(fold.until),
        "train_rows": len(fold.train), "test_rows": len(fold.test), "seconds": seconds,
    }  # fmt: skip
    return {**figures, **test_stretch}, prediction, fitted


def _why_without(metric: str, actual: pd.Series, prediction: pd.DataFrame, classes: Sequence[str] | None) -> str:
    """Return why a metric has no value on some test rows: the predictions, or the labels, of which some metrics need different ones."""
    unknown = int(prediction.isna().any(axis=1).sum())
    if unknown:
        return f"{unknown:,} of {len(prediction):,} predictions are not numbers"
    if kinds.METRICS[metric].of_probabilities and classes and not any(f"probability_{name}" in prediction for name in classes):
        return "the candidate gives no probabilities"
    lacking = [name for name in classes or () if name not in set(actual)]
    if lacking:
        return f"no label of its {len(actual):,} test rows is {' or '.join(repr(name) for name in lacking)}"
    if actual.nunique() == 1:
        return f"the labels of its {len(actual):,} test rows are all {actual.iloc[0]}"
    return "a prediction or a label is too large"


def _progress_line(model: Model, name: str, number: int, folds_: Sequence[Fold], outcome: FoldOutcome) -> str:
    if outcome.error:
        return f"{name} failed in fold {number} of {len(folds_)}: {outcome.error}"
    figures = outcome.figures
    return f"{name}, fold {number} of {len(folds_)}: {model.metric} {figures[model.metric]:.4g} ({figures['seconds']:.1f} s)"


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return statistics.fmean(present) if present and len(present) == len(values) else None


def _texts(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return the warnings that say something of the candidate, each once."""
    kept = (warning for warning in caught if not issubclass(warning.category, DeprecationWarning | FutureWarning))
    return tuple(dict.fromkeys(_warning_text(warning) for warning in kept))


def _warning_text(caught: warnings.WarningMessage) -> str:
    return f"{caught.category.__name__}: {(str(caught.message).splitlines() or [''])[0]}"


def _one_line(raised: Exception) -> str:
    lines = [line.strip() for line in str(raised).splitlines() if line.strip()]
    return f"{type(raised).__name__}: {lines[0] if lines else 'no message'}"[:500]
