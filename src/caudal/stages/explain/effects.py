"""Which inputs matter to a model, and how its prediction changes with each: permutation importance and partial dependence.

References
----------
L. Breiman, Random Forests, Machine Learning 45 (2001), section 10. A. Fisher, C. Rudin, F. Dominici, All Models are Wrong, but Many are Useful, JMLR 20 (2019), section 3.
J. H. Friedman, Greedy Function Approximation, Annals of Statistics 29 (2001), section 8.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

BUDGET = 20_000
"""Rows that are predicted for the importance of all inputs."""
REPEATS = 3
MIN_ROWS, MAX_ROWS = 30, 1000
SHOWN, POINTS, AVERAGED = 6, 9, 200
MAX_CLASSES = 5

Predict = Callable[[pd.DataFrame], pd.DataFrame]
Score = Callable[[pd.Series, pd.DataFrame], float | None]


@dataclass(frozen=True)
class PartialDependence:
    """The mean prediction when an input has one value in all rows.

    Parameters
    ----------
    values : of the input: quantiles of a number, the most frequent ones of others
    predictions : by output, ``prediction`` or a class, one for each value
    """

    values: tuple[float | bool | str | None, ...]
    predictions: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class InputEffect:
    """How much an input matters.

    Parameters
    ----------
    importance : by how much the model's metric is worse when the input's values are shuffled among rows, mean over repeats
    spread : standard deviation over repeats
    rows : number of rows that were shuffled
    dependence : of the inputs that matter most; None for others
    """

    name: str
    importance: float
    spread: float
    rows: int
    dependence: PartialDependence | None = None


def effects(
    predict: Predict,
    score: Score,
    frame: pd.DataFrame,
    label: pd.Series,
    inputs: Sequence[str],
    *,
    lower: bool,
    classes: Sequence[str] | None,
    seed: int,
) -> tuple[InputEffect, ...]:
    """Return the effects of all inputs, the most important first; empty where there are too many inputs for the budget.

    Parameters
    ----------
    predict : returns ``prediction`` and perhaps ``probability_<class>``; it is called twice
    score : the model's metric of some labels and predictions
    frame, label : rows that the model was not fitted to, and their labels
    lower : whether a lower score is better
    """
    count = min(len(frame), MAX_ROWS, BUDGET // (len(inputs) * REPEATS))
    if count < min(MIN_ROWS, len(frame)):
        return ()
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.permutation(len(frame))[:count])
    rows, labels = frame.iloc[drawn].reset_index(drop=True), label.iloc[drawn].reset_index(drop=True)
    shuffled = [rows, *(_shuffled(rows, name, rng) for name in inputs for _ in range(REPEATS))]
    predicted = predict(pd.concat(shuffled, ignore_index=True))
    scores = [score(labels, _part(predicted, place, count)) for place in range(len(shuffled))]
    whole = scores[0]
    if whole is None:
        return ()
    by_importance = []
    for number, name in enumerate(inputs):
        of_input = scores[1 + number * REPEATS : 1 + (number + 1) * REPEATS]
        losses = [(each - whole) * (1 if lower else -1) for each in of_input if each is not None]
        if losses:
            by_importance.append(
                InputEffect(name, float(np.mean(losses)), float(np.std(losses, ddof=1)) if len(losses) > 1 else 0.0, count)
            )
    by_importance.sort(key=lambda effect: -effect.importance)
    return _with_dependence(predict, by_importance, rows.head(AVERAGED), classes)


def _with_dependence(
    predict: Predict, by_importance: Sequence[InputEffect], rows: pd.DataFrame, classes: Sequence[str] | None
) -> tuple[InputEffect, ...]:
    """Return the effects, the first of them with their partial dependence."""
    shown = [effect for effect in by_importance[:SHOWN] if effect.importance > 0]
    values = [_grid(rows[effect.name]) for effect in shown]
    frames = [
        rows.assign(**{effect.name: _constant(rows[effect.name], value)})
        for effect, of in zip(shown, values, strict=True)
        for value in of
    ]
    if not frames:
        return tuple(by_importance)
    predicted = predict(pd.concat(frames, ignore_index=True))
    outputs = {"prediction": "prediction"}
    if classes is not None:
        probabilities = {name: f"probability_{name}" for name in classes if f"probability_{name}" in predicted}
        frequent = sorted(probabilities, key=lambda name: -float(predicted[probabilities[name]].mean()))[:MAX_CLASSES]
        # Of two classes one says all.
        outputs = {
            name: probabilities[name]
            for name in (list(classes)[1:] if len(classes) == 2 else sorted(frequent))
            if name in probabilities
        }
    place = 0
    dependences = []
    for of in values:
        parts = [_part(predicted, place + number, len(rows)) for number in range(len(of))]
        place += len(of)
        dependences.append(
            PartialDependence(
                tuple(of), {name: tuple(float(part[column].mean()) for part in parts) for name, column in outputs.items()}
            )
            if outputs
            else None
        )
    with_dependence = [
        InputEffect(effect.name, effect.importance, effect.spread, effect.rows, dependence)
        for effect, dependence in zip(shown, dependences, strict=True)
    ]
    return (*with_dependence, *by_importance[len(shown) :])


def _shuffled(rows: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{name: rows[name].iloc[rng.permutation(len(rows))].reset_index(drop=True)})


def _part(predicted: pd.DataFrame, place: int, count: int) -> pd.DataFrame:
    return predicted.iloc[place * count : (place + 1) * count].reset_index(drop=True)


def _grid(column: pd.Series) -> list[float | bool | str]:
    present = column.dropna()
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers = present.astype("float64")
        numbers = numbers[np.isfinite(numbers)]
        # Values that occur, so that a whole number stays one.
        return (
            [float(value) for value in np.unique(np.quantile(numbers, np.linspace(0.05, 0.95, POINTS), method="nearest"))]
            if len(numbers)
            else []
        )
    counts = present.value_counts()
    frequent = counts[counts >= 1].head(POINTS).index
    return sorted((bool(value) if isinstance(value, bool | np.bool_) else str(value) for value in frequent), key=str)


def _constant(column: pd.Series, value: float | bool | str) -> pd.Series:
    return pd.Series([value] * len(column), index=column.index).astype(column.dtype if column.dtype != object else object)
