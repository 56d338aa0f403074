"""``unique``: no two rows have the same key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from caudal.errors import nearest
from caudal.stages.enforce.declared import DeclaredExpectation

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructType

NULLS = ("distinct", "equal")


@dataclass(frozen=True)
class Unique(DeclaredExpectation):
    """No two rows have the same key. Of rows with the same key the first passes and the others break it, so no key is lost.

    The first row is one that breaks no other rule, then the one with the lowest ``first_by``, the highest ``last_by``, the lowest values of its
    columns from left to right: the same row in every run, whatever the order of files and tasks.

    As in SQL's UNIQUE, a null differs from every other null, so a row with a null in its key passes; ``nulls="equal"`` treats nulls as one value
    (SQL's NULLS NOT DISTINCT, and what GROUP BY does), so that of rows with the same key, null or not, only the first passes.

    Keys are compared within a partition: in a table partitioned by day within the day, in a source within the file too, because an
    incremental run sees no others. Where a key can occur again on another day, leave the table unpartitioned.

    Parameters
    ----------
    keys : tuple of str
    first_by : tuple of str, columns by which the lowest row is kept
    last_by : tuple of str, columns by which the highest row is kept, such as ``updated_at``
    nulls : ``distinct | equal``, whether nulls in a key are one value
    """

    kind: ClassVar[str] = "unique"
    keys: tuple[str, ...]
    first_by: tuple[str, ...] = ()
    last_by: tuple[str, ...] = ()
    nulls: str = NULLS[0]

    def __post_init__(self) -> None:
        if self.nulls not in NULLS:
            self.refuse(f"unique: nulls={self.nulls!r} is none of {', '.join(NULLS)}.", nearest=nearest(str(self.nulls), NULLS))
        if not self.keys:
            self.refuse("unique() names no column.", 'Name the key: unique("trip_id").')

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the key, and the columns that decide which row stays."""
        return (*self.keys, *self.first_by, *self.last_by)

    def fits(self, schema: StructType) -> None:
        """Raise DeclarationProblem where a column of the key cannot be compared."""
        for name in self.keys:
            if schema[name].dataType.typeName() in ("map", "variant"):
                self.refuse(
                    f"{self.name}: '{name}' is a {schema[name].dataType.typeName()}, which cannot be compared.",
                    "Name a column of plain values.",
                )

    def order(self) -> list[Column]:
        """Return the order of rows that the user declared."""
        from pyspark.sql import functions as F

        from caudal.engine.marks import quoted

        lowest_first = [F.col(quoted(name)).asc_nulls_last() for name in self.first_by]
        return [*lowest_first, *(F.col(quoted(name)).desc_nulls_last() for name in self.last_by)]


def unique(
    *columns: str,
    first_by: str | Sequence[str] = (),
    last_by: str | Sequence[str] = (),
    nulls: Literal["distinct", "equal"] = "distinct",
) -> Unique:
    """Return the expectation that the columns name one row; see `Unique` for rows that repeat a key and for nulls.

    Examples
    --------
    >>> unique("trip_id").quarantine().name, unique("zone", "day", last_by="updated_at").name
    ('unique(trip_id)', 'unique(zone, day, last_by=updated_at)')
    """
    return Unique(columns, _names(first_by), _names(last_by), nulls)


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)
