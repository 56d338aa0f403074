"""Rank a figure among all earlier ones."""

from __future__ import annotations

import math
from bisect import bisect_left, insort

import numpy as np

from caudal.stages.detect.ring import Ring

_FEWEST, _FAR, _TINY = 20, 3.0, 1e-9


class Past:
    """The last figures, sorted, so that a new one can be ranked among them.

    The rank is the conformal p-value of Laxhammar & Falkman, "Conformal Prediction for Distribution-Independent Anomaly Detection in Streaming
    Vessel Data", 2010 (the share of figures as large): no shape of distribution is assumed, and figures of different kinds can be added.

    Parameters
    ----------
    memory : int, figures kept
    """

    def __init__(self, memory: int) -> None:
        self.ring = Ring(memory)
        self._sorted: list[float] = []

    def strength(self, figure: float, excess: float) -> float:
        """Return ``log p / log(1 / n)``: 0 for the smallest figure, about 1 for a record, and more by ``excess`` × log(figure / last record).

        The result is at most ``1 + 3 × excess``. The figure is learned.
        """
        figures, record = self._sorted, self._sorted[-1] if self._sorted else math.inf
        if self.ring.seen >= len(self.ring.rows):
            del figures[bisect_left(figures, float(self.ring.rows[self.ring.place]))]
        insort(figures, figure)
        self.ring.add(figure)
        n = len(figures)
        if n < _FEWEST:
            return 0.0
        as_large = n - bisect_left(figures, figure)
        beyond = math.log((figure + _TINY) / (record + _TINY)) if figure > record else 0.0
        return math.log(n / as_large) / math.log(n + _FEWEST) + excess * min(beyond, _FAR)

    def fields(self) -> tuple[np.ndarray, int]:
        """Return the stored figures and the number of all figures so far."""
        return self.ring.rows, self.ring.seen

    def restore(self, rows: np.ndarray, seen_count: int) -> None:
        """Restore the memory from the result of ``fields``."""
        self.ring.rows, self.ring.seen = rows, seen_count
        self._sorted = sorted(self.ring.filled.tolist())
