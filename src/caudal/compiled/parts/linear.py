"""LinearScores models: the dot product of a row with each class's coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from caudal.compiled.arrays import Arrays
from caudal.compiled.part import PartDocument, require_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LinearScores:
    """Coefficients and intercepts.

    The last bit of a dot product depends on the order in which it is summed. A dense row is multiplied by the same routine of NumPy, with the same shapes, as
    scikit-learn calls; a sparse one is summed from its first column to its last, as SciPy does.

    Parameters
    ----------
    coefficients : float64 [classes, columns], or [columns] for one number
    intercepts : float64 [classes], or one number
    finite : whether other numbers are refused
    """

    kind: ClassVar[str] = "linear"

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    sparse: bool
    finite: bool
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return what a description has: ``coefficients``, ``intercepts``, ``sparse``, ``finite``, and ``flat`` where there is one row of coefficients without an axis of its own."""
        coefficients = arrays.numbers(document["coefficients"], *((width,) if document["flat"] else (None, width)))
        scores = 1 if document["flat"] else coefficients.shape[0]
        return cls(
            coefficients, arrays.numbers(document["intercepts"], scores), bool(document["sparse"]), bool(document["finite"]), scores
        )

    def values(self, row: list[Any]) -> list[Any]:
        """Return one score for each class, or one number."""
        if not self.sparse:
            if self.finite:
                require_finite(row)
            dense = np.array([row]) @ self.coefficients.T
            return list((dense.reshape(-1) + self.intercepts).tolist())
        filled = [place for place, value in enumerate(row) if value]
        if self.finite:
            require_finite([row[place] for place in filled])
        scores: list[float] = []
        for coefficients, intercept in self._by_score:
            # Not sum(): from Python 3.12 on it corrects what additions round.
            score = 0.0
            for place in filled:
                score += row[place] * coefficients[place]
            scores.append(score + intercept)
        return scores

    @cached_property
    def _by_score(self) -> list[tuple[list[float], float]]:
        """The coefficients and the intercept of each score."""
        return list(zip(np.atleast_2d(self.coefficients).tolist(), self.intercepts.tolist(), strict=True))
