"""The error of predictions before their labels have come, estimated from the model's own probabilities or from how large its errors were before.

Classification: with calibrated probabilities the expected confusion of each row is known (confidence-based performance estimation; Guerra and others 2013 and NannyML's
documentation describe it). Regression: a second model predicts the size of the error from the inputs and the prediction (direct loss estimation).
Both see what a change of the inputs does to the error. Neither sees a change of the relation between inputs and label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caudal.declarations.signature import PREDICTION
from caudal.stages.metrics.judged import MIN_PROBABILITY

if TYPE_CHECKING:
    import pandas as pd

ESTIMATED = "estimated_"
LEAST_ROWS = 500  # labelled rows from which an estimate is learned
MOST_ROWS = 20_000
OF_CLASSES = ("accuracy", "error_rate", "log_loss", "roc_auc", "f1")
OF_NUMBERS = ("mae", "rmse")


def calibrated(past: pd.DataFrame, label: str, classes: Sequence[str], rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the probability of each class, corrected by isotonic regression on past rows; as the model gives it where there are too few.

    Returns
    -------
    float64 [n, classes], each row's sum 1
    """
    from sklearn.isotonic import IsotonicRegression

    share = probabilities(rows, classes)
    labelled = past[past[label].notna()] if len(past) else past
    if len(labelled) >= LEAST_ROWS:
        before = probabilities(labelled, classes)
        truth = labelled[label].astype(str).to_numpy()
        columns = range(1, 2) if len(classes) == 2 else range(len(classes))
        corrected = share.copy()
        for place in columns:
            fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
                before[:, place], truth == str(classes[place])
            )
            corrected[:, place] = fitted.predict(share[:, place])
        if len(classes) == 2:
            corrected[:, 0] = 1 - corrected[:, 1]
        sums = corrected.sum(axis=1, keepdims=True)
        share = np.where(sums > 0, corrected / np.where(sums > 0, sums, 1), share)
    return share


def expected_score(metric: str, share: NDArray[np.float64], rows: pd.DataFrame, classes: Sequence[str]) -> float | None:
    """Return the expected value of a metric if each row's class has the probabilities ``share``; None for a metric without one.

    Parameters
    ----------
    share : float64 [n, classes], calibrated
    rows : ``prediction`` and ``probability_<class>``, as the model gave them
    """

    if metric not in OF_CLASSES or not len(rows):
        return None
    codes = {str(name): place for place, name in enumerate(classes)}
    chosen = np.array([codes[str(name)] for name in rows[PREDICTION]])
    right = share[np.arange(len(rows)), chosen]
    if metric == "accuracy":
        return float(right.mean())
    if metric == "error_rate":
        return float(1 - right.mean())
    given = np.clip(probabilities(rows, classes), MIN_PROBABILITY, 1.0)
    if metric == "log_loss":
        return float(-(share * np.log(given)).sum(axis=1).mean())
    if len(classes) != 2:
        return None
    positive = share[:, -1]
    if metric == "f1":
        selected = chosen == len(classes) - 1
        hits = positive[selected].sum()
        together = selected.sum() + positive.sum()
        return float(2 * hits / together) if together else None
    return _expected_area(given[:, -1], positive)


def _expected_area(score: NDArray[np.float64], positive: NDArray[np.float64]) -> float | None:
    """Return the area under the curve where each row counts as positive with its probability, ties half."""

    ranks, places = np.unique(score, return_inverse=True)
    hits, misses = (np.bincount(places, weights=part, minlength=ranks.size) for part in (positive, 1 - positive))
    total = hits.sum() * misses.sum()
    if not total:
        return None
    below = np.cumsum(misses) - misses
    return float((hits * (below + misses / 2)).sum() / total)


def probabilities(rows: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64]:
    """Return the model's probabilities, float64 [n, classes]."""
    return rows.reindex(columns=[f"probability_{name}" for name in classes], fill_value=0.0).to_numpy("float64")


@dataclass(frozen=True)
class LossModel:
    """A model of the size of another model's error.

    Parameters
    ----------
    codes : the numbers that stand for the values of columns of text
    """

    regressor: Any
    columns: tuple[str, ...]
    codes: Mapping[str, Mapping[str, int]]
    squared: bool

    def expected(self, rows: pd.DataFrame) -> float:
        """Return the expected error of some rows: the mean, or the root of the mean of squares."""

        loss = np.maximum(self.regressor.predict(_numbers(rows, self.columns, self.codes)), 0.0)
        return float(np.sqrt(loss.mean()) if self.squared else loss.mean())


def loss_model(past: pd.DataFrame, label: str, inputs: Sequence[str], metric: str, seed: int = 0) -> LossModel | None:
    """Return a model of the error's size, learned from past predictions whose labels have come; None where there are too few, or for another metric."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    labelled = past[past[label].notna()] if len(past) else past
    if len(labelled) < LEAST_ROWS or metric not in OF_NUMBERS:
        return None
    if len(labelled) > MOST_ROWS:
        labelled = labelled.sample(MOST_ROWS, random_state=seed)
    columns = (*inputs, PREDICTION)
    codes = {
        name: {value: place for place, value in enumerate(sorted(labelled[name].dropna().astype(str).unique()))}
        for name in columns
        if not _is_number(labelled[name])
    }
    error = np.abs(labelled[PREDICTION].to_numpy("float64") - labelled[label].to_numpy("float64"))
    regressor = HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=15, min_samples_leaf=50, random_state=seed)
    squared = metric == "rmse"
    regressor.fit(_numbers(labelled, columns, codes), error**2 if squared else error)
    return LossModel(regressor, columns, codes, squared)


def _numbers(rows: pd.DataFrame, columns: Sequence[str], codes: Mapping[str, Mapping[str, int]]) -> NDArray[np.float64]:

    parts = [
        rows[name].astype("string").map(dict(codes[name])).astype("float64") if name in codes else rows[name].astype("float64")
        for name in columns
    ]
    return np.column_stack([part.to_numpy("float64", na_value=np.nan) for part in parts])


def _is_number(column: pd.Series) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(column))
