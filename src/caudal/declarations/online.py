"""Features that a server computes from a time itself: the parts that ``cd.calendar`` gives, by Python's calendar."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

_EPOCH = dt.datetime(1970, 1, 1)
_TICK = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class CalendarPart:
    """A part of a time.

    Parameters
    ----------
    time : name of the time
    part : one of `PARTS`
    tz : str, optional, the zone in which an instant is looked at; None for local wall times
    """

    time: str
    part: str
    tz: str | None

    def of(self, at_us: int) -> float | int | bool:
        """Return the part of a time in microseconds since 1970, as Spark computes it for ``cd.calendar``.

        Examples
        --------
        >>> CalendarPart("at", "hour", "America/New_York").of(1_675_209_600_000_000), CalendarPart("at", "hour", None).of(1_675_209_600_000_000)
        (19, 0)
        """
        moment = _EPOCH + dt.timedelta(microseconds=at_us)
        if self.tz is not None:
            moment = moment.replace(tzinfo=dt.UTC).astimezone(_zone(self.tz)).replace(tzinfo=None, fold=0)
        return PARTS[self.part](moment)


_zone = cache(ZoneInfo)


def _share_of_day(moment: dt.datetime) -> float:
    return (moment.hour * 3600 + moment.minute * 60 + (moment.second + moment.microsecond / 1e6)) / 86400


def _share_of_week(moment: dt.datetime) -> float:
    return moment.weekday() / 7


def _share_of_year(moment: dt.datetime) -> float:
    return (moment.timetuple().tm_yday - 1) / 365.25


def _on_circle(share: Callable[[dt.datetime], float], function: Callable[[float], float]) -> Callable[[dt.datetime], float]:
    return lambda moment: function(share(moment) * (2 * math.pi))


PARTS: Mapping[str, Callable[[dt.datetime], float | int | bool]] = {
    "hour": lambda moment: moment.hour,
    "quarter_hour": lambda moment: moment.hour * 4 + moment.minute // 15,
    "weekday": lambda moment: moment.weekday(),
    "day_of_month": lambda moment: moment.day,
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
    "month": lambda moment: moment.month,
    "is_weekend": lambda moment: moment.weekday() >= 5,
    "hour_sin": _on_circle(_share_of_day, math.sin), "hour_cos": _on_circle(_share_of_day, math.cos),
    "weekday_sin": _on_circle(_share_of_week, math.sin), "weekday_cos": _on_circle(_share_of_week, math.cos),
    "year_sin": _on_circle(_share_of_year, math.sin), "year_cos": _on_circle(_share_of_year, math.cos),
}  # fmt: skip


def micros_of(moment: dt.datetime) -> int:
    """Return a local wall time, or an instant of UTC without its zone, in microseconds since 1970.

    Examples
    --------
    >>> micros_of(dt.datetime(1970, 1, 1, 0, 0, 1))
    1000000
    """
    return (moment - _EPOCH) // _TICK


def moment_of(at_us: int) -> dt.datetime:
    """Return the time that is so many microseconds after 1970 began."""
    return _EPOCH + dt.timedelta(microseconds=at_us)
