"""The base classes of all expectations: they judge each row by itself, rows by comparison with others, or a table as a whole.

A null breaks ``not_null`` and nothing else, as in SQL's CHECK: a missing value is not a wrong value. NaN is a value that breaks
every expectation that compares it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from caudal.declarations.expectation import Expectation
from caudal.errors import DeclarationProblem

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType, StructType

_SHARED = ("action", "max_share", "where")
_MOST_DIGITS = 38  # of a decimal
_USUAL_DECIMALS = ((10, 2), (18, 6), (38, 18))  # precision and scale


@dataclass(frozen=True, kw_only=True)
class DeclaredExpectation(Expectation):
    """An expectation with a readable name and JSON-ready parameters."""

    @property
    def name(self) -> str:
        """Return the expectation as a product writes it, without the options that have their default."""
        parts = []
        for attribute in fields(self):
            value = getattr(self, attribute.name)
            if attribute.name in _SHARED or (attribute.default is not MISSING and value == attribute.default):
                continue
            value_text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            parts.append(value_text if attribute.default is MISSING else f"{attribute.name}={value_text}")
        return f"{self.kind}({', '.join(parts)})"

    def parameters(self) -> dict[str, object]:
        """Return every declared value, JSON-ready."""
        return {name: _as_json_value(value) for name, value in super().parameters().items()}

    def refuse(self, problem: str, fix: str | None = None, nearest: str | None = None, **facts: object) -> NoReturn:
        """Raise DeclarationProblem for this expectation."""
        place = str(self.where) if self.where else None
        raise DeclarationProblem(problem, fix=fix, nearest=nearest, where=place, expectation=self.name, **facts)

    def fits(self, schema: StructType) -> None:
        """Raise DeclarationProblem where the type of a column makes the expectation meaningless."""

    def fits_others(self, schema: StructType, others: Mapping[str, StructType]) -> None:
        """Raise DeclarationProblem where the other tables lack the columns that it reads, or have them with the wrong type."""


@dataclass(frozen=True, kw_only=True)
class RowExpectation(DeclaredExpectation):
    """An expectation that each row meets or breaks on its own."""

    def violation(self, schema: StructType) -> Column:
        """Return the condition under which a row breaks the expectation; a row for which it is null meets the expectation."""
        raise NotImplementedError


@dataclass(frozen=True)
class ComparisonScope:
    """The other rows and tables that a row is compared with.

    Parameters
    ----------
    table : str, the table's name
    others : the tables that expectations refer to
    within : columns that divide the table; rows of different parts are never compared, because an incremental run sees only some parts
    """

    table: str = "table"
    others: Mapping[str, DataFrame] = field(default_factory=dict)
    within: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ComparedExpectation(DeclaredExpectation):
    """An expectation that each row meets or breaks by comparison with other rows, of this table or of another."""

    shuffles: ClassVar[bool] = False  # True where judging it shuffles the whole frame

    def mark_violations(self, frame: DataFrame, flag: str, scope: ComparisonScope) -> DataFrame:
        """Return the frame with a boolean column ``flag``, true for rows that break the expectation; rows are neither added nor removed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Figures:
    """The figures that a table as a whole is judged by: the rows this run publishes, their profile, and the profiles of earlier versions.

    Parameters
    ----------
    rows : int, good rows
    profile : mapping of column to ``{nulls, min, max, mean, stddev}``; times are ISO text
    history : rows of the ledger's profiles, newest last: ``{"rows": …, "columns": profile}``
    now : float, seconds since 1970, UTC
    tz : str, the zone of local wall times
    """

    rows: int
    profile: Mapping[str, Mapping[str, object]]
    history: Sequence[Mapping[str, Any]] = ()
    now: float = 0.0
    tz: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class TableExpectation(DeclaredExpectation):
    """An expectation that the table as a whole meets or breaks; there are no rows to set aside, so it warns or stops."""

    per_row: ClassVar[bool] = False

    def quarantine(self, max_share: float | None = None) -> Self:  # noqa: ARG002
        """Raise DeclarationProblem: the table as a whole breaks the expectation, so there are no rows to quarantine."""
        self.refuse(f"{self.name} judges the table as a whole, so there are no rows to quarantine.", "Use .warn() or .stop().")

    def fault(self, figures: Figures) -> str | None:
        """Return a sentence that says how the table breaks the expectation, or None where it meets it."""
        raise NotImplementedError


def typed_literal(value: object, kind: DataType) -> Column:
    """Return a declared value as a constant of a column's type, where text stands for a date or time.

    A float column is compared with floats: its 0.1 is the float nearest to 0.1, not the double 0.1. An integer column is compared with
    integers and a decimal one with decimals, because large values that differ can be equal as doubles.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import DateType, DecimalType, DoubleType, FloatType, TimestampNTZType, TimestampType

    if isinstance(kind, DateType | TimestampNTZType | TimestampType) and isinstance(value, str | dt.date):
        # A bound with a time of day compared with a date column must not be cut to its day.
        type_name = "timestamp_ntz" if isinstance(kind, DateType) and len(str(value)) > 10 else kind.simpleString()
        return F.lit(str(value)).cast(type_name)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return F.lit(value)
    if isinstance(kind, FloatType):
        return F.lit(float(value)).cast("float")
    exact = None if isinstance(kind, DoubleType) or value != value or abs(value) == math.inf else Decimal(str(value))
    if exact is not None and isinstance(kind, DecimalType):
        fraction_digits = max(0, -int(exact.as_tuple().exponent))
        integer_digits = max(1, exact.adjusted() + 1)
        # The usual decimals come first: engines other than Spark are known to convert texts to these.
        for precision, scale in (*_USUAL_DECIMALS, (integer_digits + fraction_digits, fraction_digits)):
            holds = integer_digits <= precision - scale and fraction_digits <= scale
            if holds and max(precision - scale, kind.precision - kind.scale) + max(scale, kind.scale) <= _MOST_DIGITS:
                return F.lit(f"{exact:f}").cast(DecimalType(precision, scale))
        value = float(value)  # no decimal has the digits of both: Spark would round one of them, and take 5.5 for 6
    elif exact is not None and exact == exact.to_integral_value() and abs(exact) < 1 << 63:
        return F.lit(int(exact))
    return F.lit(float(value) if isinstance(value, int) and abs(value) >= 1 << 63 else value)


def is_time(type_: DataType) -> bool:
    """Return whether a type is of dates or times."""
    return type_.typeName() in ("date", "timestamp", "timestamp_ntz")


def is_number(type_: DataType) -> bool:
    """Return whether a type is of numbers."""
    return type_.typeName() in ("byte", "short", "integer", "long", "float", "double", "decimal")


def nan(column: str, schema: StructType) -> Column:
    """Return a condition that is true where a column is NaN."""
    from pyspark.sql import functions as F

    from caudal.engine.marks import quoted

    floating = schema[column].dataType.typeName() in ("float", "double")
    return F.isnan(F.col(quoted(column))) if floating else F.lit(False)


def _as_json_value(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_as_json_value(item) for item in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
