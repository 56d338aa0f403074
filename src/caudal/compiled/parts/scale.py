"""Numbers moved and scaled, column by column."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from caudal.compiled.arrays import Arrays
from caudal.compiled.part import PartDocument, require_finite

OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
}  # fmt: skip


@dataclass(frozen=True)
class Scaling:
    """Operations one after another, each with a number for each column.

    Parameters
    ----------
    steps : operation and numbers; no number that is divided by is 0
    """

    kind: ClassVar[str] = "scale"

    steps: tuple[tuple[Callable[[float, float], float], list[float]], ...]
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return what a description has: ``steps`` are pairs of an operation and the name of an array."""
        steps: list[tuple[Callable[[float, float], float], list[float]]] = []
        for name, array in document["steps"]:
            numbers = arrays.numbers(array, width)
            if name == "divide" and not numbers.all():
                raise ValueError("a column would be divided by 0")
            steps.append((OPERATIONS[name], numbers.tolist()))
        return cls(tuple(steps), width)

    def values(self, row: list[Any]) -> list[Any]:
        """Return the scaled row."""
        require_finite(row, missing=True)
        for operation, numbers in self.steps:
            row = list(map(operation, row, numbers))
        return row
