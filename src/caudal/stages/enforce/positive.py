"""``positive``: numbers are above zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.enforce.declared import RowExpectation, is_number, nan

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Positive(RowExpectation):
    """Every number is above zero (with ``or_zero``: at least zero). A null passes; NaN breaks it.

    Parameters
    ----------
    column : str, a column of numbers
    or_zero : bool, True allows zero
    """

    kind: ClassVar[str] = "positive"
    column: str
    or_zero: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def fits(self, schema: StructType) -> None:
        """Raise DeclarationProblem where the column holds no numbers."""
        kind = schema[self.column].dataType
        if not is_number(kind):
            self.refuse(f"{self.name}: '{self.column}' is a {kind.simpleString()}, no number.", "Name a column of numbers.")

    def violation(self, schema: StructType) -> Column:
        """Return where the number is too small or NaN."""
        from pyspark.sql import functions as F

        from caudal.engine.marks import quoted

        value = F.col(quoted(self.column))
        return nan(self.column, schema) | ((value < 0) if self.or_zero else (value <= 0))


def positive(column: str, *, or_zero: bool = False) -> Positive:
    """Return the expectation that a column's numbers are above zero.

    Examples
    --------
    >>> positive("pickups", or_zero=True).name
    'positive(pickups, or_zero=True)'
    """
    return Positive(column, or_zero)
