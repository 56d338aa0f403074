"""Times as microseconds, so that windows are computed in whole numbers.

Local wall time (TIMESTAMP_NTZ) is converted without the session's time zone: a cast to TIMESTAMP would shift the
hours around a clock change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampNTZType, TimestampType

from caudal.engine.marks import quoted
from caudal.errors import DeclarationProblem

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MICROS = 1_000_000
DAY_S = 86_400


def micros(frame: DataFrame, time: str, asking: str) -> Column:
    """Return a time column as microseconds (bigint) since a fixed moment; the same one for all columns of a type.

    Raises
    ------
    DeclarationProblem : the column is neither a date nor a timestamp
    """
    kind, column = frame.schema[time].dataType, F.col(quoted(time))
    if isinstance(kind, TimestampNTZType):
        start, unit = F.expr("timestamp_ntz'0001-01-01'"), F.expr("interval '0.000001' second")
        return F.call_function("div", column - start, unit)
    if isinstance(kind, TimestampType):
        return F.unix_micros(column)
    if isinstance(kind, DateType):
        return F.unix_date(column).cast("bigint") * F.lit(DAY_S * MICROS).cast("bigint")
    raise DeclarationProblem(
        f"{asking} takes '{time}' as a time, but it is of type {kind.simpleString()}.",
        fix="A time is a timestamp_ntz (local wall time), a timestamp (an instant) or a date.",
        column=time,
    )


def to_micros(length_s: float) -> int:
    """Return a duration in microseconds."""
    return round(length_s * MICROS)
