"""Contributions of the inputs to one prediction: Shapley values against a typical row.

The contribution of an input is the mean change of the prediction when it takes the row's value in place of the typical one, over all orders in which inputs can
do so. The contributions add up to the prediction less that of the typical row. Inputs that have the typical value contribute nothing.

References
----------
L. S. Shapley, A Value for n-Person Games (1953). M. Sundararajan, A. Najmi, The Many Shapley Values for Model Explanation, ICML 2020 (section 3.1,
baseline Shapley). J. Castro, D. Gómez, J. Tejada, Polynomial calculation of the Shapley value based on sampling, Computers & Operations Research 36 (2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MAX_EXACT = 9
"""Inputs that differ from the typical row up to which all subsets are predicted: 512 rows."""
SAMPLED_ROWS = 2000
"""Rows that are predicted where orders are sampled."""

Predict = Callable[["pd.DataFrame"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class ShapleyValues:
    """What each input contributed to a prediction.

    Parameters
    ----------
    prediction : of the row
    typical : prediction of the typical row
    contributions : by input, in the order of the inputs; they add up to ``prediction - typical``
    exact : whether all orders were counted; False where some were drawn
    """

    prediction: float
    typical: float
    contributions: Mapping[str, float]
    exact: bool


def explain_prediction(predict: Predict, row: pd.DataFrame, typical: pd.DataFrame, seed: int = 0) -> ShapleyValues:
    """Return the contributions of the inputs to the prediction of a row.

    Parameters
    ----------
    predict : called once, with the rows to predict; returns one number for each
    row, typical : DataFrame of one row with the model's inputs
    seed : of the orders that are drawn where there are too many inputs for all
    """
    names = [str(name) for name in row.columns if not _same(row[name].iloc[0], typical[name].iloc[0])]
    exact = len(names) <= MAX_EXACT
    subsets, weights = _all_subsets(len(names)) if exact else _drawn_orders(len(names), seed)
    predicted = predict(_mixed(row, typical, names, subsets))
    contributions = dict.fromkeys((str(name) for name in row.columns), 0.0)
    contributions |= {name: float(weights[number] @ predicted) for number, name in enumerate(names)}
    # The first subset is empty and the last is whole, in both ways of counting.
    return ShapleyValues(float(predicted[-1]), float(predicted[0]), contributions, exact)


def _all_subsets(count: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return all subsets [2^n, n], and the weight of each subset's prediction in each contribution [n, 2^n]."""
    numbers = np.arange(2**count)
    subsets = (numbers[:, None] >> np.arange(count)) & 1 == 1
    sizes = subsets.sum(axis=1)
    with_it = np.array([0.0, *(1 / (count * math.comb(count - 1, size - 1)) for size in range(1, count + 1))])
    without_it = np.array([*(1 / (count * math.comb(count - 1, size)) for size in range(count)), 0.0])
    weights: NDArray[np.float64] = np.where(subsets.T, with_it[sizes], -without_it[sizes])
    return subsets, weights


def _drawn_orders(count: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the subsets that come up in drawn orders, each beside its reverse, and their weights in the contributions."""
    rng = np.random.default_rng(seed)
    pairs = max(1, SAMPLED_ROWS // (2 * count))
    orders = [order for _ in range(pairs) for drawn in [rng.permutation(count)] for order in (drawn, drawn[::-1])]
    # Each order adds one input at a time; the empty and the whole set are common to all.
    subsets = np.zeros((len(orders) * (count - 1) + 2, count), bool)
    subsets[-1] = True
    weights = np.zeros((count, len(subsets)))
    for number, order in enumerate(orders):
        before = 0
        for place, input_ in enumerate(order):
            at = len(subsets) - 1 if place == count - 1 else 1 + number * (count - 1) + place
            subsets[at] = subsets[before]
            subsets[at, input_] = True
            weights[input_, at] += 1 / len(orders)
            weights[input_, before] -= 1 / len(orders)
            before = at
    return subsets, weights


def _mixed(row: pd.DataFrame, typical: pd.DataFrame, names: Sequence[str], subsets: NDArray[np.bool_]) -> pd.DataFrame:
    """Return a row for each subset: the typical row with the subset's inputs from the row."""
    import pandas as pd

    mixed = pd.concat([typical] * len(subsets), ignore_index=True)
    for number, name in enumerate(names):
        own = pd.concat([row[name]] * len(subsets), ignore_index=True)
        mixed[name] = own.where(subsets[:, number], mixed[name])
    return mixed


def _same(value: object, other: object) -> bool:
    return value is other or value == other or (value != value and other != other)
