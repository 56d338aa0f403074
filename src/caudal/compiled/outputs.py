"""From a model's scores to its prediction and probabilities, with the very operations that scikit-learn uses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

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


@dataclass(frozen=True)
class ScoreOutput:
    """What a model's scores mean.

    Parameters
    ----------
    kind : ``number``; ``exp``, whose exponential is the number; ``binary``, one score of the second class; ``softmax``; ``shares``, scores that are probabilities;
        ``scores``, the greatest of which is the class
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
        expected = 1 if output.kind in ("number", "exp", "binary") else len(output.labels)
        if scores != expected or (output.kind == "binary" and len(output.labels) != 2):
            raise ValueError(f"{scores} scores do not make a {output.kind} of {len(output.labels)} classes")
        if output.link not in (None, "logit", "half_logit"):
            raise ValueError(f"there is no link {output.link!r}")
        return output

    @property
    def has_shares(self) -> bool:
        """Whether there are probabilities."""
        return self.kind in ("softmax", "shares") or (self.kind == "binary" and self.link is not None)

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


def _binary(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    score = scores[0]
    label = output.labels[score > 0 or (output.zero_is_second and score == 0)]
    if output.link is None:
        return label, None
    second = expit(score if output.link == "logit" else 2 * score)
    return label, [1 - second, second]


def _softmax(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    return _greatest(output, scores), softmax_of_row(scores)


def _shares(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    return _greatest(output, scores), scores


def _scores(output: ScoreOutput, scores: list[float]) -> RowAnswer:
    return _greatest(output, scores), None


def _greatest(output: ScoreOutput, scores: list[float]) -> str:
    return output.labels[scores.index(max(scores))]


_ANSWERS: dict[str, Callable[[ScoreOutput, list[float]], RowAnswer]] = {
    "number": _number, "exp": _exponential, "binary": _binary, "softmax": _softmax, "shares": _shares, "scores": _scores,
}  # fmt: skip
