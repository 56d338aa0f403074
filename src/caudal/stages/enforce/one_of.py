"""``one_of``: values come from a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.enforce.declared import RowExpectation, is_number, is_time, typed_literal

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class OneOf(RowExpectation):
    """Every value is one of those listed. A null passes.

    Parameters
    ----------
    column : str
    values : the allowed values, of the column's kind
    """

    kind: ClassVar[str] = "one_of"
    column: str
    values: tuple[object, ...]

    def __post_init__(self) -> None:
        if not self.values:
            self.refuse(f"one_of({self.column}) allows no value.", f'List them: one_of("{self.column}", "a", "b").')
        if any(value is None or isinstance(value, list | tuple | set | dict) for value in self.values):
            self.refuse(
                f"{self.name} lists something that is not a single value.",
                f'List values one by one: one_of("{self.column}", "a", "b"). Null is always let through.',
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def fits(self, schema: StructType) -> None:
        """Raise DeclarationProblem where a value is not of the column's kind."""
        kind = schema[self.column].dataType
        for value in self.values:
            is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
            is_wrong_kind = (is_number(kind) and not is_numeric and isinstance(value, str | bool)) or (
                kind.typeName() == "string" and not isinstance(value, str)
            )
            if is_wrong_kind or (is_time(kind) and is_numeric):
                self.refuse(
                    f"{self.name}: {value!r} is never a {kind.simpleString()}, the type of '{self.column}'.",
                    "List values of the column's type.",
                )

    def violation(self, schema: StructType) -> Column:
        """Return where the value is not in the list."""
        from pyspark.sql import functions as F

        from caudal.engine.marks import quoted

        kind = schema[self.column].dataType
        return ~F.col(quoted(self.column)).isin(*(typed_literal(value, kind) for value in self.values))


def one_of(column: str, *values: object) -> OneOf:
    """Return the expectation that a column holds only the listed values.

    Examples
    --------
    >>> one_of("payment", "cash", "card").name
    'one_of(payment, cash, card)'
    """
    return OneOf(column, tuple(values[0]) if len(values) == 1 and isinstance(values[0], list | tuple | set) else values)
