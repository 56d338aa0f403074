"""Scheduled times, by APScheduler's calendar, counted from the last one in the ledger, so that missed ones are found."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from caudal.daemon.events import Event
from caudal.daemon.watch import DeclaredTrigger, Look, watches
from caudal.declarations.crontab import DAYS, parse_crontab
from caudal.declarations.trigger import Cron, Every, Timed
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import schedules
from caudal.ledger.rows import ScheduleRow

ON_TIME_S = 60.0  # a time this recent was not missed
MOST = 1000  # missed runs that are made up for; of more, only the newest


@watches("clock")
def clock_watcher(watched: DeclaredTrigger) -> ClockWatcher | None:
    """Return the watcher of scheduled times; None for other triggers."""
    if not isinstance(watched.trigger, Timed):
        return None
    pipeline: Literal["all", "predict"] = "predict" if watched.of.startswith("prediction:") else "all"
    return ClockWatcher(watched.product.name, watched.trigger, watched.product.tz, watched.of, pipeline)


class ClockWatcher:
    """A trigger by the clock."""

    def __init__(
        self, product: str, trigger: Timed, tz: str, of: str, pipeline: Literal["all", "predict"] = "all",
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.product, self.trigger, self._tz, self._pipeline, self._clock = product, trigger, tz, pipeline, clock
        self.name = f"{of}:{trigger}"[:200]
        self._until: float | None = None
        self._looked, self._next_at = 0.0, 0.0

    def places(self) -> list[tuple[Path, bool]]:
        """Return no folder."""
        return []

    def look(self, ledger: Ledger) -> Look:
        """Return the times that came due since the last recorded look; the first look ever only starts the count."""
        now = self._clock()
        if self._until is not None and now < self._next_at:
            return Look([], again_s=self._next_at - now)
        if self._until is None:
            recorded = ledger.find(schedules, product=self.product, trigger=self.name)
            self._until = recorded[0]["until"] if recorded else now
        times_due = due(self.trigger, self._tz, self._until, now)
        alone = self.trigger.missed == "all" and len(times_due) > 1
        events = [
            Event(
                self.product,
                self.name,
                "time",
                self._local_time(at),
                f"{at:.0f}",
                at,
                self._pipeline,
                alone,
                {"late_s": round(now - at, 1)},
            )
            for at in times_due
        ]
        following = next(trigger_times(self.trigger, self._tz, now), None)
        self._next_at = following if following is not None else float("inf")
        self._looked = now
        row: ScheduleRow = {"product": self.product, "trigger": self.name, "until": now, "next_at": following}
        return Look(events, again_s=self._next_at - now, schedule=row)

    def recorded(self, recorded_events: list[Event]) -> None:
        """Continue from the last look."""
        if self._looked:
            self._until = self._looked

    def _local_time(self, at: float) -> str:
        zone = getattr(self.trigger, "tz", None) or self._tz
        return dt.datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat()


def due(trigger: Timed, tz: str, since: float, now: float) -> list[float]:
    """Return the times after ``since`` and up to ``now`` for which a run is due, by the trigger's policy for missed runs.

    Examples
    --------
    >>> hour = Every(3600, "all")
    >>> due(hour, "UTC", 0, 7200), due(Every(3600, "once"), "UTC", 0, 7500), due(Every(3600, "skip"), "UTC", 0, 7500)
    ([3600, 7200], [7200], [])
    """
    if trigger.missed == "all":
        return list(_until(trigger_times(trigger, tz, since), now))[-MOST:]
    if trigger.missed == "skip":
        since = max(since, now - ON_TIME_S)
    # For most triggers a day before now is enough; a year without the daemon need not be counted minute by minute.
    for back_s in (ON_TIME_S, 86400.0, 32 * 86400.0, float("inf")):
        moments = list(_until(trigger_times(trigger, tz, max(since, now - back_s)), now))
        if moments or now - back_s <= since:
            return moments[-1:]
    return []


def trigger_times(trigger: Timed, tz: str, since: float) -> Iterator[float]:
    """Yield the times of a trigger after ``since``, without end."""
    if isinstance(trigger, Every):
        count = since // trigger.length_s + 1
        while True:
            yield count * trigger.length_s
            count += 1
    zone, last = ZoneInfo(trigger.tz or tz), since
    twice = parse_crontab(trigger.expression).follows_time
    # Include the day before: a time that the clocks skipped may come after midnight.
    for day in _days(trigger, dt.datetime.fromtimestamp(since, zone).date() - dt.timedelta(days=1)):
        for at in _instants(day, zone, twice=twice):
            if at > last:
                last = at
                yield at


def _days(trigger: Cron, since: dt.date) -> Iterator[list[dt.datetime]]:
    """Yield the wall-clock times of each day that has any.

    APScheduler is asked in UTC: with a zone it passes over times on days when the clocks change (3.11 does not give the midnight
    after the night in which summer time begins).
    """
    calendar = _calendar(trigger)
    moment: dt.datetime | None = calendar.get_next_fire_time(None, dt.datetime.combine(since, dt.time(), dt.UTC))
    moments: list[dt.datetime] = []
    while moment is not None:
        if moments and moment.date() != moments[0].date():
            yield moments
            moments = []
        moments.append(moment)
        moment = calendar.get_next_fire_time(None, moment + dt.timedelta(microseconds=1))
    yield moments


def _instants(wall_times: list[dt.datetime], zone: ZoneInfo, *, twice: bool) -> list[float]:
    """Return the instants at which a zone's clocks show these times; a skipped time is shifted by as much as the clocks are.

    A time that occurs twice counts once, unless the expression follows elapsed time.
    """
    moments = set()
    for wall in wall_times:
        first, second = (wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
        moments.add(first)
        if twice and second > first:  # in a gap the second lies before the first
            moments.add(second)
    return sorted(moments)


def _calendar(trigger: Cron) -> Any:
    """Return APScheduler's trigger. It counts weekdays from Monday and requires both the day and the weekday; cron does neither."""
    fields = parse_crontab(trigger.expression)
    common = {
        "minute": _listed(fields.minutes),
        "hour": _listed(fields.hours),
        "month": _listed(fields.months),
        "second": "0",
        "timezone": dt.UTC,
    }
    weekdays = None if fields.weekdays is None else ",".join(DAYS[day] for day in fields.weekdays)
    if fields.days is not None and weekdays is not None:
        return OrTrigger([CronTrigger(day=_listed(fields.days), **common), CronTrigger(day_of_week=weekdays, **common)])
    return CronTrigger(day=_listed(fields.days), day_of_week=weekdays, **common)


def _listed(values: tuple[int, ...] | None) -> str:
    return "*" if values is None else ",".join(map(str, values))


def _until(moments: Iterator[float], end: float) -> Iterator[float]:
    for at in moments:
        if at > end:
            return
        yield at
