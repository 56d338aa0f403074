"""The leaves of all trees at once, level by level: for trees with many leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from caudal.compiled.trees.nodes import CODES, TreeNodes

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LeafLevels:
    """TreeNodes of which a leaf is its own child, so that all trees can go down equally far.

    Parameters
    ----------
    children : int64 [2 × nodes], the left and the right child of each node
    depth : levels of the deepest tree
    codes_left : bool [tests of categories + 1, 256]; None where no test is of categories
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    children: NDArray[np.int64]
    category: NDArray[np.int64]
    codes_left: NDArray[np.bool_] | None
    codes_known: NDArray[np.bool_]
    categorical: tuple[int, ...]
    depth: int
    leaves: NDArray[np.float64]

    @classmethod
    def of(cls, nodes: TreeNodes) -> Self:
        """Return the levels of trees."""
        own, leaf = np.arange(len(nodes.feature)), nodes.is_leaf
        children = np.stack([np.where(leaf, own, nodes.left), np.where(leaf, own, nodes.right)], axis=1)
        at, depth = nodes.starts[:-1], 0
        while not leaf[at].all():
            at, depth = children[at[~leaf[at]]].reshape(-1), depth + 1
        of_codes = nodes.category >= 0
        return cls(
            nodes.starts[:-1],
            np.where(leaf, 0, nodes.feature),
            np.where(leaf, np.inf, nodes.threshold),
            nodes.missing_left | leaf,
            children.reshape(-1),
            nodes.category,
            nodes.codes_left() if of_codes.any() else None,
            nodes.codes_known(),
            tuple(np.unique(nodes.feature[of_codes]).tolist()),
            depth,
            nodes.value,
        )

    def thresholds(self, feature: int) -> list[float]:
        """Return the thresholds of a column."""
        numeric = (self.feature == feature) & (self.category < 0) & np.isfinite(self.threshold)
        return list(np.unique(self.threshold[numeric]).tolist())

    def places(self, row: list[float]) -> NDArray[np.int64]:
        """Return the place of each tree's leaf for a row."""
        numbers = np.array(row, "float64")
        for feature in self.categorical:  # a category that training has not seen is as good as missing
            if not (0 <= numbers[feature] < CODES and self.codes_known[feature, int(numbers[feature])]):
                numbers[feature] = np.nan
        has_missing = bool(np.isnan(numbers).any())
        codes = np.where(np.isfinite(numbers) & (abs(numbers) < CODES), numbers, 0).astype("int64") if self.categorical else None
        at = self.roots
        for _ in range(self.depth):
            tested = self.feature.take(at)
            value = numbers.take(tested)
            right = value > self.threshold.take(at)
            if codes is not None and self.codes_left is not None:
                category = self.category.take(at)
                right = np.where(category >= 0, ~self.codes_left[category, codes.take(tested)], right)
            if has_missing:
                right = np.where(np.isnan(value), ~self.missing_left.take(at), right)
            at = self.children.take(2 * at + right)
        return at
