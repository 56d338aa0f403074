"""Count how many earlier anomalies of a stream had scores as high as the current one: the peaks of its scores, each anomaly once."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any

import numpy as np

from caudal.stages.detect.ring import Ring

_MEMORY = 4096  # peaks, each at least ``apart`` readings from the next


class Peaks:
    """The highest score of each anomaly so far, sorted.

    Scores that follow one another within ``apart`` readings belong to one anomaly: the declustering of extremes by runs (Coles, "An Introduction to
    Statistical Modeling of Extreme Values", 2001, section 5.3.2). With peaks, one threshold serves a spiky stream and a calm
    one: the n-th spike of a size is not new, however large the share of spikes is.

    Parameters
    ----------
    apart : int, readings after which a score belongs to another anomaly
    """

    def __init__(self, apart: int) -> None:
        self.apart = apart
        self.ring = Ring(_MEMORY)
        self._sorted: list[float] = []
        self.open, self.since = 0.0, 0  # the peak of the current anomaly, and readings since its last score

    def count_earlier(self, score: float) -> int:
        """Return how many earlier peaks were at least as high; a score above 0 is learned."""
        self.since += 1
        if score <= 0.0:
            return 0
        if self.open > 0.0 and self.since > self.apart:
            self._close()
        self.open, self.since = max(self.open, score), 0
        return len(self._sorted) - bisect_left(self._sorted, score)

    def _close(self) -> None:
        if self.ring.seen >= len(self.ring.rows):
            del self._sorted[bisect_left(self._sorted, float(self.ring.rows[self.ring.place]))]
        insort(self._sorted, self.open)
        self.ring.add(self.open)
        self.open = 0.0

    def fields(self) -> dict[str, object]:
        """Return the memory."""
        return {"peaks": self.ring.rows, "peaks_seen": self.ring.seen, "peak": self.open, "peak_since": self.since}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Restore the memory from the result of ``fields``."""
        rows: np.ndarray = fields["peaks"]
        self.ring.rows, self.ring.seen = rows, int(fields["peaks_seen"])
        self.open, self.since = float(fields["peak"]), int(fields["peak_since"])
        self._sorted = sorted(self.ring.filled.tolist())
