"""From a model's scores to its prediction and probabilities, with the very operations that scikit-learn, LightGBM and XGBoost use."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from caudal.compiled import single_precision
from caudal.json_value import Scalar

RowAnswer = tuple[Scalar, list[float] | None]
"""A prediction, and the probability of each class; None for a number and for a classifier without probabilities."""


def expit(score: float) -> float:
    """Return the logistic function of a score, to the bit as ``scipy.special.expit`` has it, which calls C's ``exp`` too.

    Examples
    --------
    >>> expit(0.0), expit(-1000.0)
    (0.5, 0.0)
    """
    try:
        return 1.0 / (1.0 + math.exp(-score))
    except OverflowError:
        return 0.0


def softmax_of_row(scores: list[float]) -> list[float]:
    """Return scores of classes as probabilities, as ``sklearn.utils.extmath.softmax`` does for one row."""
    row = np.array([scores])
    row -= row.max(axis=1).reshape(-1, 1)
    np.exp(row, out=row)
    row /= row.sum(axis=1).reshape(-1, 1)
    return list(row[0].tolist())


def c_softmax(scores: list[float]) -> list[float]:
    """Return scores of classes as probabilities, as LightGBM does: with C's ``exp``, summed from the first to the last.

    Examples
    --------
    >>> c_softmax([1.0, 1.0])
    [0.5, 0.5]
    """
    greatest = max(scores)
    shares = [math.exp(score - greatest) for score in scores]
    total = 0.0
    for share in shares:
        total += share
    return [share / total for share in shares]


@dataclass(frozen=True)
class ScoreOutput:
    """What a model's scores mean.

    Parameters
    ----------
    kind : what they are

        - a number: ``number``; ``exp``, ``c_exp``, ``single_exp``, whose exponential is the number, by NumPy, by C, and by C in single precision
        - one score of the second class: ``binary``, the sign of which decides; ``greater_share``, ``single_binary``, the greater probability decides
        - a score of each class, of which the greatest decides: ``softmax``, ``c_softmax``, ``single_softmax``; ``logistic_each``, each by itself;
          ``shares``, which are probabilities; ``scores``, without probabilities
    labels : the classes; none for a number
    link : for ``binary``: ``logit``, ``half_logit``, or None without probabilities
    zero_is_second : for ``binary``, whether a score of 0 means the second class
    """

    kind: str
    labels: tuple[str, ...] = ()
    link: str | None = None
    zero_is_second: bool = False

    @classmethod
    def read(cls, document: dict[str, Any], scores: int) -> Self:
        """Return what a description has, of a model with so many scores.

        Raises
        ------
        ValueError, KeyError, TypeError : the description is not whole
        """
        output = cls(document["kind"], tuple(document["labels"]), document["link"], bool(document["zero_is_second"]))
        if output.kind not in _ANSWERS or not all(isinstance(label, str) for label in output.labels):
            raise ValueError(f"there is no output {output.kind!r}")
        expected = 1 if output.kind in (*_OF_NUMBERS, *_OF_TWO) else len(output.labels)
        if scores != expected or (output.kind in _OF_TWO and len(output.labels) != 2):
            raise ValueError(f"{scores} scores do not make a {output.kind} of {len(output.labels)} classes")
        if output.link not in (None, "logit", "half_logit"):
            raise ValueError(f"there is no link {output.link!r}")
        if output.kind.startswith("single_"):
            single_precision.exponential(0.0)  # raises where this system's cannot be found
        return output

    @property
    def has_shares(self) -> bool:
        """Whether there are probabilities."""
        return self.link is not None if self.kind == "binary" else self.kind not in (*_OF_NUMBERS, "scores")

    def document(self) -> dict[str, object]:
        """Return its description."""
        return {"kind": self.kind, "labels": list(self.labels), "link": self.link, "zero_is_second": self.zero_is_second}

    def answer(self, scores: list[float]) -> RowAnswer:
        """Return prediction and probabilities."""
        return _ANSWERS[self.kind](self, scores)


def _number(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    return scores[0], None


def _exponential(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    with np.errstate(over="ignore"):
        return float(np.exp(np.array(scores))[0]), None


def _c_exponential(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    try:
        return math.exp(scores[0]), None
    except OverflowError:
        return math.inf, None


def _single_exponential(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    return single_precision.exponential(scores[0]), None


def _binary(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    score = scores[0]
    label = output.labels[score > 0 or (output.zero_is_second and score == 0)]
    if output.link is None:
        return label, None
    second = expit(score if output.link == "logit" else 2 * score)
    return label, [1 - second, second]


def _greater_share(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    second = expit(scores[0])
    first = 1 - second
    return output.labels[second > first], [first, second]


def _single_binary(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    second = single_precision.logistic(scores[0])
    return output.labels[second > 0.5], [float(np.float32(1) - np.float32(second)), second]


def _c_softmax(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    shares = c_softmax(scores)
    return _greatest(output, shares), shares


def _single_softmax(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    shares = single_precision.single_softmax(scores)
    return _greatest(output, shares), shares


def _logistic_each(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    shares = [expit(score) for score in scores]
    return _greatest(output, shares), shares


def _softmax(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    return _greatest(output, scores), softmax_of_row(scores)


def _shares(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    return _greatest(output, scores), scores


def _scores(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    return _greatest(output, scores), None


def _greatest(output: ScoreOutput, scores: list[float]) -> str:
    return output.labels[scores.index(max(scores))]


_OF_NUMBERS = ("number", "exp", "c_exp", "single_exp")
_OF_TWO = ("binary", "greater_share", "single_binary")
_ANSWERS: dict[str, Callable[[ScoreOutput, list[float]], RowAnswer]] = {
    "number": _number, "exp": _exponential, "c_exp": _c_exponential, "single_exp": _single_exponential,
    "binary": _binary, "greater_share": _greater_share, "single_binary": _single_binary,
    "softmax": _softmax, "c_softmax": _c_softmax, "single_softmax": _single_softmax, "logistic_each": _logistic_each,
    "shares": _shares, "scores": _scores,
}  # fmt: skip
