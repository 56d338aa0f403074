"""The nodes of many binary trees as arrays, checked when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from caudal.compiled.arrays import Arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.compiled.part import PartDocument

CODES = 256  # categories of histogram boosting
_NAMES = ("starts", "feature", "threshold", "left", "right", "missing_left", "value", "category", "goes_left", "known")


@dataclass(frozen=True)
class TreeNodes:
    """Binary trees, one after another; a row goes left where its value is at most the threshold, or its category is among those that go left.

    Parameters
    ----------
    starts : int64 [trees + 1], where the nodes of each tree begin, and the number of nodes
    feature : int64 [nodes], −1 for a leaf
    left, right : int64 [nodes], after the node itself and within its tree; 0 for a leaf
    missing_left : bool [nodes], whether NaN goes left
    value : float64 [nodes, values of a leaf]
    category : int64 [nodes], the row of ``goes_left`` for a test of categories, else −1
    goes_left : uint32 [tests, 8], the categories that go left, as bits
    known : uint32 [features, 8], the categories that training has seen; others go where NaN goes
    """

    starts: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    category: NDArray[np.int64]
    goes_left: NDArray[np.uint32]
    known: NDArray[np.uint32]

    def add_to(self, arrays: Arrays) -> dict[str, str]:
        """Add the nodes to the arrays of a model, and return their names."""
        return {name: arrays.add(getattr(self, name)) for name in _NAMES}

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, features: int) -> Self:
        """Return the nodes of a model that has ``features`` columns.

        Raises
        ------
        ValueError : an array is missing, an index lies beyond what it points to, or what should be trees are none
        """
        feature = arrays.indices(document["feature"], -1, features, None)
        count = len(feature)
        starts = arrays.indices(document["starts"], 0, count + 1, None)
        goes_left = arrays.bits(document["goes_left"], None, 8)
        nodes = cls(
            starts,
            feature,
            arrays.numbers(document["threshold"], count),
            arrays.indices(document["left"], 0, count, count),
            arrays.indices(document["right"], 0, count, count),
            arrays.flags(document["missing_left"], count),
            arrays.numbers(document["value"], count, None),
            arrays.indices(document["category"], -1, len(goes_left), count),
            goes_left,
            arrays.bits(document["known"], features, 8),
        )
        nodes._require_trees()
        return nodes

    @property
    def trees(self) -> int:
        """The number of trees."""
        return len(self.starts) - 1

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Which nodes are leaves."""
        return self.feature < 0

    @cached_property
    def tree(self) -> NDArray[np.int64]:
        """The tree of each node."""
        return np.repeat(np.arange(self.trees), np.diff(self.starts))

    @property
    def most_leaves(self) -> int:
        """The greatest number of leaves of a tree."""
        return int(np.bincount(self.tree[self.is_leaf], minlength=1).max())

    def codes_left(self) -> NDArray[np.bool_]:
        """Return for each test of categories which codes go left; bool [tests, 256]."""
        return _unpacked(self.goes_left)

    def codes_known(self) -> NDArray[np.bool_]:
        """Return for each feature which codes training has seen; bool [features, 256]."""
        return _unpacked(self.known)

    def _require_trees(self) -> None:
        count = len(self.feature)
        if len(self.starts) < 2 or self.starts[0] != 0 or self.starts[-1] != count or np.any(np.diff(self.starts) < 1):
            raise ValueError("the nodes are not those of trees")
        inner = np.flatnonzero(~self.is_leaf)
        left, right, end = self.left[inner], self.right[inner], self.starts[self.tree[inner] + 1]
        # Each child comes after its parent, so there is no circle, and each node but the roots is one node's child.
        if np.any(left <= inner) or np.any(right <= inner) or np.any(left >= end) or np.any(right >= end):
            raise ValueError("a node has a child outside its tree")
        children = np.sort(np.concatenate([left, right]))
        if not np.array_equal(children, np.setdiff1d(np.arange(count), self.starts[:-1])):
            raise ValueError("a node is the child of several, or of none")


def _unpacked(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return the bits of rows of eight words, the lowest first."""
    flags: NDArray[np.bool_] = (words[:, :, None] >> np.arange(32, dtype="uint32") & 1).astype(bool).reshape(len(words), CODES)
    return flags
