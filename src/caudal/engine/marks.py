"""What a frame's columns say about themselves in their metadata: event time, keys, step, and when a value is known.

Spark keeps a column's metadata through filters, joins, selections and renames, so that what is declared once at the source is
found again by whatever reads the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caudal.declarations.duration import seconds, text as duration_text
from caudal.errors import DeclarationProblem, nearest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

EVENT_TIME = "caudal.event_time"  # true: tells when the row happened
STEP_S = "caudal.step_s"  # the rows of a key lie on a grid of so many seconds
KEY = "caudal.key"  # true: with the event time, names the row
KNOWN = "caudal.known"  # name of the column that tells when this value is known


def marked(column: str, **marks: Any) -> Column:
    """Return a column with the given marks in place of its metadata: ``marked("x", **{KEY: True})``."""
    from pyspark.sql import functions as F

    return F.col(quoted(column)).alias(column, metadata=marks)


def quoted(name: str) -> str:
    """Return a column's name so that Spark takes dots and blanks in it as they are."""
    return "`" + name.replace("`", "``") + "`"


def names(said: str | Sequence[str]) -> list[str]:
    """Return one name or several as a list."""
    return [said] if isinstance(said, str) else list(said)


def need(frame: DataFrame, columns: Sequence[str], asking: str) -> None:
    """Hold that the frame has the columns that ``asking`` (a call, as the user wrote it) names."""
    for column in columns:
        if column not in frame.columns:
            raise DeclarationProblem(
                f"{asking} asks for column '{column}', which the frame does not have.",
                nearest=nearest(column, frame.columns),
                fix=f"It has {', '.join(frame.columns)}.",
                column=column,
            )


def event_time(frame: DataFrame, given: str | None, asking: str, option: str) -> str:
    """Return the column that tells when a row happened: the one given, else the one that is marked."""
    if given is not None:
        need(frame, [given], asking)
        return given
    found = [field.name for field in frame.schema.fields if (field.metadata or {}).get(EVENT_TIME)]
    if len(found) == 1:
        return found[0]
    raise DeclarationProblem(
        f"{asking} cannot tell which column is the event time: "
        + (f"{' and '.join(found)} both are." if found else "none is declared."),
        fix=f'Name it: {option}="…"'
        + ("." if found else ', or declare event_time="…" on the source or table that the frame comes from.'),
    )


def keys(frame: DataFrame, given: str | Sequence[str] | None, asking: str) -> list[str]:
    """Return the columns that rows are grouped by: those given, else those that ``tumble`` marked."""
    if given is not None:
        said = names(given)
        need(frame, said, asking)
        return said
    found = [field.name for field in frame.schema.fields if (field.metadata or {}).get(KEY)]
    if found:
        return found
    raise DeclarationProblem(
        f"{asking} cannot tell whose past a row is to see.", fix='Name the key columns: by=["…"] (by=[] makes all rows one series).'
    )


def step_s(frame: DataFrame, time: str, given: str | float | None, asking: str) -> float:
    """Return the grid step of a time column in seconds: the one given, else the one that ``tumble`` marked."""
    found = seconds(given) if given is not None else step_of(frame, time)
    if found:
        return found
    raise DeclarationProblem(
        f"{asking} cannot tell how long a step of '{time}' is.",
        fix='Say it: step="15 minutes"; windows made by cd.tumble know their step.',
        column=time,
    )


def step_of(frame: DataFrame, time: str) -> float | None:
    """Return the step that is marked on a time column, or None."""
    found = (frame.schema[time].metadata or {}).get(STEP_S)
    return float(found) if found else None


def worded(length: str | float) -> str:
    """Return a duration as a part of a column name.

    Examples
    --------
    >>> worded("15 minutes"), worded(7200)
    ('15_minutes', '2_hours')
    """
    return (length if isinstance(length, str) else duration_text(length)).strip().lower().replace(" ", "_").replace(".", "_")
