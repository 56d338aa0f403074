"""Missing values filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from caudal.compiled.arrays import Arrays
from caudal.compiled.part import PartDocument, require_finite


@dataclass(frozen=True)
class Filling:
    """What stands in place of a missing value, by column; columns without a value to fill with are left out.

    Parameters
    ----------
    kept : places of the columns that are passed on
    fillings : of those
    """

    kind: ClassVar[str] = "fill"

    kept: tuple[int, ...]
    fillings: tuple[Any, ...]
    numeric: bool
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return what a description has: ``kept``, and ``fillings`` (texts, or the name of an array of numbers)."""
        kept = tuple(int(place) for place in document["kept"])
        numeric = not isinstance(document["fillings"], list)
        fillings = arrays.numbers(document["fillings"], len(kept)).tolist() if numeric else document["fillings"]
        if any(not 0 <= place < width for place in kept) or len(fillings) != len(kept):
            raise ValueError("the columns to fill are not those of a row")
        return cls(kept, tuple(fillings), numeric, len(kept))

    def values(self, row: list[Any]) -> list[Any]:
        """Return the row with its missing values filled."""
        if self.numeric:
            require_finite(row, missing=True)
        return [
            filling if row[place] != row[place] else row[place] for place, filling in zip(self.kept, self.fillings, strict=True)
        ]
