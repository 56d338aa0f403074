"""Arithmetic in single precision with C's own functions, as XGBoost computes: NumPy's exponential of float32 has other last bits.

Numbers are Python floats that single precision holds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np

_MOST_NEGATED = float(np.float32(88.7))  # beyond it the exponential would overflow
_LIBRARIES = (None, "ucrtbase")  # what Python itself is linked with; on Windows its C runtime


def exponential(score: float) -> float:
    """Return ``expf``.

    Examples
    --------
    >>> exponential(0.0), exponential(1000.0)
    (1.0, inf)
    """
    return _function("expf")(score)


def logarithm(value: float) -> float:
    """Return ``logf``.

    Examples
    --------
    >>> logarithm(1.0)
    0.0
    """
    return _function("logf")(value)


def logistic(score: float) -> float:
    """Return the logistic function of a score, as XGBoost's ``Sigmoid`` has it.

    Examples
    --------
    >>> logistic(0.0), logistic(float(np.float32(2.5)))
    (0.5, 0.9241418242454529)
    """
    return float(np.float32(1.0) / np.float32(exponential(min(-score, _MOST_NEGATED)) + 1.0))


def single_softmax(scores: list[float]) -> list[float]:
    """Return scores of classes as probabilities, as XGBoost's ``Softmax`` does: their sum is kept in double precision.

    Examples
    --------
    >>> single_softmax([0.0, 0.0])
    [0.5, 0.5]
    """
    greatest = np.float32(max(scores))
    exponentials = [exponential(float(np.float32(score) - greatest)) for score in scores]
    total = 0.0
    for term in exponentials:
        total += term
    return [float(np.float32(term) / np.float32(total)) for term in exponentials]


@cache
def _function(name: str) -> Callable[[float], float]:
    """Return a function of C's mathematical library.

    Raises
    ------
    ValueError : this system's cannot be found
    """
    for library in _LIBRARIES:
        try:
            function = getattr(ctypes.CDLL(library), name)
        except (OSError, AttributeError, TypeError):
            continue
        function.restype, function.argtypes = ctypes.c_float, (ctypes.c_float,)
        found: Callable[[float], float] = function
        return found
    raise ValueError(f"C's function {name} is not found on this system")
