"""Categories looked up in tables: ordinal and one-hot encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from caudal.compiled.arrays import Arrays
from caudal.compiled.part import PartDocument

Encoded = list[float] | None
"""What stands for a category; None where the pipeline refuses it."""


@dataclass(frozen=True)
class CategoryColumn:
    """The categories of one column: what stands for each, for one that was not learned, and for a missing one."""

    encoded: dict[object, list[float]]
    unknown: Encoded
    missing: Encoded
    numeric: bool


@dataclass(frozen=True)
class Categories:
    """A table for each column."""

    kind: ClassVar[str] = "categories"

    columns: tuple[CategoryColumn, ...]
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return the tables that a description has.

        ``columns`` has for each of them ``keys`` (texts, or the name of an array of numbers), ``encoded`` (an array with a row for each key, then one for
        unknown and one for missing values), and whether ``unknown`` and ``missing`` values are taken at all.
        """
        columns = tuple(_column(column, arrays) for column in document["columns"])
        if len(columns) != width:
            raise ValueError(f"{len(columns)} tables are for {width} columns")
        return cls(columns, sum(int(arrays.numbers(column["encoded"], None, None).shape[1]) for column in document["columns"]))

    def values(self, row: list[Any]) -> list[Any]:
        """Return what stands for the categories of a row."""
        joined: list[float] = []
        for column, value in zip(self.columns, row, strict=True):
            encoded: Encoded = column.encoded.get(value)
            if encoded is None:
                encoded = _other(column, value)
            joined += encoded
        return joined


def _other(column: CategoryColumn, value: Any) -> list[float]:
    """Return what stands for a value without a row of its own."""
    is_missing = value != value
    encoded = column.missing if is_missing else column.unknown
    infinite = column.numeric and not is_missing and value - value != 0
    if encoded is None or infinite:
        raise ValueError(f"the model takes no such category: {value!r}")
    return encoded


def _column(document: PartDocument, arrays: Arrays) -> CategoryColumn:
    numeric = not isinstance(document["keys"], list)
    keys: list[object] = list(arrays.numbers(document["keys"]).tolist()) if numeric else list(document["keys"])
    if not numeric and not all(isinstance(key, str) for key in keys):
        raise ValueError("a category is no text")
    encoded = arrays.numbers(document["encoded"], len(keys) + 2, None).tolist()
    return CategoryColumn(
        dict(zip(keys, encoded[: len(keys)], strict=True)),
        encoded[-2] if document["unknown"] else None,
        encoded[-1] if document["missing"] else None,
        numeric,
    )
