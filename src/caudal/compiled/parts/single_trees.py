"""Trees that are compared and added up in single precision, as those of XGBoost are."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from caudal.compiled.arrays import Arrays
from caudal.compiled.part import PartDocument
from caudal.compiled.trees.nodes import TreeNodes
from caudal.compiled.trees.search import Search, search_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SinglePrecisionTrees:
    """Trees, each of which adds its leaf to one score; one tree after another, since another order would give another last bit.

    Parameters
    ----------
    leaves : float32 [leaves]
    start : float32 [scores]
    of_score : int64 [trees of a score], the places of each score's trees; one array for each score
    """

    kind: ClassVar[str] = "single_trees"
    single_precision: ClassVar[bool] = True

    search: Search
    leaves: NDArray[np.float32]
    start: NDArray[np.float32]
    of_score: tuple[NDArray[np.int64], ...]
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return what a description has: ``nodes``, ``groups`` [trees], the score of each tree, and ``start`` [scores]."""
        nodes, start = TreeNodes.read(document["nodes"], arrays, width), arrays.numbers(document["start"], None)
        groups = arrays.indices(document["groups"], 0, max(1, len(start)), nodes.trees)
        if start.size == 0 or nodes.value.shape[1] != 1:
            raise ValueError("trees in single precision give one number to one of some scores")
        search = search_of(nodes)
        of_score = tuple(np.flatnonzero(groups == score) for score in range(len(start)))
        return cls(search, search.leaves[:, 0].astype("float32"), start.astype("float32"), of_score, len(start))

    def values(self, row: list[Any]) -> list[Any]:
        """Return the scores."""
        row = array("f", row).tolist()  # rounds as C does, to infinity where a number is too large
        picked = self.leaves.take(self.search.places(row))
        return [
            _added(start, picked if self.width == 1 else picked.take(trees))
            for start, trees in zip(self.start, self.of_score, strict=True)
        ]


def _added(start: np.float32, terms: NDArray[np.float32]) -> float:
    """Return a sum in order, each step of which is rounded."""
    joined = np.empty(len(terms) + 1, "float32")
    joined[0] = start
    joined[1:] = terms
    return float(np.add.accumulate(joined)[-1])
