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


def reachable(tree: GrownTree) -> GrownTree:
    """Return a tree without the nodes that its root does not reach, numbered so that children come after their parents."""
    order = [0]
    for node in order:  # grows while it is walked
        if tree.feature[node] >= 0:
            order += [int(tree.left[node]), int(tree.right[node])]
            if len(order) > len(tree.feature):
                raise ValueError("a node is the child of several")
    place = np.zeros(len(tree.feature), "int64")
    place[order] = np.arange(len(order))
    leaf = tree.feature[order] < 0
    return GrownTree(
        tree.feature[order],
        tree.threshold[order],
        np.where(leaf, 0, place[np.where(leaf, 0, tree.left[order])]),
        np.where(leaf, 0, place[np.where(leaf, 0, tree.right[order])]),
        tree.missing_left[order],
        tree.value[order],
        None if tree.category is None else tree.category[order],
        tree.goes_left,
    )


def category_bits(codes: Sequence[int]) -> np.ndarray:
    """Return codes of categories as bits; uint32 [8].

    Raises
    ------
    ValueError : one is negative, or 256 or more
    """
    flags = np.zeros(CODES, bool)
    for code in codes:
        if not 0 <= code < CODES:
            raise ValueError(f"the category {code} is beyond {CODES - 1}")
        flags[code] = True
    return np.packbits(flags, bitorder="little").view("<u4").astype("uint32")


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
