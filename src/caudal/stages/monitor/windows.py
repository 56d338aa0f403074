"""Windows of event time: whole days and weeks by the product's clocks, parts of a day from midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

DAY_S = 86_400
_MONDAY_S = 4 * DAY_S  # 1970-01-05; longer windows begin on Mondays


def local_seconds(times: pa.ChunkedArray | pa.Array, tz: str) -> Any:
    """Return wall-clock times as whole seconds since 1970, int64 [n]; instants are read by the clocks of ``tz``."""

    if pa.types.is_date(times.type):
        times = times.cast(pa.timestamp("us"))
    elif times.type.tz is not None:
        times = pc.local_timestamp(times.cast(pa.timestamp("us", tz=tz)))
    return times.cast(pa.timestamp("s"), safe=False).cast(pa.int64())


def start_of_window(local_s: Any, window_s: int) -> Any:
    """Return the start of the window of a wall-clock time, in seconds since 1970 by the clock; for a number or an array.

    Examples
    --------
    >>> start_of_window(90_000, 86_400), start_of_window(90_000, 3600), start_of_window(0, 7 * 86_400)
    (86400, 90000, -259200)
    """
    origin = _MONDAY_S if window_s > DAY_S else 0
    return (local_s - origin) // window_s * window_s + origin


def instant(local_s: float, tz: str) -> float:
    """Return a wall-clock time as seconds since 1970, UTC."""
    wall = datetime.fromtimestamp(local_s, UTC).replace(tzinfo=ZoneInfo(tz))
    return wall.timestamp()


def wall_clock(at: float, tz: str) -> int:
    """Return an instant as seconds since 1970 by the clocks of ``tz``."""
    return int(datetime.fromtimestamp(at, ZoneInfo(tz)).replace(tzinfo=UTC).timestamp())


def start_of_day(day: str) -> int:
    """Return the start of a day, ``2024-01-31``, in seconds since 1970 by the clock."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY_S


def windows_of_day(day: str, window_s: int) -> range:
    """Return the starts of the windows that rows of a day fall into.

    Examples
    --------
    >>> list(windows_of_day("1970-01-02", 43_200))
    [86400, 129600]
    """
    begin = start_of_day(day)
    return range(int(start_of_window(begin, window_s)), begin + DAY_S, window_s)
