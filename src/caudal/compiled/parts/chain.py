"""Parts one after another; none at all passes the values on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from caudal.compiled.arrays import Arrays
from caudal.compiled.part import Part, PartDocument, read_part


@dataclass(frozen=True)
class PartChain:
    """Parts of which each takes what the one before gives."""

    kind: ClassVar[str] = "chain"

    parts: tuple[Part, ...]
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return the chain that a description has; ``parts`` are the descriptions of its parts."""
        parts: list[Part] = []
        for part_document in document["parts"]:
            part = read_part(part_document, arrays, width)
            parts.append(part)
            width = part.width
        return cls(tuple(parts), width)

    def values(self, row: list[Any]) -> list[Any]:
        """Return what the last part gives."""
        for part in self.parts:
            row = part.values(row)
        return row
