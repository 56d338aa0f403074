"""The leaves of few trees, one tree after another in plain Python: faster than arrays of a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from caudal.compiled.trees.nodes import TreeNodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_TREES = 8


@dataclass(frozen=True)
class LeafWalk:
    """TreeScores without tests of categories, as lists over all nodes; see ``TreeNodes``."""

    roots: list[int]
    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    missing_left: list[bool]
    leaves: NDArray[np.float64]

    @classmethod
    def of(cls, nodes: TreeNodes) -> Self:
        """Return the lists of trees."""
        return cls(
            nodes.starts[:-1].tolist(), nodes.feature.tolist(), nodes.threshold.tolist(), nodes.left.tolist(), nodes.right.tolist(),
            nodes.missing_left.tolist(), nodes.value,
        )  # fmt: skip

    def thresholds(self, feature: int) -> list[float]:
        """Return the thresholds of a column."""
        return sorted({threshold for tested, threshold in zip(self.feature, self.threshold, strict=True) if tested == feature})

    def places(self, row: list[float]) -> list[int]:
        """Return the place of each tree's leaf for a row."""
        places = []
        for at in self.roots:
            while (tested := self.feature[at]) >= 0:
                value = row[tested]
                goes_left = value <= self.threshold[at] if value == value else self.missing_left[at]
                at = self.left[at] if goes_left else self.right[at]
            places.append(at)
        return places
