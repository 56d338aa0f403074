"""Service levels (SLAs) of tables, predictions, served models and streams."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from caudal.declarations.alert import Sla
from caudal.declarations.declared import Declared, Function, name_of
from caudal.declarations.duration import seconds
from caudal.declarations.location import Location, caller, outside
from caudal.declarations.model import Model, Prediction
from caudal.declarations.node import Node
from caudal.errors import DeclarationProblem, nearest

Objective = Literal["fresh", "complete", "valid", "p95", "available"]
OBJECTIVES: tuple[Objective, ...] = ("fresh", "complete", "valid", "p95", "available")
OVER_S, TARGET = 30 * 86_400.0, 0.99
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:(?P<first>[a-z]+)(?:-(?P<last>[a-z]+))?\s+)?(?P<start>\d\d?:\d\d)-(?P<end>\d\d?:\d\d)")


@dataclass(frozen=True)
class WorkingHours:
    """The time of a week that counts, by the clocks of the product's time zone.

    Parameters
    ----------
    text : as it was written
    spans : weekday (0 is Monday), first minute of the day, and the minute after the last, for each stretch
    """

    text: str
    spans: tuple[tuple[int, int, int], ...] = field(compare=False)


@dataclass(frozen=True)
class ServiceLevel:
    """What is promised of a subject; None is not promised.

    Parameters
    ----------
    fresh_s : its newest version (of a stream: its last reading) is no older
    complete : the least share of the usual number of rows that a version has
    valid : the least share of rows that are not set aside
    p95_s : 95 % of a minute's answers are at least as fast
    available : the least share of requests that are answered without an error of the server, in the mean over all minutes
    over_s : the rolling window that the shares are of
    target : the least share of minutes that are fresh or fast, and of versions that are complete
    hours : the time that counts; all of it where left out
    """

    fresh_s: float | None = None
    complete: float | None = None
    valid: float | None = None
    p95_s: float | None = None
    available: float | None = None
    over_s: float = OVER_S
    target: float = TARGET
    hours: WorkingHours | None = None

    @property
    def limits(self) -> dict[Objective, float]:
        """What is promised, by objective."""
        limits = dict(zip(OBJECTIVES, (self.fresh_s, self.complete, self.valid, self.p95_s, self.available), strict=True))
        return {objective: limit for objective, limit in limits.items() if limit is not None}

    def target_of(self, objective: Objective) -> float:
        """Return the least share of good minutes, rows or versions: for ``valid`` and ``available`` it is what is promised itself."""
        return self.limits[objective] if objective in ("valid", "available") else self.target


@dataclass(frozen=True)
class Agreement:
    """A service level of one subject.

    Parameters
    ----------
    subject : a table, table of predictions, served model or stream source
    simple : declared by ``product.sla(table, within=…)``, of which only a late table is alerted
    """

    subject: str
    level: ServiceLevel
    where: Location | None = field(default=None, compare=False)
    simple: bool = False


def working_hours(text: str) -> WorkingHours:
    """Return the time of a week that counts, as ``"Mon-Fri 08:00-18:00, Sat 09:00-13:00"``; without days it is every day.

    Raises
    ------
    DeclarationProblem : a part of it is not a range of days and a range of hours within a day

    Examples
    --------
    >>> working_hours("Sat-Sun 09:00-13:00").spans
    ((5, 540, 780), (6, 540, 780))
    """
    spans: set[tuple[int, int, int]] = set()
    for part in text.lower().split(","):
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise _no_hours(text, f"'{part.strip()}' is not a range of days and hours.")
        first = _weekday(match["first"] or "mon", text)
        last = _weekday(match["last"] or match["first"] or "sun", text)
        start, end = _minute(match["start"], text), _minute(match["end"], text)
        if end <= start:
            raise _no_hours(text, f"'{part.strip()}' ends before it begins.")
        spans |= {((first + day) % 7, start, end) for day in range((last - first) % 7 + 1)}
    return WorkingHours(text, tuple(sorted(spans)))


def sla(
    *,
    fresh: str | float | None = None,
    complete: float | None = None,
    valid: float | None = None,
    p95: str | float | None = None,
    available: float | None = None,
    over: str | float = "30 days",
    target: float = TARGET,
    hours: WorkingHours | None = None,
) -> ServiceLevel:
    """Return a service level: what is promised of a table, of predictions, of a served model or of a stream.

    Parameters
    ----------
    fresh : the newest version is no older; of a stream, the last reading
    complete : the least share of the usual number of rows that a version has
    valid : the least share of rows that are not set aside
    p95 : 95 % of a minute's answers are at least as fast; of a stream, the time from a reading to its statistics
    available : the least share of requests answered without an error of the server; a minute without the server counts as one without answers
    over : the rolling window of the shares
    target : the least share of minutes that are fresh or fast, and of versions that are complete
    hours : the time that counts, as ``cd.working_hours("Mon-Fri 08:00-18:00")``

    Raises
    ------
    DeclarationProblem : nothing is promised, or a share or a length is invalid

    Examples
    --------
    >>> sla(fresh="2 hours", valid=0.98).limits
    {'fresh': 7200.0, 'valid': 0.98}
    """
    where = str(outside())
    level = ServiceLevel(
        None if fresh is None else seconds(fresh), complete, valid, None if p95 is None else seconds(p95), available, seconds(over), target,
        hours,
    )  # fmt: skip
    if not level.limits:
        raise DeclarationProblem("cd.sla promises nothing.", fix='Give an objective: cd.sla(fresh="2 hours").', where=where)
    for name, share in {"valid": valid, "available": available, "target": target}.items():
        if share is not None and not 0 < share < 1:
            raise DeclarationProblem(
                f"cd.sla is given {name}={share}, which leaves no error budget." if share == 1 else f"cd.sla is given {name}={share}.",
                fix="A share that is promised lies between 0 and 1, such as 0.99.", where=where,
            )  # fmt: skip
    if complete is not None and not 0 < complete <= 1:
        raise DeclarationProblem(f"cd.sla is given complete={complete}.", fix="It is a share from 0 to 1.", where=where)
    for name, length_s in {"fresh": level.fresh_s, "p95": level.p95_s}.items():
        if length_s is not None and length_s <= 0:
            raise DeclarationProblem(f"cd.sla is given a {name} of {length_s:g} seconds.", fix="Give a longer time.", where=where)
    if not 3600 <= level.over_s <= 366 * 86_400:
        raise DeclarationProblem(
            f"cd.sla is given over={over!r}.", fix="The window is between an hour and a year, such as '30 days'.", where=where
        )
    return level


class ServiceLevels(Declared):
    """The part of a product that declares service levels."""

    def sla(
        self,
        table: Node | Function | Model | Prediction | str,
        level: ServiceLevel | None = None,
        *,
        within: str | float | None = None,
    ) -> None:
        """Declare the service level of a table, of predictions, of a served model or of a stream.

        ``within="2 hours"`` alone is the simple form of ``cd.sla(fresh="2 hours")``: the table's newest version may not be older.
        """
        where = caller()
        if (level is None) == (within is None):
            raise DeclarationProblem(
                "product.sla() is given " + ("neither a level nor a length of time." if level is None else "both a level and a length of time."),
                fix='Give one: product.sla(table, cd.sla(fresh="2 hours")) or product.sla(table, within="2 hours").',
                where=str(where),
            )  # fmt: skip
        name = table.name if isinstance(table, Model | Prediction) else name_of(table)
        if within is not None:
            self.slas.append(Sla(name, seconds(within), where))
        elif level is not None:
            self._agree(name, level, where)

    @property
    def service_levels(self) -> tuple[Agreement, ...]:
        """All agreements, those of the simple form among them."""
        simple = (Agreement(sla.table, ServiceLevel(fresh_s=sla.within_s), sla.where, simple=True) for sla in self.slas)
        return (*simple, *self.agreements)

    def _agree(self, subject: str, level: ServiceLevel, where: Location) -> None:
        if not isinstance(level, ServiceLevel):
            raise DeclarationProblem(
                f"The SLA of '{subject}' is {level!r}.",
                fix='Write one with cd.sla, such as cd.sla(fresh="2 hours").',
                where=str(where),
            )
        self.agreements.append(Agreement(subject, level, where))


def _weekday(name: str, text: str) -> int:
    if name[:3] not in _WEEKDAYS:
        near = nearest(name, _WEEKDAYS)
        raise _no_hours(text, f"'{name}' is no day of the week.", near.title() if near else None)
    return _WEEKDAYS.index(name[:3])


def _minute(clock: str, text: str) -> int:
    hour, minute = (int(number) for number in clock.split(":"))
    if minute > 59 or hour * 60 + minute > 1440:
        raise _no_hours(text, f"'{clock}' is no time of a day.")
    return hour * 60 + minute


def _no_hours(text: str, why: str, near: str | None = None) -> DeclarationProblem:
    return DeclarationProblem(
        f"'{text}' are no working hours: {why}",
        nearest=near,
        fix="Write 'Mon-Fri 08:00-18:00', several parts with commas; a night is two parts, to 24:00 and from 00:00.",
        where=str(outside()),
    )
