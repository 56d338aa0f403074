"""The current time zone and its clock changes, by Python's ``zoneinfo``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

_ZONE: ContextVar[str] = ContextVar("caudal_zone", default="UTC")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_YEAR, _LAST_YEAR = 1840, 2200
DAY_S = 86_400
_STEP_S = 3 * DAY_S  # no zone has kept an offset for less than 3.98 days (Freetown in September 1939)


@dataclass(frozen=True)
class ClockChange:
    """A change of a zone's offset from UTC.

    Parameters
    ----------
    at_s : int, seconds since 1970 UTC
    before_s, after_s : int, seconds by which local time is ahead of UTC
    """

    at_s: int
    before_s: int
    after_s: int

    @property
    def ahead_s(self) -> int:
        """Seconds by which clocks are put forward; negative for back."""
        return self.after_s - self.before_s


def zone() -> str:
    """Return the current zone for days and hours of instants: the product's, or UTC outside of a product."""
    return _ZONE.get()


@contextmanager
def in_zone(tz: str) -> Iterator[None]:
    """Use a zone for windows, fills, lags and calendars in the block, for example in a test of a product's function.

    Examples
    --------
    >>> with in_zone("Europe/Berlin"):
    ...     zone()
    'Europe/Berlin'
    """
    ZoneInfo(tz)
    token = _ZONE.set(tz)
    try:
        yield
    finally:
        _ZONE.reset(token)


@cache
def clock_changes(tz: str) -> tuple[ClockChange, ...]:
    """Return the changes of a zone's offset from 1840 to 2200, in order.

    Examples
    --------
    >>> [change.ahead_s for change in clock_changes("Europe/Berlin") if 1710000000 < change.at_s < 1740000000]
    [3600, -3600]
    """
    place = ZoneInfo(tz)
    first, last = (int((dt.datetime(year, 1, 1, tzinfo=dt.UTC) - _EPOCH).total_seconds()) for year in (_FIRST_YEAR, _LAST_YEAR))
    changes = []
    before = _offset_s(place, first)
    # To move one moment on, and to compare offsets as they are, takes half as long as two conversions for each.
    moment, offset, step = _EPOCH + dt.timedelta(seconds=first), dt.timedelta(seconds=before), dt.timedelta(seconds=_STEP_S)
    for end in range(first + _STEP_S, last + _STEP_S, _STEP_S):
        moment += step
        if moment.astimezone(place).utcoffset() == offset:
            continue
        after = _offset_s(place, end)
        offset = dt.timedelta(seconds=after)
        low, high = end - _STEP_S, end
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset_s(place, middle) == before else (low, middle)
        changes.append(ClockChange(high, before, after))
        before = after
    return tuple(changes)


@cache
def longest_change_s(tz: str) -> int:
    """Return the largest clock change since 1970 in seconds; skipped whole days do not count.

    Examples
    --------
    >>> longest_change_s("UTC"), longest_change_s("Europe/Berlin"), longest_change_s("Pacific/Apia")
    (0, 3600, 3600)
    """
    lengths = (abs(change.ahead_s) for change in clock_changes(tz) if change.at_s >= 0)
    return max((length for length in lengths if length % DAY_S), default=0)


@cache
def windows_match_clock(tz: str, width_s: float) -> bool:
    """Return whether windows counted from 1970 UTC begin at the same times as windows of the zone's local time, since 1970.

    Examples
    --------
    >>> windows_match_clock("America/New_York", 3600), windows_match_clock("America/New_York", 7200), windows_match_clock("Asia/Kolkata", 3600)
    (True, False, False)
    """
    place = ZoneInfo(tz)
    offsets = {_offset_s(place, 0), *(change.after_s for change in clock_changes(tz) if change.at_s >= 0)}
    return all(offset % width_s == 0 for offset in offsets)


def first_day_seen(day: str, back_s: float, tz: str) -> str:
    """Return the earliest date that a day's first row needs when it looks back ``back_s`` seconds.

    A day has 23 to 25 hours, so that 24 hours earlier may be two dates earlier; it is at least one date per 24 hours.

    Examples
    --------
    >>> first_day_seen("2024-04-01", 86400, "UTC"), first_day_seen("2024-04-01", 86400, "Europe/Berlin")
    ('2024-03-31', '2024-03-30')
    """
    date = dt.date.fromisoformat(day)
    try:
        on_the_clock = date + dt.timedelta(seconds=-_up_to_days(back_s))
        midnight = dt.datetime.combine(date, dt.time(), ZoneInfo(tz)).timestamp()  # the earlier, where it comes twice
        elapsed = (_EPOCH + dt.timedelta(seconds=midnight - back_s)).astimezone(ZoneInfo(tz)).date()
    except (OverflowError, ValueError):  # before the calendar's first day
        return dt.date.min.isoformat()
    return min(on_the_clock, elapsed).isoformat()


def window_end(start: dt.datetime, width_s: int, tz: str) -> dt.datetime:
    """Return the end of the window that begins at ``start``, a wall time without a zone or an instant with one (docs/adr/0017).

    Examples
    --------
    >>> window_end(dt.datetime(2024, 11, 3, 4, tzinfo=dt.UTC), 86400, "America/New_York").isoformat()
    '2024-11-04T05:00:00+00:00'
    """
    width = dt.timedelta(seconds=width_s)
    if start.tzinfo is None:
        return start + width
    place, tick = ZoneInfo(tz), dt.timedelta(microseconds=1)
    wall = start.astimezone(place).replace(tzinfo=None, fold=0)
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    slot = wall - (wall - midnight) % width
    first, newest = (_shown_at(face, place) for face in (slot, slot + width - tick))
    if len(first) == len(newest) == 2:
        return start + width
    return newest[-1] + tick if newest else _end_of_gap(slot + width - tick, tz)


def _shown_at(face: dt.datetime, place: ZoneInfo) -> list[dt.datetime]:
    """Return the instants at which local clocks show a wall time: none, one or two."""
    instants = sorted({face.replace(tzinfo=place, fold=fold).astimezone(dt.UTC) for fold in (0, 1)})
    return [instant for instant in instants if instant.astimezone(place).replace(tzinfo=None, fold=0) == face]


def _end_of_gap(face: dt.datetime, tz: str) -> dt.datetime:
    face_s = (face.replace(tzinfo=dt.UTC) - _EPOCH).total_seconds()
    gaps = (change.at_s for change in clock_changes(tz) if change.at_s + change.before_s <= face_s < change.at_s + change.after_s)
    return _EPOCH + dt.timedelta(seconds=next(gaps))


def _up_to_days(length_s: float) -> float:
    return -(-length_s // DAY_S) * DAY_S


def _offset_s(place: ZoneInfo, at_s: int) -> int:
    offset = (_EPOCH + dt.timedelta(seconds=at_s)).astimezone(place).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
