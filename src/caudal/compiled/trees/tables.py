"""The leaves of all trees at once, from one table for each column.

After QuickScorer (Lucchese et al., 2015): a tree of at most 64 leaves is a word of 64 bits, one for each leaf from left to right. A test that fails clears
the leaves on its left; what is left standing lowest, once all tests that fail have been applied, is the leaf. Of a column it is only the place of its value
among the thresholds that matters, so what its failing tests clear, in all trees together, stands ready in a table with a row for each place. A row of the
table is one Python integer with 64 bits for each tree: to combine the rows of all columns takes some tens of nanoseconds each.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from caudal.compiled.trees.nodes import CODES, TreeNodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LEAVES = 64
_ALL = 0xFFFF_FFFF_FFFF_FFFF


Words = tuple[int, ...]
"""Of each row of a table the leaves that are left standing: 64 bits for each tree, the first tree in the lowest ones."""


@dataclass(frozen=True)
class LeafTables:
    """The tables of the columns that are tested.

    Parameters
    ----------
    numbers : of each numeric column its place in a row, its thresholds, and its table; after a row for each place among the thresholds comes that of NaN
    categories : of each categorical column its place in a row, and its table: a row for each code, then that of NaN
    first : int64 [trees], the place of each tree's first leaf
    leaves : float64 [leaves, values]
    """

    numbers: tuple[tuple[int, list[float], Words], ...]
    categories: tuple[tuple[int, Words], ...]
    first: NDArray[np.int64]
    leaves: NDArray[np.float64]

    @classmethod
    def of(cls, nodes: TreeNodes) -> Self:
        """Return the tables of trees with at most 64 leaves each."""
        below, start = _leaves_below(nodes)
        # The leaves on the left of each node, as the bits that a failing test clears.
        cleared = {
            node: ~(((1 << below[left]) - 1) << start[left]) & _ALL
            for node, left in zip(np.flatnonzero(~nodes.is_leaf).tolist(), nodes.left[~nodes.is_leaf].tolist(), strict=True)
        }
        numbers: list[tuple[int, list[float], Words]] = []
        categories: list[tuple[int, Words]] = []
        for feature in np.unique(nodes.feature[~nodes.is_leaf]).tolist():
            tests = np.flatnonzero(nodes.feature == feature)
            masks = np.array([cleared[node] for node in tests.tolist()], "uint64")
            if np.any(nodes.category[tests] >= 0):
                categories.append((feature, _words(_of_codes(nodes, feature, tests, masks))))
            else:
                thresholds = np.unique(nodes.threshold[tests])
                numbers.append((feature, thresholds.tolist(), _words(_of_numbers(nodes, tests, masks, thresholds))))
        order = np.lexsort((np.array(start), nodes.tree))
        leaves = order[nodes.is_leaf[order]]
        counts = np.bincount(nodes.tree[leaves], minlength=nodes.trees)
        return cls(tuple(numbers), tuple(categories), np.concatenate([[0], np.cumsum(counts)[:-1]]), nodes.value[leaves])

    def thresholds(self, feature: int) -> list[float]:
        """Return the thresholds of a column."""
        return next((thresholds for tested, thresholds, _ in self.numbers if tested == feature), [])

    @cached_property
    def _lowest(self) -> int:
        """The lowest bit of each tree."""
        return int.from_bytes(np.ones(len(self.first), "<u8").tobytes(), "little")

    def places(self, row: list[float]) -> NDArray[np.int64]:
        """Return the place of each tree's leaf for a row."""
        standing = -1
        for feature, thresholds, words in self.numbers:
            value = row[feature]
            standing &= words[bisect_left(thresholds, value) if value == value else -1]
        for feature, words in self.categories:
            value = row[feature]
            standing &= words[int(value) if 0 <= value < CODES else CODES]
        if standing == -1:  # every tree is a single leaf
            return self.first
        # The number of zeros below the lowest one of each tree. Some bit of each stands, so nothing is borrowed from the next tree.
        below = ~standing & (standing - self._lowest)
        zeros = np.frombuffer(below.to_bytes(8 * len(self.first), "little"), "<u8")
        places: NDArray[np.int64] = self.first + np.bitwise_count(zeros)
        return places


def _words(table: NDArray[np.uint64]) -> Words:
    return tuple(int.from_bytes(row.tobytes(), "little") for row in table.astype("<u8"))


def table_bytes(nodes: TreeNodes) -> int:
    """Return how many bytes the tables of trees would take."""
    inner = ~nodes.is_leaf
    numeric = inner & (nodes.category < 0)
    pairs = np.unique(np.stack([nodes.feature[numeric].astype("float64"), nodes.threshold[numeric]]), axis=1).shape[1]
    rows = pairs + 2 * len(np.unique(nodes.feature[numeric])) + (CODES + 1) * len(np.unique(nodes.feature[inner & ~numeric]))
    return int(8 * rows * nodes.trees)


def _leaves_below(nodes: TreeNodes) -> tuple[list[int], list[int]]:
    """Return how many leaves are below each node, and how many of its tree are on its left."""
    feature, left, right = nodes.feature.tolist(), nodes.left.tolist(), nodes.right.tolist()
    below, start = [1] * len(feature), [0] * len(feature)
    for node in reversed(range(len(feature))):  # children come after their parents
        if feature[node] >= 0:
            below[node] = below[left[node]] + below[right[node]]
    for node in range(len(feature)):
        if feature[node] >= 0:
            start[left[node]] = start[node]
            start[right[node]] = start[node] + below[left[node]]
    return below, start


def _of_numbers(
    nodes: TreeNodes, tests: NDArray[np.int64], masks: NDArray[np.uint64], thresholds: NDArray[np.float64]
) -> NDArray[np.uint64]:
    """Return the leaves that stand for each place of a number among thresholds, and then for NaN."""
    table = np.full((len(thresholds) + 2, nodes.trees), _ALL, "uint64")
    # A number beyond a threshold fails its tests: the row of a place holds all of those before it.
    np.bitwise_and.at(table, (np.searchsorted(thresholds, nodes.threshold[tests]) + 1, nodes.tree[tests]), masks)
    table[:-1] = np.bitwise_and.accumulate(table[:-1], axis=0)
    _clear(table[-1], nodes, tests, masks, ~nodes.missing_left[tests])
    return table


def _of_codes(nodes: TreeNodes, feature: int, tests: NDArray[np.int64], masks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the leaves that stand for each code, and then for NaN."""
    table = np.full((CODES + 1, nodes.trees), _ALL, "uint64")
    goes_left, known, missing_right = (
        nodes.codes_left()[nodes.category[tests]],
        nodes.codes_known()[feature],
        ~nodes.missing_left[tests],
    )
    for code in range(CODES):
        _clear(table[code], nodes, tests, masks, ~goes_left[:, code] & (known[code] | missing_right))
    _clear(table[-1], nodes, tests, masks, missing_right)
    return table


def _clear(
    standing: NDArray[np.uint64], nodes: TreeNodes, tests: NDArray[np.int64], masks: NDArray[np.uint64], failing: NDArray[np.bool_]
) -> None:
    """Clear the leaves on the left of failing tests."""
    np.bitwise_and.at(standing, nodes.tree[tests[failing]], masks[failing])
