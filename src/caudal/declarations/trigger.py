"""When a product is to run: by the clock, by the arrival of files, or when another product has published."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from caudal.declarations.crontab import parsed
from caudal.declarations.duration import seconds, text
from caudal.declarations.location import Location, caller
from caudal.errors import DeclarationProblem, nearest

Missed = Literal["once", "all", "skip"]
_NAMED = {"midnight": "0 0 * * *", "noon": "0 12 * * *", "day": "0 0 * * *", "hour": "0 * * * *", "minute": "* * * * *"}


@dataclass(frozen=True)
class Cron:
    """A cron expression of five fields, in the product's time zone unless another is given.

    Parameters
    ----------
    missed : what becomes of times that passed while nobody was there: ``once`` makes one of them, ``all`` one run each, ``skip`` none
    """

    expression: str
    tz: str | None = None
    missed: Missed = "once"
    where: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"cron '{self.expression}'" + (f" in {self.tz}" if self.tz else "")


@dataclass(frozen=True)
class Every:
    """Once every so many seconds, counted from midnight of 1 January 1970, UTC: the same times wherever and whenever it was begun."""

    length_s: float
    missed: Missed = "once"
    where: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"every {text(self.length_s)}"


@dataclass(frozen=True)
class OnArrival:
    """Runs when new files have arrived or known ones have changed; or a database's watermark has grown."""

    where: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return "on arrival"


@dataclass(frozen=True)
class OnPublish:
    """Runs when another product has published a new version of a table."""

    product: str
    table: str
    where: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"when {self.product} publishes '{self.table}'"


Timed = Cron | Every
Trigger = Cron | Every | OnArrival | OnPublish


def cron(expression: str, tz: str | None = None, *, missed: Missed = "once") -> Cron:
    """Return a trigger by the clock: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday)."""
    where = caller()
    _policy(missed, where)
    try:
        if parsed(expression).never:
            raise ValueError("None of those months has such a day.")
    except ValueError as error:
        raise DeclarationProblem(
            f"'{expression}' is not a cron expression: {error}",
            fix="Give minute, hour, day of the month, month, day of the week, such as '0 6 * * 1-5'.",
            where=str(where),
        ) from None
    _zone(tz, where)
    return Cron(expression, tz, missed, where)


def every(length: str | float, *, tz: str | None = None, missed: Missed = "once") -> Cron | Every:
    """Return a trigger by the clock: ``"midnight"``, ``"noon"``, ``"hour"``, ``"minute"``, or a duration such as ``"15 minutes"``."""
    where = caller()
    _policy(missed, where)
    if isinstance(length, str) and length in _NAMED:
        _zone(tz, where)
        return Cron(_NAMED[length], tz, missed, where)
    if tz is not None:
        raise DeclarationProblem(
            f"'every {length}' has no time zone: it is counted from 1970, UTC.",
            fix="Leave tz out, or use cd.cron(...).",
            where=str(where),
        )
    if isinstance(length, str) and not re.match(r"\s*\d", length):
        raise DeclarationProblem(
            f"Nothing is done every '{length}'.",
            nearest=nearest(length, _NAMED),
            fix=f"Use {', '.join(_NAMED)} or a duration such as '15 minutes'.",
            where=str(where),
        )
    length_s = seconds(length)
    if length_s < 1:
        raise DeclarationProblem(f"A schedule every {length} is too dense.", fix="Give a second or more.", where=str(where))
    return Every(length_s, missed, where)


def on_arrival() -> OnArrival:
    """Return a trigger by the arrival of files, or of rows in a database whose source has a watermark."""
    return OnArrival(caller())


def on_publish(product: str, table: str) -> OnPublish:
    """Return a trigger by what another product of the same home publishes."""
    return OnPublish(product, table, caller())


def _zone(tz: str | None, where: Location) -> None:
    try:
        ZoneInfo(tz or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        raise DeclarationProblem(
            f"A schedule has the unknown time zone '{tz}'.", fix="Use an IANA name such as 'Europe/Berlin'.", where=str(where)
        ) from None


def _policy(missed: str, where: Location) -> None:
    if missed not in get_args(Missed):
        raise DeclarationProblem(
            f"Missed schedules are to be treated by '{missed}'.",
            nearest=nearest(missed, get_args(Missed)),
            fix="Use once, all or skip.",
            where=str(where),
        )
