"""``between``: values lie in a range."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from caudal.stages.enforce.declared import RowExpectation, is_time, nan, typed_literal

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import StructType

Bound = int | float | Decimal | str | dt.date | dt.datetime


@dataclass(frozen=True)
class Between(RowExpectation):
    """Every value lies between two bounds, bounds included. A null passes; NaN breaks it.

    Parameters
    ----------
    column : str
    low, high : bounds; None leaves that side open. For a date or time column an ISO text such as ``"2023-01-01 06:00"``
    """

    kind: ClassVar[str] = "between"
    column: str
    low: Bound | None
    high: Bound | None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            self.refuse(f"between({self.column}) has no bound.", "Give low=, high= or both.")
        if self.low is not None and self.high is not None:
            try:
                is_reversed = self.low > self.high  # type: ignore[operator]
            except TypeError:
                self.refuse(
                    f"{self.name}: the bounds {self.low!r} and {self.high!r} are of different kinds.",
                    "Give two numbers or two times.",
                )
            if is_reversed:
                self.refuse(
                    f"{self.name}: {self.low} is above {self.high}, so no value fits.",
                    f"Write between({self.column!r}, {self.high}, {self.low}).",
                )

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    @property
    def name(self) -> str:
        """Return the name, for example ``between(fare_usd, 0, 500)``; an open side is shown as ``…``."""
        bounds = ("…" if bound is None else str(bound) for bound in (self.low, self.high))
        return f"{self.kind}({self.column}, {', '.join(bounds)})"

    def fits(self, schema: StructType) -> None:
        """Raise DeclarationProblem where a bound is not of the column's kind."""
        kind = schema[self.column].dataType
        for bound in (self.low, self.high):
            if bound is None:
                continue
            is_text = isinstance(bound, str)
            if is_time(kind):
                try:
                    dt.datetime.fromisoformat(str(bound))
                except ValueError:
                    self.refuse(
                        f"{self.name}: '{bound}' is no time, but '{self.column}' is a {kind.simpleString()}.",
                        "Write it as 2023-01-31 or 2023-01-31 06:00.",
                    )
            elif is_text != (kind.typeName() == "string"):
                kind_name = "text" if is_text else "a number"
                self.refuse(
                    f"{self.name}: {bound!r} is {kind_name}, but '{self.column}' is a {kind.simpleString()}.",
                    "Give bounds of the column's type.",
                )

    def violation(self, schema: StructType) -> Column:
        """Return where the value is below ``low``, above ``high`` or NaN."""
        from pyspark.sql import functions as F

        from caudal.engine.marks import quoted

        value, kind = F.col(quoted(self.column)), schema[self.column].dataType
        out = nan(self.column, schema)
        if self.low is not None:
            out = out | (value < typed_literal(self.low, kind))
        if self.high is not None:
            out = out | (value > typed_literal(self.high, kind))
        return out


def between(column: str, low: Bound | None = None, high: Bound | None = None) -> Between:
    """Return the expectation that a column's values lie from ``low`` to ``high``, both included.

    Examples
    --------
    >>> between("fare_usd", 0, 500).quarantine(max_share=0.02).name
    'between(fare_usd, 0, 500)'
    """
    return Between(column, low, high)
