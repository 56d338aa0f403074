"""Each part with columns of its own, as scikit-learn's ColumnTransformer has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from caudal.compiled.arrays import Arrays
from caudal.compiled.part import Part, PartDocument, read_part


@dataclass(frozen=True)
class ColumnParts:
    """Parts beside one another: what they give stands in their order.

    Parameters
    ----------
    parts : each with the places of its values in the row
    """

    kind: ClassVar[str] = "columns"

    parts: tuple[tuple[tuple[int, ...], Part], ...]
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return the parts that a description has; ``parts`` are objects with ``columns`` and ``part``."""
        parts: list[tuple[tuple[int, ...], Part]] = []
        for of_part in document["parts"]:
            places = tuple(int(place) for place in of_part["columns"])
            if any(not 0 <= place < width for place in places):
                raise ValueError(f"a column is beyond the {width} values of a row")
            parts.append((places, read_part(of_part["part"], arrays, len(places))))
        return cls(tuple(parts), sum(part.width for _, part in parts))

    def values(self, row: list[Any]) -> list[Any]:
        """Return what all parts give, one after another."""
        joined: list[Any] = []
        for places, part in self.parts:
            joined += part.values([row[place] for place in places])
        return joined
