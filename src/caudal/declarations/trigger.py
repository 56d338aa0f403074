"""Triggers of runs: schedules, the arrival of files, and publications of other products."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from caudal.declarations.crontab import parse_crontab
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
    missed : what happens with times that passed while ``caudal up`` was not running: ``once`` runs once for all, ``all`` runs once for each, ``skip`` not at all
    """

    expression: str
    tz: str | None = None
    missed: Missed = "once"
    where: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"cron '{self.expression}'" + (f" in {self.tz}" if self.tz else "")


@dataclass(frozen=True)
class Every:
    """A run every ``length_s`` seconds, counted from midnight of 1 January 1970, UTC, so that the times do not depend on when or where it was started."""

    length_s: float
    missed: Missed = "once"
    where: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"every {text(self.length_s)}"


@dataclass(frozen=True)
class OnArrival:
    """A run when files have arrived or changed, or when a database's watermark has grown."""

    where: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return "on arrival"


@dataclass(frozen=True)
class OnPublish:
    """A run when another product has published a new version of a table."""

    product: str
    table: str
    where: Location | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"when {self.product} publishes '{self.table}'"


Timed = Cron | Every
Trigger = Cron | Every | OnArrival | OnPublish


def cron(expression: str, tz: str | None = None, *, missed: Missed = "once") -> Cron:
    """Return a schedule by a cron expression: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday)."""
    where = caller()
    _policy(missed, where)
    try:
        if parse_crontab(expression).never:
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
    """Return a schedule: ``"midnight"``, ``"noon"``, ``"hour"``, ``"minute"``, or a duration such as ``"15 minutes"``."""
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
            f"'every {length}' is not a schedule.",
            nearest=nearest(length, _NAMED),
            fix=f"Use {', '.join(_NAMED)} or a duration such as '15 minutes'.",
            where=str(where),
        )
    length_s = seconds(length)
    if length_s < 1:
        raise DeclarationProblem(f"A schedule every {length} is too frequent.", fix="Give a second or more.", where=str(where))
    return Every(length_s, missed, where)


def on_arrival() -> OnArrival:
    """Return a trigger for the arrival of files, or of rows in a database whose source has a watermark."""
    return OnArrival(caller())


def on_publish(product: str, table: str) -> OnPublish:
    """Return a trigger for publications of another product of the same home."""
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
            f"There is no missed='{missed}'.",
            nearest=nearest(missed, get_args(Missed)),
            fix="Use once, all or skip.",
            where=str(where),
        )
