"""From the scale on which a model adds to the one on which it predicts, with H2O's bounds against overflow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
GREATEST = 1e19


def _logit(values: Numbers) -> Numbers:
    return 1.0 / (1.0 + np.minimum(GREATEST, np.exp(-values)))


def _log(values: Numbers) -> Numbers:
    return np.minimum(GREATEST, np.exp(values))


def _inverse(values: Numbers) -> Numbers:
    return 1.0 / np.where(values < 0, np.minimum(-1e-5, values), np.maximum(1e-5, values))


LINKS: dict[str, Callable[[Numbers], Numbers]] = {
    "identity": lambda values: values,
    "logit": _logit,
    "log": _log,
    "inverse": _inverse,
}
"""The inverse of each link function, by its name in H2O."""


def softmax(values: Numbers, at_least: float = -np.inf) -> Numbers:
    """Return shares of each row that are proportional to the exponential of its values, float64 [n, classes]."""
    raised = np.exp(values - np.maximum(values.max(axis=1, keepdims=True), at_least))
    shares: Numbers = raised / np.add.accumulate(raised, axis=1)[:, -1:]
    return shares
