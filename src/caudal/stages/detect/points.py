"""Turn readings into points with meaningful distances: every channel standardised by its earlier readings, several readings joined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_MEMORY, _FAR = (
    2000,
    6.0,
)  # readings in the memory of mean and deviation; a reading further away than this counts as one at this distance, in deviations


class Points:
    """Standardises readings and joins the last ``lags`` of them.

    Mean and variance are exponentially weighted (West 1979, updating formulae) with weight 1/n until ``_MEMORY`` readings are seen; a
    reading further than six deviations counts as one at six, so that one spike does not hide the next.

    Parameters
    ----------
    channels, lags : int
    """

    def __init__(self, channels: int, lags: int) -> None:
        self.mean, self.variance = np.zeros(channels), np.zeros(channels)
        self.seen = np.zeros(channels, dtype=np.int64)
        self.recent = np.zeros((lags, channels))

    def point(self, row: np.ndarray) -> np.ndarray:
        """Return float64 [lags × channels] in deviations, newest last; the reading is learned afterwards.

        A missing value gets the last value of its channel: the mean would be unusual for a channel with two levels.
        """
        is_known = ~np.isnan(row)
        is_first = is_known & (self.seen == 0)
        self.mean[is_first] = row[is_first]
        difference = np.where(is_known, row - self.mean, 0.0)
        # A constant channel has no deviation: the smallest step of float32 at this level replaces it.
        deviation = np.sqrt(self.variance) + 1e-6 * np.abs(self.mean) + 1e-12
        standard = np.where(is_known, np.clip(difference / deviation, -1e6, 1e6), self.recent[-1])
        self.recent[:-1] = self.recent[1:]
        self.recent[-1] = standard
        self.seen += is_known
        weight = np.where(is_known, 1.0 / np.clip(self.seen, 1, _MEMORY), 0.0)
        limited = np.where(self.seen > 30, np.clip(difference, -_FAR * deviation, _FAR * deviation), difference)
        self.mean = self.mean + weight * limited
        self.variance = (1.0 - weight) * (self.variance + weight * limited * limited)
        return self.recent.ravel().copy()

    def fields(self) -> dict[str, object]:
        """Return the whole memory."""
        return {
            "points_mean": self.mean,
            "points_variance": self.variance,
            "points_seen": self.seen,
            "points_recent": self.recent,
        }

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Restore the memory from the result of ``fields``."""
        self.mean, self.variance = fields["points_mean"], fields["points_variance"]
        self.seen, self.recent = fields["points_seen"], fields["points_recent"]
