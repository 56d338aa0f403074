"""``monotone``: values never fall along an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.enforce.declared import ComparedExpectation, ComparisonScope, nan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Monotone(ComparedExpectation):
    """Along ``over``, no value falls below the highest value before it; once the rows that break this are removed, the others are monotone.

    Rows of one series with the same ``over`` may have any order among themselves. A row whose value or ``over`` is null passes;
    NaN breaks it. A series does not continue across the partitions of a table (days; files of a source).

    Parameters
    ----------
    column : str, the values, such as a meter's reading
    over : str, the order, such as the reading's time
    by : tuple of str, the columns that name a series; () makes all rows one series
    strict : bool, True: values must rise, and a value equal to the one before breaks it
    """

    kind: ClassVar[str] = "monotone"
    shuffles: ClassVar[bool] = True
    column: str
    over: str
    by: tuple[str, ...] = ()
    strict: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of values, order and series."""
        return (self.column, self.over, *self.by)

    def mark_violations(self, frame: DataFrame, flag: str, scope: ComparisonScope) -> DataFrame:
        """Return the frame with ``flag`` true where the value is below the highest one before it."""
        from pyspark.sql import Window, functions as F

        from caudal.engine.marks import quoted
        from caudal.stages.enforce.judging.content import orderable_columns

        value, over = F.col(quoted(self.column)), F.col(quoted(self.over))
        comparable = F.when(over.isNotNull() & ~nan(self.column, frame.schema), value)
        series = [F.col(quoted(name)) for name in (*scope.within, *self.by)] or [F.lit(0)]
        # Within one moment the lower value goes first, so that only rows of earlier moments can be above it.
        earlier_rows = (
            Window.partitionBy(*series).orderBy(over, value, *orderable_columns(frame)).rowsBetween(Window.unboundedPreceding, -1)
        )
        highest = F.max(comparable).over(earlier_rows)
        below = (comparable <= highest) if self.strict else (comparable < highest)
        return frame.withColumn(flag, F.coalesce(below, F.lit(False)) | F.coalesce(nan(self.column, frame.schema), F.lit(False)))


def monotone(column: str, *, over: str, by: str | Sequence[str] = (), strict: bool = False) -> Monotone:
    """Return the expectation that a column never falls along ``over``, in each series of ``by``.

    Examples
    --------
    >>> monotone("odometer", over="read_at", by="car").name
    'monotone(odometer, read_at, by=car)'
    """
    return Monotone(column, over, (by,) if isinstance(by, str) else tuple(by), strict)
