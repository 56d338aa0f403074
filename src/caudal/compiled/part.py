"""What a part of a compiled model is: it prepares the values of a row, or predicts from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, cast

from caudal.compiled.arrays import Arrays
from caudal.kinds import COMPILED_PARTS

PartDocument = Mapping[str, Any]
"""The description of a part: its ``kind``, and what this kind needs; arrays by their names."""


class Part(Protocol):
    """A step of a compiled model.

    Attributes
    ----------
    kind : its name in descriptions, and that of its file
    width : how many values it gives
    """

    kind: ClassVar[str]
    width: int

    @classmethod
    def read(cls, document: PartDocument, arrays: Arrays, width: int) -> Self:
        """Return the part that a description has, of ``width`` values of a row.

        Raises
        ------
        ValueError, KeyError, TypeError : the description or its arrays are not whole
        """

    def values(self, row: list[Any]) -> list[Any]:
        """Return what it makes of the values of one row.

        Raises
        ------
        ValueError : the fitted pipeline refuses such a row
        """


def read_part(document: PartDocument, arrays: Arrays, width: int) -> Part:
    """Return the part that a description has; see ``Part.read``."""
    kind = cast(type[Part], COMPILED_PARTS[document["kind"]])
    return kind.read(document, arrays, width)


def require_finite(row: list[Any], *, missing: bool = False) -> None:
    """Raise where a number is infinite or, unless ``missing`` says that it may be, NaN.

    Raises
    ------
    ValueError : there is such a number

    Examples
    --------
    >>> require_finite([1.0, float("nan")], missing=True)
    >>> require_finite([float("inf")], missing=True)
    Traceback (most recent call last):
    ValueError: the model takes no such number: inf
    """
    for value in row:
        # Infinity minus itself is NaN, as NaN is.
        if value - value != 0 and not (missing and value != value):
            raise ValueError(f"the model takes no such number: {value}")
