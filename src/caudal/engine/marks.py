"""Metadata of a frame's columns: event time, keys, step, and when a value is known.

Spark keeps a column's metadata through filters, joins, selections and renames, so that a declaration at the source is
available wherever the frame is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caudal.declarations.duration import seconds, text as duration_text
from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.protocol import lack
from caudal.errors import DeclarationProblem, nearest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructType

EVENT_TIME = "caudal.event_time"  # true: the column is the row's time
STEP_S = "caudal.step_s"  # the rows of a key are on a grid of this many seconds
KEY = "caudal.key"  # true: together with the event time, it identifies the row
KNOWN = "caudal.known"  # name of the column with the time from which this value is known


def marked(column: str, **marks: object) -> Column:
    """Return a column with the given marks instead of its metadata: ``marked("x", **{KEY: True})``."""
    from pyspark.sql import functions as F

    return F.col(quoted(column)).alias(column, metadata=marks)


def quoted(name: str) -> str:
    """Return a column's name quoted, so that Spark takes dots and blanks literally."""
    return "`" + name.replace("`", "``") + "`"


def names(declared: str | Sequence[str]) -> list[str]:
    """Return one name or several as a list."""
    return [declared] if isinstance(declared, str) else list(declared)


def marked_schema(frame: DataFrame) -> StructType:
    """Return a frame's schema with the metadata that its columns have in Spark.

    Raises
    ------
    EngineLacks : the engine hands metadata on in another way, and the frame's plan does not tell what Spark does
    """
    engine = session_engine(frame.sparkSession)
    if engine.can(Capability.METADATA):
        return frame.schema
    from pyspark.sql.types import StructField, StructType

    from caudal.engine.connect_plan import analysed
    from caudal.engine.plan_node import UnknownPlan

    try:
        columns = analysed(frame)[1]
    except UnknownPlan as unknown:
        raise lack(engine, Capability.METADATA, f"A frame with {unknown}") from None
    if [column.name for column in columns] != frame.columns:
        raise lack(engine, Capability.METADATA, "A frame whose columns are not those of its plan")
    return StructType(
        [
            StructField(field.name, field.dataType, field.nullable, dict(column.metadata))
            for field, column in zip(frame.schema.fields, columns, strict=True)
        ]
    )


def require_columns(frame: DataFrame, columns: Sequence[str], asking: str) -> None:
    """Raise unless the frame has the columns that ``asking`` (a call, as the user wrote it) names."""
    for column in columns:
        if column not in frame.columns:
            raise DeclarationProblem(
                f"{asking} asks for column '{column}', which the frame does not have.",
                nearest=nearest(column, frame.columns),
                fix=f"It has {', '.join(frame.columns)}.",
                column=column,
            )


def event_time(frame: DataFrame, declared: str | None, asking: str, option: str) -> str:
    """Return the event time column: the given one, else the marked one."""
    if declared is not None:
        require_columns(frame, [declared], asking)
        return declared
    marked_columns = [field.name for field in marked_schema(frame).fields if (field.metadata or {}).get(EVENT_TIME)]
    if len(marked_columns) == 1:
        return marked_columns[0]
    raise DeclarationProblem(
        f"{asking} cannot tell which column is the event time: "
        + (f"{' and '.join(marked_columns)} both are." if marked_columns else "none is declared."),
        fix=f'Name it: {option}="…"'
        + ("." if marked_columns else ', or declare event_time="…" on the source or table that the frame comes from.'),
    )


def group_keys(frame: DataFrame, declared: str | Sequence[str] | None, asking: str) -> list[str]:
    """Return the columns by which rows are grouped: the given ones, else those that ``tumble`` marked."""
    if declared is not None:
        given_names = names(declared)
        require_columns(frame, given_names, asking)
        return given_names
    marked_keys = [field.name for field in marked_schema(frame).fields if (field.metadata or {}).get(KEY)]
    if marked_keys:
        return marked_keys
    raise DeclarationProblem(
        f"{asking} cannot tell whose past a row is to see.", fix='Name the key columns: by=["…"] (by=[] makes all rows one series).'
    )


def step_s(frame: DataFrame, time: str, declared: str | float | None, asking: str) -> float:
    """Return the grid step of a time column in seconds: the given one, else the one that ``tumble`` marked."""
    step = seconds(declared) if declared is not None else step_of(frame, time)
    if step:
        return step
    raise DeclarationProblem(
        f"{asking} cannot tell how long a step of '{time}' is.",
        fix='Say it: step="15 minutes"; windows made by cd.tumble know their step.',
        column=time,
    )


def step_of(frame: DataFrame, time: str) -> float | None:
    """Return the step marked on a time column, or None."""
    step = (marked_schema(frame)[time].metadata or {}).get(STEP_S)
    return float(step) if step else None


def duration_name(length: str | float) -> str:
    """Return a duration as part of a column name.

    Examples
    --------
    >>> duration_name("15 minutes"), duration_name(7200)
    ('15_minutes', '2_hours')
    """
    return (length if isinstance(length, str) else duration_text(length)).strip().lower().replace(" ", "_").replace(".", "_")
