"""Parts of a time by the calendar: hour, weekday, month and others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from caudal.declarations.online import CalendarPart
from caudal.declarations.zone import zone
from caudal.engine import marks
from caudal.engine.marks import quoted
from caudal.engine.moments import micros
from caudal.engine.origins import from_part
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.features.registered import feature

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@feature
def calendar(
    frame: DataFrame,
    time: str | None = None,
    parts: Sequence[str] | str = ("hour", "weekday", "month", "is_weekend"),
    *,
    tz: str | None = None,
) -> DataFrame:
    """Return the frame with parts of a time as numbers: ``pickup_at_hour``, ``pickup_at_weekday``.

    Parameters
    ----------
    frame : DataFrame
    time : str, optional, a timestamp or date column; by default the marked event time
    parts : hour (0–23), quarter_hour (0–95, of the day), weekday (0 Monday – 6 Sunday), day_of_month, day_of_year, month (1–12),
        is_weekend (boolean; Saturday and Sunday), and hour_sin, hour_cos (of the time of day, to the microsecond), weekday_sin,
        weekday_cos (of the day), year_sin, year_cos (of the day of the year): points on a circle, where 23:59 is next to 0:00
    tz : str, optional, for instants (TIMESTAMP): the time zone of the parts, e.g. ``America/New_York``; by default that of
        the product (UTC outside of one; ``cd.in_zone`` sets another)

    Raises
    ------
    DeclarationProblem : an unknown part, a column that is not a time, a tz for local wall time
    """
    caller = "calendar"
    column = marks.event_time(frame, time, caller, "time")
    micros(frame, column, caller)  # raises a clear error where it is not a time
    moment = F.col(quoted(column))
    instant = isinstance(frame.schema[column].dataType, TimestampType)
    if tz is None and instant:
        tz = zone()
    if tz is not None:
        if not instant:
            raise DeclarationProblem(
                f"calendar got tz='{tz}', but '{column}' is already local time.", fix="Leave tz out.", column=column
            )
        moment = F.from_utc_timestamp(moment, tz)
    added = {}
    for part in marks.names(parts):
        if part not in PARTS:
            raise DeclarationProblem(
                f"calendar has no part '{part}'.", nearest=nearest(part, PARTS), fix=f"There are {', '.join(PARTS)}.", part=part
            )
        name = f"{column}_{part}"
        added[name] = from_part(PARTS[part](moment), name, CalendarPart(column, part, tz))
    return frame.withColumns(added)


def _hour(moment: Column) -> Column:
    return F.hour(moment)


def _quarter_hour(moment: Column) -> Column:
    return F.hour(moment) * 4 + F.floor(F.minute(moment) / 15).cast("int")


def _weekday(moment: Column) -> Column:
    # The first of January 1970 was a Thursday. Sail's weekday() gives -1 for a Sunday.
    return F.pmod(F.unix_date(F.to_date(moment)) + F.lit(3), F.lit(7))


def _day_of_month(moment: Column) -> Column:
    return F.dayofmonth(moment)


def _day_of_year(moment: Column) -> Column:
    return F.dayofyear(moment)


def _month(moment: Column) -> Column:
    return F.month(moment)


def _is_weekend(moment: Column) -> Column:
    return _weekday(moment) >= 5


def _share_of_day(moment: Column) -> Column:
    seconds_of_minute = F.date_part(F.lit("SECOND"), moment).cast("double")  # with its fraction
    return (F.hour(moment) * 3600 + F.minute(moment) * 60 + seconds_of_minute) / 86400


def _share_of_week(moment: Column) -> Column:
    return _weekday(moment) / 7


def _share_of_year(moment: Column) -> Column:
    return (_day_of_year(moment) - 1) / 365.25


def _circle(share: Callable[[Column], Column], sine: bool) -> Callable[[Column], Column]:
    def place(moment: Column) -> Column:
        angle = share(moment) * (2 * math.pi)
        return F.sin(angle) if sine else F.cos(angle)

    return place


PARTS: Mapping[str, Callable[[Column], Column]] = {
    "hour": _hour, "quarter_hour": _quarter_hour, "weekday": _weekday, "day_of_month": _day_of_month, "day_of_year": _day_of_year,
    "month": _month, "is_weekend": _is_weekend,
    "hour_sin": _circle(_share_of_day, True), "hour_cos": _circle(_share_of_day, False),
    "weekday_sin": _circle(_share_of_week, True), "weekday_cos": _circle(_share_of_week, False),
    "year_sin": _circle(_share_of_year, True), "year_cos": _circle(_share_of_year, False),
}  # fmt: skip
