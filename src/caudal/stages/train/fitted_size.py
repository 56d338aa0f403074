"""Count the numbers that a fitted model holds, as a measure of how simple it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np


def fitted_size(estimator: object) -> int | None:
    """Return how many numbers the fitted form of a model holds: coefficients, nodes of trees, stored neighbours; None where they cannot be seen.

    Of a pipeline only the last step counts: how inputs are prepared is the same for candidates of a kind. A node of a tree counts with all its fields.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> fitted_size(LinearRegression().fit([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]], [1.0, 2.0, 4.0]))
    3
    """
    try:
        return _size(estimator)
    # An estimator may be the user's code, and raise anything when its parts are looked at.
    except Exception:  # noqa: BLE001
        return None


def _size(estimator: object) -> int | None:
    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    if type(last).__module__.startswith("pyspark."):
        return _spark_size(last)
    booster = getattr(last, "booster_", None)  # LightGBM keeps its trees outside Python
    if booster is not None:
        return sum(2 * int(leaves) for leaves in re.findall(r"^num_leaves=(\d+)$", booster.model_to_string(), re.MULTILINE))
    if (coefficients := getattr(last, "coef_", None)) is not None:
        return int(np.size(coefficients) + np.size(getattr(last, "intercept_", ())))
    if hasattr(last, "get_booster"):  # and so does XGBoost
        trees: list[str] = last.get_booster().get_dump()
        return sum(tree.count("\n") for tree in trees)
    fitted = {name: value for name, value in vars(last).items() if name.endswith("_") or name == "_fit_X"}
    return _numbers(fitted or vars(last), {}) or None


def _spark_size(model: object) -> int | None:
    stages = getattr(model, "stages", None)
    last = stages[-1] if stages else model
    for name in ("totalNumNodes", "numNodes", "coefficients"):
        held = getattr(last, name, None)
        if held is not None:
            return int(held) if isinstance(held, int) else int(held.size)
    return None


def _numbers(value: object, seen: dict[int, object]) -> int:
    """Return the count of numbers within a value; each object counts once."""
    if isinstance(value, bool | str | bytes) or value is None:
        return 0
    if isinstance(value, int | float | np.number):
        return 1
    if id(value) in seen:
        return 0
    seen[id(value)] = value  # held, so that no other object gets its id
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return _sum(value.ravel().tolist(), seen)
        return int(value.size * len(value.dtype.names or ("",))) if value.dtype.kind in "biufcV" else 0
    if isinstance(value, dict):
        return _sum(value.values(), seen)
    if isinstance(value, list | tuple):
        return _sum(value, seen)
    if hasattr(value, "nnz") and hasattr(value, "data"):  # a sparse matrix
        return int(value.nnz)
    state = getattr(value, "__getstate__", None)
    if isinstance(value, type) or state is None:
        return 0
    return _numbers(state(), seen)


def _sum(values: Iterable[object], seen: dict[int, object]) -> int:
    return sum(_numbers(value, seen) for value in values)
