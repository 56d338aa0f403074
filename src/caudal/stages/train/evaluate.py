"""Every candidate on every fold: mean, spread and seconds; one that raises is told with its error."""

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
from caudal.stages.train.rows import Rows
from caudal.stages.train.split import Fold, iso

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """How a candidate did.

    Parameters
    ----------
    score, spread : mean and standard deviation of the model's metric over the folds; None where it failed
    folds : per fold every metric, with ``from`` and ``until`` of its test stretch, ``train_rows``, ``test_rows``, ``seconds``
    seconds : time to fit and predict all folds
    error : what it raised; it is then not chosen
    warnings : what it warned of while it was fitted, each once
    """

    name: str
    baseline: bool
    score: float | None
    spread: float | None
    folds: tuple[Mapping[str, Any], ...]
    seconds: float
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    error: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """A result with what was predicted for each fold's test rows."""

    result: Result
    said: tuple[pd.DataFrame, ...] = ()


def evaluate(
    model: Model, rows: Rows, stretches: Sequence[Fold], among: Mapping[str, Candidate], tell: Tell
) -> dict[str, Evaluation]:
    """Return each candidate's evaluation, by name, in the order of declaration."""
    return {name: _evaluated(model, rows, stretches, name, candidate, tell) for name, candidate in among.items()}


def _evaluated(model: Model, rows: Rows, stretches: Sequence[Fold], name: str, candidate: Candidate, tell: Tell) -> Evaluation:
    told: list[Mapping[str, Any]] = []
    said: list[pd.DataFrame] = []
    error: str | None = None
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number, fold in enumerate(stretches, start=1):
            try:
                figures, prediction = _fold(model, rows, fold, candidate)
            # A candidate is the user's code: whatever it raises is its result, and the others go on.
            except Exception as raised:  # noqa: BLE001
                error = f"fold {number} of {len(stretches)}: {_one_line(raised)}"
                tell(f"{name} failed in {error}")
                break
            told.append(figures)
            said.append(prediction)
            tell(
                f"{name}, fold {number} of {len(stretches)}: {model.metric} {figures[model.metric]:.4g} ({figures['seconds']:.1f} s)"
            )
    seconds = time.perf_counter() - started
    remarks = tuple(
        dict.fromkeys(_remark(one) for one in caught if not issubclass(one.category, DeprecationWarning | FutureWarning))
    )
    means = {metric: _mean([one[metric] for one in told]) for metric in METRICS[model.task]} if not error else {}
    spread = statistics.stdev([one[model.metric] for one in told]) if not error and len(told) > 1 else (None if error else 0.0)
    result = Result(
        name,
        name == BASELINE,
        means.get(model.metric),
        spread,
        tuple(told),
        seconds,
        candidate.parameters(),
        means,
        error,
        remarks[:10],
    )
    return Evaluation(result, tuple(said) if not error else ())


def _fold(model: Model, rows: Rows, fold: Fold, candidate: Candidate) -> tuple[dict[str, Any], pd.DataFrame]:
    started = time.perf_counter()
    fitted = candidate.fit(rows.frame.iloc[fold.train], rows.y.iloc[fold.train])
    said = fitted.predict(rows.frame.iloc[fold.test])
    seconds = time.perf_counter() - started
    found = scores(model.task, rows.y.iloc[fold.test], said, rows.classes)
    if found[model.metric] is None:
        raise ValueError(
            f"{model.metric} has no value: {int(said.isna().any(axis=1).sum()):,} of {len(said):,} predictions are no number, or the candidate "
            "gives no probabilities, or its test rows are all of one class."
        )
    place = {
        "from": iso(rows.as_of.iloc[fold.test[0]]), "until": iso(fold.until),
        "train_rows": len(fold.train), "test_rows": len(fold.test), "seconds": seconds,
    }  # fmt: skip
    return {**found, **place}, said


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def _remark(caught: warnings.WarningMessage) -> str:
    return f"{caught.category.__name__}: {(str(caught.message).splitlines() or [''])[0]}"


def _one_line(raised: Exception) -> str:
    lines = [line.strip() for line in str(raised).splitlines() if line.strip()]
    return f"{type(raised).__name__}: {lines[0] if lines else 'no message'}"[:500]
