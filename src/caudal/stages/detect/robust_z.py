"""Values far from the recent median, in robust deviations.

The modified z-score of Iglewicz & Hoaglin, "How to Detect and Handle Outliers", 1993, section 3: ``0.6745 (x - median) / MAD``, over
the last readings of each channel. They advise 3.5 as the limit; the score here is ``z / (z + 3.5)``, one half at that limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caudal.spec.detector import Detector
from caudal.stages.detect.operator import Operator
from caudal.stages.detect.ring import Ring

_NORMAL, _LIMIT, _FEWEST = 0.6745, 3.5, 8


class RobustZ(Operator):
    """The largest modified z-score of all channels."""

    kind = "robust_z"

    def __init__(self, declared: Detector, channels: int) -> None:
        super().__init__(declared, channels)
        self._ring = Ring(declared["window"], (channels,))

    def judge(self, at_us: int, row: np.ndarray) -> float:  # noqa: ARG002
        """Return z / (z + 3.5) of the channel that is furthest out."""
        held = self._ring.held
        score = 0.0
        if len(held) >= _FEWEST:
            median = _median(held)
            spread = _median(np.abs(held - median))
            # A channel that is constant for half of the window has no MAD: the mean deviation stands in (their section 3.3), or the
            # smallest step that float32 shows at this level.
            away = np.abs(row - median)
            flat = spread <= 0
            if flat.any():
                spread = np.where(flat, 0.6745 / 0.7979 * np.mean(np.abs(held - median), axis=0), spread)
            z = _NORMAL * away / (spread + 1e-6 * np.abs(median) + 1e-12)
            worst = float(np.nanmax(z)) if not np.isnan(z).all() else 0.0
            score = worst / (worst + _LIMIT)
        latest = held[(self._ring.place - 1) % len(self._ring.rows)] if len(held) else np.zeros(self.channels)
        self._ring.add(np.where(np.isnan(row), latest, row))
        return score

    def fields(self) -> dict[str, Any]:
        """Return the window."""
        return {"rows": self._ring.rows, "seen": self._ring.seen}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Take up the window."""
        self._ring.rows, self._ring.seen = fields["rows"], int(fields["seen"])


def _median(rows: np.ndarray) -> np.ndarray:
    """Return the upper median of each column: a partition, half the price of ``np.median``."""
    return np.asarray(np.partition(rows, len(rows) // 2, axis=0)[len(rows) // 2])
