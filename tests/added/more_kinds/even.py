"""``even``: whole numbers are even."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.enforce.declared import RowExpectation

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Even(RowExpectation):
    """Every number is even. A null passes.

    Parameters
    ----------
    column : str, a column of whole numbers
    """

    kind: ClassVar[str] = "even"
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def fits(self, schema: StructType) -> None:
        """Accept every column."""

    def violation(self, schema: StructType) -> Column:
        """Return where the number is odd."""
        from pyspark.sql import functions as F

        return F.col(self.column) % 2 != 0


def even(column: str) -> Even:
    """Return the expectation that a column's numbers are even."""
    return Even(column)
