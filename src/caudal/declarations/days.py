"""Days of the calendar by their names (``2024-03-01``), within the years that Python's calendar has."""

from __future__ import annotations

import datetime as dt


def shifted(day: str, days: int) -> str:
    """Return the date ``days`` later, limited to the first and the last day of the calendar.

    Examples
    --------
    >>> shifted("2024-02-28", 2), shifted("9999-12-31", 1), shifted("0001-01-02", -7)
    ('2024-03-01', '9999-12-31', '0001-01-01')
    """
    number = dt.date.fromisoformat(day).toordinal() + days
    return dt.date.fromordinal(min(max(number, dt.date.min.toordinal()), dt.date.max.toordinal())).isoformat()
