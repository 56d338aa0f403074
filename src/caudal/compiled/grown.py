"""TreeScores as libraries grow them, put together into the nodes of a compiled model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from caudal.compiled.trees.nodes import CODES, TreeNodes


@dataclass(frozen=True)
class GrownTree:
    """One tree; see ``TreeNodes``. Places of children are counted from its own root, and ``category`` is a row of its own ``goes_left``; without it no test is of categories."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    category: np.ndarray | None = None
    goes_left: np.ndarray | None = None


def nodes_of(trees: Sequence[GrownTree], features: int, known: np.ndarray | None = None) -> TreeNodes:
    """Return the nodes of all trees, in their order; ``known`` are the categories of each feature as bits."""
    starts = np.cumsum([0, *(len(tree.feature) for tree in trees)]).astype("int64")
    words = np.zeros((0, CODES // 32), "uint32")
    goes_left = [words if tree.goes_left is None else tree.goes_left for tree in trees]
    first = np.cumsum([0, *map(len, goes_left)])
    shifted: dict[str, list[Any]] = {"left": [], "right": [], "category": []}
    for place, tree in enumerate(trees):
        leaf = tree.feature < 0
        shifted["left"].append(np.where(leaf, 0, tree.left + starts[place]))
        shifted["right"].append(np.where(leaf, 0, tree.right + starts[place]))
        category = np.full(len(leaf), -1) if tree.category is None else tree.category.astype("int64")
        shifted["category"].append(np.where(category < 0, -1, category + first[place]))
    return TreeNodes(
        starts,
        np.concatenate([tree.feature for tree in trees]).astype("int64"),
        np.concatenate([tree.threshold for tree in trees]).astype("float64"),
        np.concatenate(shifted["left"]).astype("int64"),
        np.concatenate(shifted["right"]).astype("int64"),
        np.concatenate([tree.missing_left for tree in trees]).astype("bool"),
        np.concatenate([tree.value for tree in trees]).astype("float64"),
        np.concatenate(shifted["category"]).astype("int64"),
        np.concatenate(goes_left).astype("uint32"),
        np.zeros((features, CODES // 32), "uint32") if known is None else known,
    )
