"""Where columns of features come from: parts of a time, or values of earlier rows that change with time, by key.

Within `collected_origins` the functions of ``stages/features`` mark each column that they add. Spark keeps the mark through selections and renames and drops it where a
column is computed further, so what is marked is known to be exactly what the function gave. Outside of the block nothing is marked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import TimestampNTZType, TimestampType

from caudal.declarations.online import CalendarPart
from caudal.engine.marks import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructType

ORIGIN = "caudal.origin"
KEY, AT, VALUE = "__key_", "__at", "__value_"
FIRST_US = 62_135_596_800_000_000  # microseconds from the year 1, where `micros` counts local times from, to 1970


@dataclass(frozen=True)
class Timeline:
    """How values change with time, by key.

    Parameters
    ----------
    keys : names of the columns that make up the key
    time : name of the column whose time they follow
    local : whether that is local wall time, and not an instant
    columns : names of the values
    valid_us : for how long values hold from their time on, 0 for that time only; None until the next ones
    rows : returns a frame: ``__key_<n>`` as text, ``__at`` in microseconds since 1970 from which on the values hold, ``__value_<n>``
    """

    keys: tuple[str, ...]
    time: str
    local: bool
    columns: tuple[str, ...]
    valid_us: int | None
    rows: Callable[[], DataFrame]


@dataclass
class FeatureOrigins:
    """The timelines of the features that were called within a block."""

    timelines: list[Timeline] = field(default_factory=list)

    def of(self, schema: StructType) -> dict[str, CalendarPart | tuple[Timeline, int]]:
        """Return the origin of each column that has one: a part of a time, or a timeline and the place of the value in it."""
        found: dict[str, CalendarPart | tuple[Timeline, int]] = {}
        for column in schema.fields:
            if (text := (column.metadata or {}).get(ORIGIN)) is not None:
                document = json.loads(text)
                part = document.get("part")
                found[column.name] = (
                    (self.timelines[document["timeline"]], document["value"]) if part is None else CalendarPart(**document)
                )
        return found


def fields_found_by(origin: CalendarPart | tuple[Timeline, int]) -> tuple[str, ...]:
    """Return the time by which a value is found, then its keys."""
    return (origin.time,) if isinstance(origin, CalendarPart) else (origin[0].time, *origin[0].keys)


_ORIGINS: ContextVar[FeatureOrigins | None] = ContextVar("caudal_origins", default=None)


@contextmanager
def collected_origins() -> Iterator[FeatureOrigins]:
    """Collect the origins of the columns that features add within the block."""
    origins = FeatureOrigins()
    token = _ORIGINS.set(origins)
    try:
        yield origins
    finally:
        _ORIGINS.reset(token)


def from_part(value: Column, name: str, part: CalendarPart) -> Column:
    """Return a column under its name, marked as a part of a time where origins are collected."""
    if _ORIGINS.get() is None:
        return value
    return value.alias(name, metadata={ORIGIN: json.dumps({"time": part.time, "part": part.part, "tz": part.tz})})


def from_timeline(values: Sequence[tuple[str, Column]], timeline: Callable[[], Timeline | None]) -> dict[str, Column]:
    """Return columns by name, marked as values of a timeline where origins are collected and the timeline is there."""
    origins = _ORIGINS.get()
    made = None if origins is None else timeline()
    if origins is None or made is None:
        return dict(values)
    origins.timelines.append(made)
    number = len(origins.timelines) - 1
    return {
        name: value.alias(name, metadata={ORIGIN: json.dumps({"timeline": number, "value": made.columns.index(name)})})
        for name, value in values
    }


def is_wall_time(frame: DataFrame, time: str) -> bool | None:
    """Return whether a time is local wall time, or an instant; None for dates, which callers give otherwise."""
    kind = frame.schema[time].dataType
    return True if isinstance(kind, TimestampNTZType) else False if isinstance(kind, TimestampType) else None


def timeline_rows(frame: DataFrame, keys: Sequence[str | Column], at: Column, values: Sequence[Column], local: bool) -> DataFrame:
    """Return the rows of a timeline, without those that lack a time.

    Parameters
    ----------
    at : as `caudal.engine.moments.micros` counts
    """
    since_1970 = at - F.lit(FIRST_US).cast("bigint") if local else at
    key_columns = [F.col(quoted(key)) if isinstance(key, str) else key for key in keys]
    return frame.select(
        *(key.cast("string").alias(f"{KEY}{place}") for place, key in enumerate(key_columns)),
        since_1970.alias(AT),
        *(value.alias(f"{VALUE}{place}") for place, value in enumerate(values)),
    ).where(F.col(AT).isNotNull())


def unmarked(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """Return a column's metadata without the mark of an origin."""
    return {key: value for key, value in (metadata or {}).items() if key != ORIGIN}
