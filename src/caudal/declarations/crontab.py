"""Cron expressions as cron reads them: five fields, lists, ranges, steps and names; 0 and 7 are Sunday."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))


@dataclass(frozen=True)
class Crontab:
    """The values that each field allows; None: all of them.

    Parameters
    ----------
    follows_time : whether the hour field has a ``*`` or names every hour: then an hour that occurs twice in autumn counts twice
    """

    minutes: tuple[int, ...] | None
    hours: tuple[int, ...] | None
    days: tuple[int, ...] | None
    months: tuple[int, ...] | None
    weekdays: tuple[int, ...] | None
    follows_time: bool = False

    @property
    def never(self) -> bool:
        """Whether the expression matches no date: none of its months has any of its days, and it names no day of the week."""
        dates = [(day, month) for day in self.days or () for month in self.months or ()]
        return bool(dates) and self.weekdays is None and all(day > _LONGEST[month - 1] for day, month in dates)


def parse_crontab(expression: str) -> Crontab:
    """Return the values of each field of a cron expression.

    Raises
    ------
    ValueError : the expression is invalid; the message is a sentence

    Examples
    --------
    >>> parse_crontab("*/20 6 * * 5-7").weekdays, parse_crontab("*/20 6 * * mon").minutes
    ((0, 5, 6), (0, 20, 40))
    """
    written = expression.lower().split()
    if len(written) != len(_FIELDS):
        raise ValueError(f"'{expression}' has {len(written)} fields, not five.")
    fields = [_values(text, *field) for text, field in zip(written, _FIELDS, strict=True)]
    if fields[4] is not None:
        fields[4] = tuple(sorted({day % 7 for day in fields[4]}))
    minutes, hours, days, months, weekdays = fields
    follows_time = "*" in written[1] or hours is None or len(hours) == 24
    return Crontab(minutes, hours, days, months, weekdays, follows_time)


def _values(text: str, name: str, least: int, most: int) -> tuple[int, ...] | None:
    if text == "*":
        return None
    values: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/(\d+))?", part)
        if match is None:
            raise ValueError(f"'{part}' is not a {name}.")
        every, first, last, step = match.groups()
        low = least if every == "*" else _number(first, name, least, most)
        high = most if every == "*" else _number(last, name, least, most) if last else most if step else low
        if every == "*" and most == 7:
            high = 6  # Sunday once
        if high < low or step == "0":
            raise ValueError(f"'{part}' is an empty range of the {name}.")
        values |= set(range(low, high + 1, int(step or 1)))
    return tuple(sorted(values))


def _number(text: str, name: str, least: int, most: int) -> int:
    names = {
        "month": {month: place for place, month in enumerate(_MONTHS, 1)},
        "day of the week": {day: place for place, day in enumerate(DAYS)},
    }
    named = names.get(name, {})
    if text not in named and not text.isdigit():
        raise ValueError(f"'{text}' is no {name}.")
    number = named[text] if text in named else int(text)
    if not least <= number <= most:
        raise ValueError(f"{number} is no {name}: it goes from {least} to {most}.")
    return number
