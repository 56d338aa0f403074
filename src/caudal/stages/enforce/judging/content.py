"""Rows put in an order by what is in them, so that neither files nor tasks decide which of two rows comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

OWN = "_judged_"  # how columns begin that are there only while a frame is judged
FORMAT_ERRORS, RAW, REASONS, VERDICT = "_format_errors", "_raw", "_reasons", "_verdict"
_MOST_BYTES = 1024
SEGMENT = "_segment"  # names the file of a source's rows


def columns(frame: DataFrame) -> list[str]:
    """Return the names of the columns that are published."""
    return [name for name in frame.columns if not name.startswith(OWN) and name not in (FORMAT_ERRORS, RAW, REASONS, VERDICT)]


def content(frame: DataFrame) -> list[Column]:
    """Return the columns that can be ordered, from left to right."""
    from pyspark.sql import functions as F

    from caudal.engine.marks import quoted

    return [F.col(quoted(name)) for name in columns(frame) if _ordered(frame.schema[name].dataType)]


def readable(frame: DataFrame) -> Column:
    """Return whether a row has kept its format."""
    from pyspark.sql import functions as F

    return F.col(FORMAT_ERRORS).isNull() if FORMAT_ERRORS in frame.columns else F.lit(True)


def _ordered(kind: DataType) -> bool:
    from pyspark.sql.types import ArrayType, StructType

    if isinstance(kind, ArrayType):
        return _ordered(kind.elementType)
    if isinstance(kind, StructType):
        return all(_ordered(field.dataType) for field in kind.fields)
    return kind.typeName() not in ("map", "variant", "calendarinterval", "interval")


def as_json(frame: DataFrame) -> Column:
    """Return the row's published columns as JSON, nulls said."""
    from pyspark.sql import functions as F

    from caudal.engine.marks import quoted

    own = [name for name in columns(frame) if not name.startswith("_")]

    def told(name: str) -> Column:
        column = F.col(quoted(name))
        if frame.schema[name].dataType.typeName() != "binary":
            return column
        return F.when(F.length(column) <= _MOST_BYTES, column).alias(name)  # an image is not looked at as text

    return F.to_json(F.struct(*map(told, own)), {"ignoreNullFields": "false"})
