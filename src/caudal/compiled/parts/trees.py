"""TreeScores: single ones, forests, and gradient boosting."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from caudal.compiled.arrays import Arrays
from caudal.compiled.part import PartDocument, require_finite
from caudal.compiled.trees.nodes import TreeNodes
from caudal.compiled.trees.search import Search, search_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

Combination = Literal["sum", "mean", "one"]


@dataclass(frozen=True)
class TreeScores:
    """TreeScores and how their leaves are put together, always one tree after another: another order would give another last bit.

    Parameters
    ----------
    combination : ``sum`` begins with ``start`` and adds the tree of each group in turn; ``mean`` divides the sum by the number of trees; ``one`` is a single tree
    single_precision : whether rows are rounded to float32 before they are compared, as forests do; those take no infinite number
    missing : whether they take NaN
    """

    kind: ClassVar[str] = "trees"

    search: Search
    leaves: NDArray[np.float64]
    start: NDArray[np.float64]
    combination: Combination
    single_precision: bool
    missing: bool
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return what a description has: the parameters by their names, ``nodes``, and ``start`` [groups]."""
        nodes = TreeNodes.read(document["nodes"], arrays, width)
        start, combination = arrays.numbers(document["start"]), document["combination"]
        per_tree = nodes.value.shape[1]
        if combination not in ("sum", "mean", "one") or start.size == 0:
            raise ValueError(f"trees are not combined by {combination!r}")
        if (nodes.trees * per_tree) % start.size or (combination != "sum" and per_tree != start.size):
            raise ValueError(f"{nodes.trees} trees do not make up {start.size} groups")
        search = search_of(nodes)
        return cls(
            search, search.leaves, start, combination, bool(document["single_precision"]), bool(document["missing"]), start.size
        )

    @cached_property
    def _single(self) -> NDArray[np.float64] | None:
        """The leaves in one dimension, where each tree gives one number to one sum."""
        return self.leaves[:, 0].copy() if self.width == self.leaves.shape[1] == 1 and self.combination != "one" else None

    def values(self, row: list[Any]) -> list[Any]:
        """Return one number for each group, or class."""
        if self.single_precision:
            row = array("f", row).tolist()  # rounds as C does, to infinity where a number is too large
            require_finite(row, missing=self.missing)
        places = self.search.places(row)
        if self._single is not None:
            terms = np.empty(len(places) + 1)
            terms[0] = self.start[0]
            terms[1:] = self._single.take(places)
            last = np.add.accumulate(terms)[-1].item()
            return [last / len(places) if self.combination == "mean" else last]
        picked = self.leaves[places]
        if self.combination == "one":
            return list(picked[0].tolist())
        groups = picked.reshape(-1, self.width)
        terms = np.empty((len(groups) + 1, self.width))
        terms[0] = self.start
        terms[1:] = groups
        # accumulate adds in order; sum() would add in pairs.
        total = np.add.accumulate(terms, axis=0)[-1]
        return list((total / len(groups) if self.combination == "mean" else total).tolist())
