"""Level, budget and burn rate equal a count minute by minute; their invariants hold."""

from __future__ import annotations

import datetime as dt
import math
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from caudal.declarations.service_levels import WorkingHours, working_hours
from caudal.service_levels.budget import FAST, SLOW, ServiceSeries, burn_rate, figures
from caudal.service_levels.counted import counted_age_s, counted_minutes, deadline
from caudal.service_levels.history import Minutes, Versions
from caudal.service_levels.series import available_minutes, complete_versions, fast_minutes, fresh_minutes, valid_rows

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC")
HOURS = (None, "Mon-Fri 08:00-18:00", "Sat-Mon 00:00-03:30", "22:00-24:00, 00:00-06:00")
MINUTE_S = 60
# Around the days on which clocks change in one of the zones.
CHANGES = [
    dt.datetime(*day, tzinfo=dt.UTC).timestamp()
    for day in ((2026, 3, 29), (2026, 10, 25), (2026, 3, 8), (2026, 11, 1), (2026, 4, 4), (2011, 12, 30), (2026, 6, 3))
]


def counts(minute_s: float, hours: WorkingHours | None, tz: str) -> bool:
    if hours is None:
        return True
    face = dt.datetime.fromtimestamp(minute_s, ZoneInfo(tz))
    return any(face.weekday() == day and start <= face.hour * 60 + face.minute < end for day, start, end in hours.spans)


def age_s(since: float, at: float, hours: WorkingHours | None, tz: str) -> float:
    """The time that counts between two moments, added up minute by minute."""
    if hours is None:
        return at - since
    total, moment = 0.0, since
    while moment < at:
        minute = moment // MINUTE_S * MINUTE_S
        end = min(minute + MINUTE_S, at)
        total += end - moment if counts(minute, hours, tz) else 0.0
        moment = end
    return total


@st.composite
def histories(draw: st.DrawFn) -> tuple[float, list[float], float, float, WorkingHours | None, str]:
    now = draw(st.sampled_from(CHANGES)) + draw(st.floats(0, 86_400))
    over_s = draw(st.sampled_from((3600.0, 6 * 3600.0, 86_400.0)))
    published = sorted(now - back for back in draw(st.lists(st.floats(-3600, 1.5 * over_s), max_size=8)))
    text = draw(st.sampled_from(HOURS))
    return (
        now,
        published,
        over_s,
        draw(st.sampled_from((60.0, 900.0, 5000.5))),
        working_hours(text) if text else None,
        draw(st.sampled_from(ZONES)),
    )


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from((0.5, 0.9, 0.99)))
def test_fresh_minutes_equal_a_count_minute_by_minute(
    history: tuple[float, list[float], float, float, WorkingHours | None, str], target: float
) -> None:
    now, published, over_s, fresh_s, hours, tz = history
    minutes = [
        float(minute) for minute in range(0, 10**11, MINUTE_S)[math.ceil((now - over_s) / MINUTE_S) : math.ceil(now / MINUTE_S)]
    ]
    within = [minute for minute in minutes if counts(minute, hours, tz)]
    good, total, spent = 0, 0, {pair: [[0, 0], [0, 0]] for pair in (FAST, SLOW)}
    for minute in within:
        earlier = [at for at in published if at <= minute]
        if not earlier:
            continue
        is_good = age_s(earlier[-1], minute, hours, tz) <= fresh_s + 1e-6
        total, good = total + 1, good + is_good
        for pair, tallies in spent.items():
            for tally, length_s in zip(tallies, (pair.long_s, pair.short_s), strict=True):
                if minute >= now - length_s:
                    tally[0], tally[1] = tally[0] + is_good, tally[1] + 1
    found = figures(fresh_minutes(np.array(published), fresh_s, over_s, now, hours, tz), target, over_s, now)
    assert (found.bad, found.total) == (total - good, total)
    assert found.level == (good / total if total else None)
    assert found.budget == pytest.approx((1 - target) * len(within))
    for burn, tallies in zip(found.burns, spent.values(), strict=True):
        rates = [(count - of_good) / count / (1 - target) if count else 0.0 for of_good, count in tallies]
        assert (burn.long, burn.short) == pytest.approx(rates)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(CHANGES), st.floats(0, 86_400), st.floats(1, 40_000), st.sampled_from(HOURS), st.sampled_from(ZONES))
def test_the_deadline_is_when_the_age_is_reached(change: float, later_s: float, length_s: float, text: str | None, tz: str) -> None:
    hours, since = working_hours(text) if text else None, change + later_s
    due = deadline(since, length_s, hours, tz)
    assert due is not None
    assert counted_age_s(np.array([due]), np.array([since]), hours, tz)[0] == pytest.approx(length_s, abs=1e-3)
    assert counted_age_s(np.array([due - 1]), np.array([since]), hours, tz)[0] < length_s


@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("text", HOURS[1:])
def test_each_minute_counts_by_the_clock(text: str, tz: str) -> None:
    hours = working_hours(text)
    for change in CHANGES:
        first = int(change // MINUTE_S)
        mask = counted_minutes(first, 1440, hours, tz)
        assert mask.tolist() == [counts((first + minute) * MINUTE_S, hours, tz) for minute in range(1440)]


def test_an_hour_that_comes_twice_counts_twice_and_one_that_is_skipped_does_not() -> None:
    night = working_hours("02:00-03:00")
    spring, autumn = (int(dt.datetime(2026, month, day, tzinfo=dt.UTC).timestamp()) // 60 for month, day in ((3, 29), (10, 25)))
    assert [int(counted_minutes(day, 1440, night, "Europe/Berlin").sum()) for day in (spring, autumn)] == [0, 120]


def minutes_of(good: list[bool], now: float) -> ServiceSeries:
    at = now - MINUTE_S * np.arange(len(good), 0, -1)
    return ServiceSeries(at, np.array(good, dtype=float), np.ones(len(good)), "minutes", expected=float(len(good)))


@pytest.mark.slow
@given(st.lists(st.booleans(), min_size=60, max_size=400), st.data())
def test_a_bad_minute_more_never_leaves_more_of_the_budget(good: list[bool], data: st.DataObject) -> None:
    worse = list(good)
    worse[data.draw(st.integers(0, len(good) - 1))] = False
    before, after = (figures(minutes_of(minutes, 1e9), 0.9, len(good) * 60.0, 1e9) for minutes in (good, worse))
    assert before.budget_left is not None
    assert after.budget_left is not None
    assert after.budget_left <= before.budget_left
    assert all(a.long >= b.long and a.short >= b.short for a, b in zip(after.burns, before.burns, strict=True))


@given(st.integers(0, 5), st.floats(0.01, 0.999))
def test_the_burn_rate_of_a_constant_share_is_the_share_beside_what_may_be_bad(bad_of_five: int, target: float) -> None:
    found = figures(minutes_of([minute % 5 >= bad_of_five for minute in range(720)], 1e9), target, 720 * 60.0, 1e9)
    expected = bad_of_five / 5 / (1 - target)
    assert burn_rate(5 - bad_of_five, 5, target) == pytest.approx(expected)
    for burn in found.burns:
        assert (burn.long, burn.short) == (pytest.approx(expected), pytest.approx(expected))


def test_the_limits_over_thirty_days_are_those_of_the_workbook() -> None:
    days = 30 * 86_400.0
    assert [burn.limit for burn in figures(minutes_of([True] * 43_200, 1e9), 0.999, days, 1e9).burns] == pytest.approx([14.4, 6.0])


def test_an_outage_is_burning_first_and_breached_once_the_budget_is_spent() -> None:
    month = 43_200
    states = []
    for bad in (0, 5, 10, 431, 433):  # 432 minutes may be bad
        minutes = [True] * (month - bad) + [False] * bad
        states.append(figures(minutes_of(minutes, 1e9), 0.99, month * 60.0, 1e9).state)
    assert states == ["met", "met", "burning", "burning", "breached"]


def test_a_minute_without_the_server_was_not_available() -> None:
    now = 60_000.0
    measured = Minutes(
        np.array([now - 600, now - 600, now - 540, now - 240]), np.array([1.0, 0.5, 1.0, 1.0]), np.array([10.0, 30.0, 0.0, 5.0])
    )
    series = available_minutes(measured, now - 600, 3600.0, now)
    assert series.at.tolist() == [now - 600 + 60 * minute for minute in range(9)]
    assert series.good.tolist() == [25 / 40, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]


def test_the_slowest_process_decides_whether_a_minute_was_fast() -> None:
    measured = Minutes(np.array([600.0, 600.0, 660.0]), np.array([0.01, 0.2, 0.05]), np.ones(3))
    assert fast_minutes(measured, 0.05, 3600.0, 3600.0).good.tolist() == [0.0, 1.0]


def test_a_version_is_complete_beside_the_median_of_those_before() -> None:
    written = np.array([100.0, 98, 102, 100, 101, 99, 50, 100])
    versions = Versions(np.arange(8.0), written, written + 2, np.full(8, 2.0))
    series = complete_versions(versions, 0.99)
    assert (series.at.tolist(), series.good.tolist()) == ([5, 6, 7], [1, 0, 1])
    assert figures(valid_rows(versions), 0.98, 1e6, 10.0).level == pytest.approx(750 / 766)
    assert not len(complete_versions(Versions(*(np.arange(3.0),) * 4), 1.0).at)
