"""The state of an agreement: the figures of each of its objectives, its history by day, and a breach that can be seen coming."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from caudal.declarations.service_levels import Agreement, Objective, ServiceLevel
from caudal.graph.service_levels import SubjectKind
from caudal.ledger.ledger import Ledger
from caudal.service_levels import history, series
from caudal.service_levels.agreed import Agreed
from caudal.service_levels.budget import BudgetFigures, ServiceSeries, figures
from caudal.service_levels.counted import MINUTE_S, Floats, counted_age_s, deadline

HISTORY_DAYS = 14
_LONGEST_CLOSED_S = 10 * 86_400.0  # without working hours: a sample before them still counts after


@dataclass(frozen=True)
class SubjectAge:
    """How old a subject is.

    Parameters
    ----------
    newest_at : when its newest version was published
    age_s : of the time that counts
    due_at : when it will be too old; None where that is more than a year away
    """

    newest_at: float
    age_s: float
    due_at: float | None


@dataclass(frozen=True)
class Day:
    """The share that was good on a date of the product's time zone; None where nothing counted."""

    date: str
    level: float | None


@dataclass(frozen=True)
class ObjectiveState:
    """An objective with its figures.

    Parameters
    ----------
    limit : what is promised: seconds for ``fresh`` and ``p95``, a share else
    target : the share of good minutes, versions or rows that is promised
    unit : minutes, versions, rows or samples
    history : the last days, oldest first
    """

    objective: Objective
    limit: float
    target: float
    unit: str
    figures: BudgetFigures
    history: tuple[Day, ...]
    freshness: SubjectAge | None = None


@dataclass(frozen=True)
class AgreementState:
    """An agreement with the state of its objectives."""

    agreement: Agreement
    kind: SubjectKind
    objectives: tuple[ObjectiveState, ...]


def assess(ledger: Ledger, agreed: Agreed, now: float) -> list[AgreementState]:
    """Return the state of all agreements of a product."""
    return [_agreement(ledger, agreed, agreement, kind, now) for agreement, kind in agreed.agreements]


def _agreement(ledger: Ledger, agreed: Agreed, agreement: Agreement, kind: SubjectKind, now: float) -> AgreementState:
    reader = _Reader(ledger, agreed, agreement, kind, now)
    return AgreementState(agreement, kind, tuple(reader.state(objective) for objective in agreement.level.limits))


class _Reader:
    """Reads the figures of one agreement from the ledger."""

    def __init__(self, ledger: Ledger, agreed: Agreed, agreement: Agreement, kind: SubjectKind, now: float) -> None:
        self._ledger, self._product, self._tz, self._now = ledger, agreed.product, agreed.tz, now
        self._level: ServiceLevel = agreement.level
        self._subject, self._kind = agreement.subject, kind
        self._since = now - self._level.over_s

    def state(self, objective: Objective) -> ObjectiveState:
        """Return the state of an objective."""
        level, target = self._level, self._level.target_of(objective)
        measured = self._series(objective)
        return ObjectiveState(
            objective, level.limits[objective], target, measured.unit, figures(measured, target, level.over_s, self._now),
            daily(measured, self._tz, self._now, min(level.over_s, HISTORY_DAYS * 86_400.0)),
            self._freshness() if objective == "fresh" else None,
        )  # fmt: skip

    def _series(self, objective: Objective) -> ServiceSeries:
        level = self._level
        window = (level.over_s, self._now, level.hours, self._tz)
        match objective:
            case "fresh":
                return series.fresh_minutes(self._published(), level.limits[objective], *window)
            case "p95":
                return series.fast_minutes(self._minutes(history.P95), level.limits[objective], *window)
            case "available":
                first = history.first_minute(self._ledger, self._product, self._kind, self._subject, history.AVAILABILITY)
                return series.available_minutes(self._minutes(history.AVAILABILITY), first, *window)
            case "complete":
                return series.complete_versions(self._versions(), level.limits[objective])
            case "valid":
                if self._kind == "stream":
                    return series.valid_samples(self._minutes(history.VALID))
                return series.valid_rows(self._versions())

    def _published(self) -> Floats:
        """Return when versions were published; of a stream, the ends of minutes with samples, the very first among them."""
        if self._kind != "stream":
            return self._versions().at
        since = self._since - self._level.limits["fresh"] - _LONGEST_CLOSED_S
        first = history.first_minute(self._ledger, self._product, self._kind, self._subject, history.SAMPLES)
        at = history.minutes(self._ledger, self._product, self._kind, self._subject, history.SAMPLES, since).at
        return np.concatenate(([] if first is None or (len(at) and at[0] <= first) else [first], at)) + MINUTE_S

    def _versions(self) -> history.Versions:
        return history.published_versions(self._ledger, self._product, self._subject)

    def _minutes(self, metric: str) -> history.Minutes:
        return history.minutes(self._ledger, self._product, self._kind, self._subject, metric, self._since)

    def _freshness(self) -> SubjectAge | None:
        published = self._published()
        published = published[published <= self._now]
        if not len(published):
            return None
        newest, level = published[-1:], self._level
        age_s = counted_age_s(newest * 0 + self._now, newest, level.hours, self._tz)
        due_at = deadline(float(newest[0]), level.limits["fresh"], level.hours, self._tz)
        return SubjectAge(float(newest[0]), float(age_s[0]), due_at)


def daily(measured: ServiceSeries, tz: str, now: float, length_s: float) -> tuple[Day, ...]:
    """Return the share that was good on each of the last days, the one of ``now`` included."""
    zone = ZoneInfo(tz)
    first, last = (dt.datetime.fromtimestamp(at, zone).date() for at in (now - length_s, now))
    dates = [first + dt.timedelta(days=day) for day in range((last - first).days + 2)]
    midnights = [dt.datetime.combine(date, dt.time(), zone).timestamp() for date in dates]
    days = []
    for date, (start, end) in zip(dates, pairwise(midnights), strict=False):
        good, total = measured.sums(max(start, now - length_s), min(end, now))
        days.append(Day(date.isoformat(), good / total if total else None))
    return tuple(days)
