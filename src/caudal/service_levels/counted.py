"""Which minutes count: all of them, or those of declared working hours, by the clocks of a time zone."""

from __future__ import annotations

import datetime as dt
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from caudal.declarations.service_levels import WorkingHours
from caudal.declarations.zone import clock_changes

MINUTE_S = 60
_DAY_MINUTES = 1440
_MONDAY = 3  # 1 January 1970 was a Thursday, three days after a Monday
_SEARCHED_DAYS = 400  # a deadline that is farther away is not looked for

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


def counted_minutes(first: int, count: int, hours: WorkingHours | None, tz: str) -> Flags:
    """Return for each of ``count`` minutes from ``first`` (minutes since 1970, UTC) whether it counts.

    A minute counts if clocks show a time within the working hours when it begins: an hour that clocks skip has no minutes, and one
    that comes twice counts twice.

    Examples
    --------
    >>> from caudal.declarations.service_levels import working_hours
    >>> counted_minutes(28_405_979, 3, working_hours("Thu 09:00-10:00"), "Europe/London").tolist()
    [False, True, True]
    """
    if hours is None:
        return np.ones(count, dtype=np.bool_)
    minutes = first + np.arange(count, dtype=np.int64)
    local = minutes + _offset_minutes(minutes, tz)
    weekday, of_day = (local // _DAY_MINUTES + _MONDAY) % 7, local % _DAY_MINUTES
    counts = np.zeros(count, dtype=np.bool_)
    for day, start, end in hours.spans:
        counts |= (weekday == day) & (of_day >= start) & (of_day < end)
    return counts


def counted_age_s(at: Floats, since: Floats, hours: WorkingHours | None, tz: str) -> Floats:
    """Return how much time that counts lies between each moment of ``since`` and that of ``at``, seconds; ``since`` is never later."""
    if hours is None or not len(at):
        return at - since
    first = int(since.min() // MINUTE_S)
    counts = counted_minutes(first, int(at.max() // MINUTE_S) - first + 1, hours, tz)
    before = np.concatenate(([0.0], np.cumsum(counts) * float(MINUTE_S)))

    def counted_until(moment: Floats) -> Floats:
        minute = (moment // MINUTE_S).astype(np.int64) - first
        return before[minute] + (moment % MINUTE_S) * counts[minute]

    return counted_until(at) - counted_until(since)


def deadline(since: float, length_s: float, hours: WorkingHours | None, tz: str) -> float | None:
    """Return the moment at which ``length_s`` of time that counts has passed; None where it is more than a year away."""
    if hours is None:
        return since + length_s
    first = int(since // MINUTE_S)
    left = length_s + (since % MINUTE_S if counted_minutes(first, 1, hours, tz)[0] else 0.0)
    for day in range(_SEARCHED_DAYS):
        begin = first + day * _DAY_MINUTES
        counts = np.flatnonzero(counted_minutes(begin, _DAY_MINUTES, hours, tz))
        if left <= len(counts) * MINUTE_S and len(counts):
            whole = max(int(-(-left // MINUTE_S)), 1)
            return float((begin + int(counts[whole - 1])) * MINUTE_S + left - (whole - 1) * MINUTE_S)
        left -= len(counts) * MINUTE_S
    return None


def _offset_minutes(minutes: NDArray[np.int64], tz: str) -> NDArray[np.int64]:
    """Return by how many minutes clocks are ahead of UTC in each minute."""
    changes = clock_changes(tz)
    if not changes:
        offset = dt.datetime(1970, 1, 1, tzinfo=ZoneInfo(tz)).utcoffset() or dt.timedelta()
        return np.full(len(minutes), int(offset.total_seconds()) // MINUTE_S, dtype=np.int64)
    at_s = np.array([change.at_s for change in changes], dtype=np.int64)
    ahead_s = np.array([changes[0].before_s, *(change.after_s for change in changes)], dtype=np.int64)
    return ahead_s[np.searchsorted(at_s, minutes * MINUTE_S, side="right")] // MINUTE_S
