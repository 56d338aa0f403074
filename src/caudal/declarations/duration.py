"""Durations as people write them: ``"15 minutes"``, ``"2 hours"``, ``"21 days"``."""

from __future__ import annotations

import re

from caudal.declarations.location import outside
from caudal.errors import DeclarationProblem

_SECONDS = {
    "ms": 0.001, "millisecond": 0.001,
    "s": 1, "sec": 1, "second": 1,
    "min": 60, "minute": 60,
    "h": 3600, "hour": 3600,
    "d": 86400, "day": 86400,
    "w": 604800, "week": 604800,
}  # fmt: skip


def seconds(text: str | float) -> float:
    """Return the length of a duration in seconds.

    Examples
    --------
    >>> seconds("15 minutes"), seconds("1 day"), seconds(90)
    (900.0, 86400.0, 90.0)
    """
    length = seconds_or_none(text)
    if length is None:
        raise DeclarationProblem(
            f"'{text}' is not a duration.",
            fix="Write a number and a unit, such as '15 minutes', '2 hours' or '21 days'.",
            where=str(outside()),
        )
    return length


def seconds_or_none(text: str | float) -> float | None:
    """Return the length of a duration in seconds; None for a text that is none, which does not stand in a declaration.

    Examples
    --------
    >>> seconds_or_none("90 days"), seconds_or_none("soon")
    (7776000.0, None)
    """
    if isinstance(text, int | float):
        return float(text)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", text.lower())
    unit = match.group(2) if match else ""
    if match is None or (unit not in _SECONDS and unit + "s" not in _SECONDS):
        return None
    return float(match.group(1)) * _SECONDS.get(unit, _SECONDS.get(unit + "s", 0))


def text(length_s: float) -> str:
    """Return a duration as text, in the largest unit that divides it.

    Examples
    --------
    >>> text(900), text(86400), text(5400), text(1)
    ('15 minutes', '1 day', '90 minutes', '1 second')
    """
    for unit, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if length_s >= size and length_s % size == 0 and unit != "week":
            count = int(length_s // size)
            return f"{count} {unit}" + ("" if count == 1 else "s")
    return f"{length_s:g} seconds"
