"""``sql``: a condition that the user writes in Spark SQL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.enforce.declared import RowExpectation

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Sql(RowExpectation):
    """A Spark SQL condition holds for every row; a row for which it is null (unknown) passes, as in SQL's CHECK.

    Parameters
    ----------
    condition : str, of one row's columns; no aggregate, window or subquery. Spark raises an error where it divides by zero:
        write ``try_divide(a, b)``
    title : str, optional, the name of the expectation
    """

    kind: ClassVar[str] = "sql"
    condition: str
    title: str | None = None

    @property
    def name(self) -> str:
        """Return the title, else the condition."""
        return self.title or f"{self.kind}({self.condition})"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the condition names, in order of appearance."""
        columns, fault = _parse_condition(self.condition)
        if fault is not None:
            self.refuse(f"{self.name}: {fault}", "Write a condition of one row, such as fare_usd >= 0 OR payment_type = 3.")
        return columns

    def violation(self, schema: StructType) -> Column:  # noqa: ARG002
        """Return where the condition is false."""
        from pyspark.sql import functions as F

        return ~F.expr(self.condition)


def sql(condition: str, *, name: str | None = None) -> Sql:
    """Return the expectation that a Spark SQL condition holds for every row.

    Examples
    --------
    >>> sql("fare_usd >= 0 or payment_type = 3", name="only refunds are negative").name
    'only refunds are negative'
    """
    return Sql(condition, name)


@cache
def _parse_condition(condition: str) -> tuple[tuple[str, ...], str | None]:
    """Return the columns that a condition names, and a sentence that says what is wrong with it, or None."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(condition, dialect="spark")
    except SqlglotError as error:
        return (), f"the condition cannot be read: {str(error).splitlines()[0]}"
    for kind, word in ((exp.Query, "a query"), (exp.AggFunc, "an aggregate"), (exp.Window, "a window function")):
        if tree.find(kind):
            return (), f"the condition holds {word}, which looks at more than one row."
    # In a.b, a is the column and b its field.
    return tuple(dict.fromkeys(column.parts[0].name for column in tree.find_all(exp.Column, bfs=False))), None
