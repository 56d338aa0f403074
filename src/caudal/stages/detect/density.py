"""Score readings by their distance from every dense cluster of earlier ones.

DenStream: Cao, Ester, Qian & Zhou, "Density-Based Clustering over an Evolving Data Stream with Noise", SDM 2006. Small clusters with
fading weight (definition 3.3 and property 3.1) are potential clusters from a weight of ``_DENSE`` on, outliers below it. A reading joins the nearest
cluster that stays within the radius, or begins a new one (algorithm 1); faded clusters are removed (algorithm 2, equations 4.1 and 4.2).

This is not River 0.26's DenStream, for two reasons. Its cluster radius is ``|CF2|/N - |CF1|²/N²`` with norms of vectors, which is negative (then
taken as 0) wherever a mean is large in several dimensions, so that a reading joins at any distance. And its new clusters overwrite old ones
once some were removed, because their key is their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caudal.declarations.detector import Detector, bounded
from caudal.stages.detect.operator import Operator
from caudal.stages.detect.points import Points

_DENSE, _MOST, _LIMIT = (
    3.0,
    512,
    3.0,
)  # beta × mu of the paper; most clusters; distance at which the score is one half, in deviations


def density(radius: float = 0.5, fade: float = 0.05, lags: int = 1) -> Detector:
    """Return a detector of readings far from every dense cluster of earlier ones; clusters without new readings fade.

    Parameters
    ----------
    radius : float, the largest radius of a small cluster, in standard deviations
    fade : float, how fast old readings lose weight: half in ``100 / fade`` readings
    lags : int, consecutive readings that make one point
    """
    return bounded("density", {"radius": (radius, 1e-3, 100.0), "fade": (fade, 1e-4, 1.0), "lags": (lags, 1, 256)})


class Density(Operator):
    """The distance to the nearest dense cluster, as ``d / (d + 3)``."""

    kind = "density"

    def __init__(self, declared: Detector, channels: int) -> None:
        super().__init__(declared, channels)
        self._points = Points(channels, declared["lags"])
        size = channels * declared["lags"]
        self._fade = declared["fade"] / 100.0
        self._period = max(1, int(np.ceil(np.log2(_DENSE / (_DENSE - 1.0)) / self._fade)))  # equation 4.1
        self._sums = np.zeros((_MOST, size))
        self._squares, self._weights = np.zeros(_MOST), np.zeros(_MOST)
        self._edited, self._begun = np.zeros(_MOST), np.zeros(_MOST)
        self._count = self._seen = 0

    def judge(self, at_us: int, row: np.ndarray) -> float:  # noqa: ARG002
        """Return d / (d + 3), d the root mean square distance to the centre of the nearest dense cluster, in deviations."""
        point = self._points.point(row)
        n = self._count
        weights = self._weights[:n] * np.exp2(-self._fade * (self._seen - self._edited[:n]))
        dense = weights >= _DENSE
        distance = np.sqrt(np.square(self._sums[:n] / self._weights[:n, None] - point).mean(axis=1))
        score = 0.0
        if dense.any():
            nearest = float(distance[dense].min())
            score = nearest / (nearest + _LIMIT)
        self._learn(point, distance, dense)
        return score

    def _learn(self, point: np.ndarray, distance: np.ndarray, dense: np.ndarray) -> None:
        for group in (dense, ~dense):
            if group.any():
                nearest = int(np.flatnonzero(group)[distance[group].argmin()])
                if self._try_join(nearest, point):
                    break
        else:
            self._add_cluster(point)
        self._seen += 1
        if self._seen % self._period == 0:
            self._prune()

    def _try_join(self, i: int, point: np.ndarray) -> bool:
        """Add a reading to a cluster unless its radius would become too large, and return whether it was added."""
        faded = 2.0 ** (-self._fade * (self._seen - self._edited[i]))
        weight = self._weights[i] * faded + 1.0
        total = self._sums[i] * faded + point
        squares = self._squares[i] * faded + float(point @ point)
        variance = (squares / weight - float(np.square(total / weight).sum())) / len(point)
        if variance > self.declared["radius"] ** 2:
            return False
        self._weights[i], self._sums[i], self._squares[i], self._edited[i] = weight, total, squares, self._seen
        return True

    def _add_cluster(self, point: np.ndarray) -> None:
        if self._count == _MOST:
            self._prune()
        if self._count == _MOST:  # Still full: remove the lightest, so that memory stays bounded.
            self._keep(np.arange(_MOST) != int(self._weights.argmin()))
        i = self._count
        self._sums[i], self._squares[i], self._weights[i] = point, float(point @ point), 1.0
        self._edited[i] = self._begun[i] = self._seen
        self._count += 1

    def _prune(self) -> None:
        """Remove clusters that weigh less than a cluster of their age that still gets readings."""
        n = self._count
        weights = self._weights[:n] * np.exp2(-self._fade * (self._seen - self._edited[:n]))
        age = self._seen - self._begun[:n] + self._period
        expected = (np.exp2(-self._fade * age) - 1.0) / (2.0 ** (-self._fade * self._period) - 1.0)  # equation 4.2
        self._keep(weights >= np.minimum(expected, _DENSE))

    def _keep(self, is_kept: np.ndarray) -> None:
        kept_positions = np.flatnonzero(is_kept)
        for array in (self._sums, self._squares, self._weights, self._edited, self._begun):
            array[: len(kept_positions)] = array[kept_positions]
        self._count = len(kept_positions)

    def fields(self) -> dict[str, object]:
        """Return the clusters and the state that standardises readings."""
        n = self._count
        return {
            "sums": self._sums[:n],
            "squares": self._squares[:n],
            "weights": self._weights[:n],
            "edited": self._edited[:n],
            "begun": self._begun[:n],
            "seen": self._seen,
            **self._points.fields(),
        }

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Restore the clusters and the state that standardises readings."""
        self._count, self._seen = len(fields["weights"]), int(fields["seen"])
        for name in ("sums", "squares", "weights", "edited", "begun"):
            getattr(self, f"_{name}")[: self._count] = fields[name]
        self._points.restore(fields)
