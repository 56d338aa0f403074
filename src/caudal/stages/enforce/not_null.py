"""``not_null``: every row has a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.enforce.declared import RowExpectation

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class NotNull(RowExpectation):
    """Every row has a value in the column. NaN is a value; an empty string is one too.

    Parameters
    ----------
    column : str
    """

    kind: ClassVar[str] = "not_null"
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def violation(self, schema: StructType) -> Column:  # noqa: ARG002
        """Return where the column is null."""
        from pyspark.sql import functions as F

        from caudal.engine.marks import quoted

        return F.col(quoted(self.column)).isNull()


def not_null(column: str) -> NotNull:
    """Return the expectation that a column has no nulls.

    Examples
    --------
    >>> not_null("zone").stop().name
    'not_null(zone)'
    """
    return NotNull(column)
