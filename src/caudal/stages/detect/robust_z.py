"""Score values by their distance from the recent median, in robust deviations.

The modified z-score of Iglewicz & Hoaglin, "How to Detect and Handle Outliers", 1993, section 3: ``0.6745 (x - median) / MAD``, over
the last readings of each channel. They advise 3.5 as the limit; the score here is ``z / (z + 3.5)``, one half at that limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caudal.declarations.detector import Detector, bounded
from caudal.stages.detect.operator import Operator

_NORMAL, _LIMIT, _FEWEST = 0.6745, 3.5, 8


def robust_z(window: int = 256) -> Detector:
    """Return a detector of values far from the recent median, in units of the median absolute deviation; each channel by itself.

    Parameters
    ----------
    window : int, readings from which median and deviation are computed

    Examples
    --------
    >>> robust_z(window=100).name
    'robust_z(window=100)'
    """
    return bounded("robust_z", {"window": (window, 8, 65_536)})


class RobustZ(Operator):
    """The largest modified z-score of all channels."""

    kind = "robust_z"

    def __init__(self, declared: Detector, channels: int) -> None:
        super().__init__(declared, channels)
        self._rows = np.zeros((declared["window"], channels))
        self._seen = np.zeros(channels, dtype=np.int64)

    def judge(self, at_us: int, row: np.ndarray) -> float:  # noqa: ARG002
        """Return z / (z + 3.5) of the channel with the largest z."""
        present = np.flatnonzero(~np.isnan(row))
        counts = np.minimum(self._seen[present], len(self._rows))
        largest_z = 0.0
        # Each channel has a separate window of its last readings: with many missing values it holds fewer, or older ones.
        for count in np.unique(counts[counts >= _FEWEST]).tolist():
            channels = present[counts == count]
            largest_z = max(largest_z, _worst(self._rows[:count, channels], row[channels]))
        self._rows[self._seen[present] % len(self._rows), present] = row[present]
        self._seen[present] += 1
        return largest_z / (largest_z + _LIMIT)

    def fields(self) -> dict[str, object]:
        """Return the window."""
        return {"rows": self._rows, "seen": self._seen}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Restore the window."""
        self._rows = fields["rows"]
        self._seen = np.full(self.channels, fields["seen"], dtype=np.int64)  # older states hold one number for all channels


def _worst(window: np.ndarray, row: np.ndarray) -> float:
    """Return the largest modified z-score of a reading's channels among their windows: float64 [count, channels]."""
    median = _median(window)
    spread = _median(np.abs(window - median))
    # A channel that is constant for half of the window has no MAD: the mean deviation replaces it (their section 3.3), or the
    # smallest step of float32 at this level.
    flat = spread <= 0
    if flat.any():
        spread = np.where(flat, 0.6745 / 0.7979 * np.mean(np.abs(window - median), axis=0), spread)
    return float((_NORMAL * np.abs(row - median) / (spread + 1e-6 * np.abs(median) + 1e-12)).max())


def _median(rows: np.ndarray) -> np.ndarray:
    """Return the upper median of each column by a partition, at half the cost of ``np.median``."""
    return np.asarray(np.partition(rows, len(rows) // 2, axis=0)[len(rows) // 2])
