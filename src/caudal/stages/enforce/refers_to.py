"""``refers_to``: a key exists in another table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.errors import nearest
from caudal.stages.enforce.declared import ComparedExpectation, ComparisonScope, is_number

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class RefersTo(ComparedExpectation):
    """Every value exists in a column of another table. A null passes (no reference), as with SQL's FOREIGN KEY.

    Parameters
    ----------
    column : str, of this table
    table : str, the other table
    key : str, the other table's column
    """

    kind: ClassVar[str] = "refers_to"
    column: str
    table: str
    key: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Return this table's column."""
        return (self.column,)

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the other table."""
        return (self.table,)

    def fits_others(self, schema: StructType, others: Mapping[str, StructType]) -> None:
        """Raise DeclarationProblem where the other table has no such column, or one of another type."""
        other = others[self.table]
        if self.key not in other.names:
            self.refuse(
                f"{self.name} binds to nothing: '{self.table}' has no column '{self.key}'.", f"It has {', '.join(other.names)}.",
                nearest(self.key, other.names), column=self.key,
            )  # fmt: skip
        type_, key_type = schema[self.column].dataType, other[self.key].dataType
        if type_ != key_type and not (is_number(type_) and is_number(key_type)):
            self.refuse(
                f"{self.name}: '{self.column}' is a {type_.simpleString()}, '{self.key}' of '{self.table}' a {key_type.simpleString()}.",
                "Give both the same type.",
            )  # fmt: skip

    def mark_violations(self, frame: DataFrame, flag: str, scope: ComparisonScope) -> DataFrame:
        """Return the frame with ``flag`` true where the value is in no row of the other table."""
        from pyspark.sql import functions as F

        from caudal.engine.marks import quoted

        other = scope.others[self.table]
        self.fits_others(frame.schema, {self.table: other.schema})
        key, exists = f"{flag}_key", f"{flag}_found"
        # Each key once: the join must not double a row.
        keys = (
            other.select(F.col(quoted(self.key)).alias(key))
            .where(F.col(key).isNotNull())
            .distinct()
            .withColumn(exists, F.lit(True))
        )
        value = F.col(quoted(self.column))
        joined = frame.join(keys, value == F.col(key), "left")
        return joined.withColumn(flag, value.isNotNull() & F.col(exists).isNull()).drop(key, exists)


def refers_to(column: str, table: str, key: str) -> RefersTo:
    """Return the expectation that a column's values exist as ``key`` in another table.

    Examples
    --------
    >>> refers_to("zone_id", "zones", "LocationID").tables
    ('zones',)
    """
    return RefersTo(column, table, key)
