"""Order rows by their values, so that neither files nor tasks decide which of two rows comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType

from caudal.engine.capability import Capability
from caudal.engine.choice import can
from caudal.engine.marks import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

TEMPORARY = "_judged_"  # prefix of columns that exist only while a frame is judged
COUNTED = f"{TEMPORARY}counted_"  # prefix of flags whose true values the writer counts, and that no file holds
FORMAT_ERRORS, RAW, REASONS, VERDICT = "_format_errors", "_raw", "_reasons", "_verdict"
MOST_BYTES = 1024
SEGMENT = "_segment"  # the column that names the file of a source's rows


def published_columns(columns: Sequence[str]) -> list[str]:
    """Return those names of a frame's columns that are published."""
    return [name for name in columns if not name.startswith(TEMPORARY) and name not in (FORMAT_ERRORS, RAW, REASONS, VERDICT)]


def orderable_columns(frame: DataFrame) -> list[Column]:
    """Return the columns that can be ordered, from left to right."""
    return [F.col(quoted(name)) for name in published_columns(frame.columns) if _is_orderable(frame.schema[name].dataType)]


def is_readable(columns: Sequence[str]) -> Column:
    """Return the condition that a row of a frame with these columns has no format errors."""
    return F.col(FORMAT_ERRORS).isNull() if FORMAT_ERRORS in columns else F.lit(True)


def _is_orderable(kind: DataType) -> bool:
    if isinstance(kind, ArrayType):
        return _is_orderable(kind.elementType)
    if isinstance(kind, StructType):
        return all(_is_orderable(field.dataType) for field in kind.fields)
    return kind.typeName() not in ("map", "variant", "calendarinterval", "interval")


def json_columns(frame: DataFrame) -> list[str]:
    """Return the names of the columns that a row's JSON holds."""
    return [name for name in published_columns(frame.columns) if not name.startswith("_")]


def row_as_json(frame: DataFrame) -> Column:
    """Return the row's published columns as JSON, nulls included; null on an engine that writes JSON in another form than Spark, where the
    writer fills it in (`by_arrow`)."""
    if not can(frame.sparkSession, Capability.TO_JSON):
        return F.lit(None).cast("string")
    published = json_columns(frame)

    def as_field(name: str) -> Column:
        column = F.col(quoted(name))
        if frame.schema[name].dataType.typeName() != "binary":
            return column
        return F.when(F.length(column) <= MOST_BYTES, column).alias(name)  # an image as text is of no use to a reader

    return F.to_json(F.struct(*map(as_field, published)), {"ignoreNullFields": "false"})
