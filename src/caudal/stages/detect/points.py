"""Readings as points in a space where distances mean something: every channel standardised by its own past, some readings together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_MEMORY, _FAR = 2000, 6.0  # readings that mean and deviation remember; how far a reading may pull them, in deviations


class Points:
    """Standardises readings and joins the last ``lags`` of them.

    Mean and variance are exponentially weighted (West 1979, updating formulae) with weight 1/n until ``_MEMORY`` readings are seen; a
    reading further than six deviations pulls as one at six, so that one spike does not hide the next.

    Parameters
    ----------
    channels, lags : int
    """

    def __init__(self, channels: int, lags: int) -> None:
        self.mean, self.variance = np.zeros(channels), np.zeros(channels)
        self.seen = np.zeros(channels, dtype=np.int64)
        self.recent = np.zeros((lags, channels))

    def point(self, row: np.ndarray) -> np.ndarray:
        """Return float64 [lags × channels] in deviations, newest last; the reading is learned after.

        A missing value stands where its channel last stood: in the middle it would be odd wherever a channel has two levels.
        """
        known = ~np.isnan(row)
        first = known & (self.seen == 0)
        self.mean[first] = row[first]
        away = np.where(known, row - self.mean, 0.0)
        # A constant channel has no deviation: the smallest step that float32 shows at this level stands for it.
        deviation = np.sqrt(self.variance) + 1e-6 * np.abs(self.mean) + 1e-12
        standard = np.where(known, np.clip(away / deviation, -1e6, 1e6), self.recent[-1])
        self.recent[:-1] = self.recent[1:]
        self.recent[-1] = standard
        self.seen += known
        weight = np.where(known, 1.0 / np.clip(self.seen, 1, _MEMORY), 0.0)
        pulled = np.where(self.seen > 30, np.clip(away, -_FAR * deviation, _FAR * deviation), away)
        self.mean = self.mean + weight * pulled
        self.variance = (1.0 - weight) * (self.variance + weight * pulled * pulled)
        return self.recent.ravel().copy()

    def fields(self) -> dict[str, Any]:
        """Return all that is remembered."""
        return {
            "points_mean": self.mean,
            "points_variance": self.variance,
            "points_seen": self.seen,
            "points_recent": self.recent,
        }

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Take up what ``fields`` gave."""
        self.mean, self.variance = fields["points_mean"], fields["points_variance"]
        self.seen, self.recent = fields["points_seen"], fields["points_recent"]
