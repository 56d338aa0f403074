"""Times that come, and times that were missed, by a clock that is told."""

from __future__ import annotations

import datetime as dt
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

import caudal as cd
from caudal.daemon.events import record_events
from caudal.daemon.watchers.clock import MOST, ClockWatcher, due, trigger_times
from caudal.declarations.crontab import parse_crontab
from caudal.declarations.trigger import Cron, Every
from caudal.ledger.ledger import open_ledger
from caudal.ledger.records import events, schedules

BERLIN = ZoneInfo("Europe/Berlin")


def at(text, zone=BERLIN):
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def first(trigger, since, count=1, tz="Europe/Berlin"):
    moments = trigger_times(trigger, tz, since)
    return [
        dt.datetime.fromtimestamp(next(moments), ZoneInfo(trigger.tz or tz)).strftime("%Y-%m-%d %H:%M %a") for _ in range(count)
    ]


def test_midnight_is_that_of_the_zone_on_both_sides_of_summer_time():
    midnight = cd.every("midnight")
    moments = trigger_times(midnight, "Europe/Berlin", at("2024-03-30T12:00"))
    found = [next(moments) for _ in range(3)]
    assert [dt.datetime.fromtimestamp(one, BERLIN).isoformat() for one in found] == [
        "2024-03-31T00:00:00+01:00",
        "2024-04-01T00:00:00+02:00",
        "2024-04-02T00:00:00+02:00",
    ]
    assert found[1] - found[0] == 23 * 3600


def test_an_hour_that_comes_twice_and_one_that_does_not_come():
    half_past_two = Cron("30 2 * * *")
    assert first(half_past_two, at("2024-10-26T12:00"), 2) == ["2024-10-27 02:30 Sun", "2024-10-28 02:30 Mon"]
    assert first(half_past_two, at("2024-03-30T12:00"), 2) == ["2024-03-31 03:30 Sun", "2024-04-01 02:30 Mon"]


@pytest.mark.parametrize("day", ["2024-03-31", "2024-10-27", "2024-06-01"])
def test_what_is_of_every_hour_comes_every_hour_on_days_when_the_clocks_change(day):
    start = at(f"{day}T00:00")
    moments = trigger_times(Cron("*/30 * * * *"), "Europe/Berlin", start)
    assert [next(moments) - start for _ in range(60)] == [1800.0 * (place + 1) for place in range(60)]


@pytest.mark.parametrize("hours", ["*", "*/1", "0-23", "0-11,12-23", "*/2", "1-23/2,*/2"])
@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Asia/Beirut"])
@pytest.mark.parametrize("minutes", ["0", "*/15"])
def test_an_hour_field_with_a_star_or_of_every_hour_follows_time(hours, zone, minutes):
    """Each matching face of the clock has its run, both times where it is shown twice; what is left out comes later, once."""
    trigger = Cron(f"{minutes} {hours} * * *")
    wanted = {"*/2": range(0, 24, 2)}.get(hours, range(24))
    step = 15 if minutes == "*/15" else 60
    place = ZoneInfo(zone)
    for day in ("2024-11-02", "2024-10-26", "2024-03-09", "2024-03-30"):
        first = dt.datetime.fromisoformat(day).replace(tzinfo=place).timestamp()
        shown = {
            moment
            for moment in range(int(first) + 60, int(first) + 3 * 86_400, 60)
            if (face := dt.datetime.fromtimestamp(moment, place)).hour in wanted and face.minute % step == 0
        }
        late = set()
        for ahead in range(3 * 1440):
            face = dt.datetime.fromisoformat(day) + dt.timedelta(minutes=ahead)
            at_s = face.replace(tzinfo=place).timestamp()
            if (
                dt.datetime.fromtimestamp(at_s, place).replace(tzinfo=None) != face
                and face.hour in wanted
                and face.minute % step == 0
            ):
                late.add(int(at_s))
        assert list(takewhile((first + 3 * 86_400).__gt__, trigger_times(trigger, zone, first))) == sorted(shown | late)


def test_named_hours_come_once_in_an_hour_that_comes_twice():
    assert first(Cron("0 1,2,3 * * *", "America/New_York"), at("2024-11-03T00:30", ZoneInfo("America/New_York")), 3) == [
        "2024-11-03 01:00 Sun", "2024-11-03 02:00 Sun", "2024-11-03 03:00 Sun",
    ]  # fmt: skip


def test_a_day_that_never_comes_is_told_by_no_time():
    assert first_of("0 0 30 2 *") is None
    assert first_of("0 0 29 2 *") == at("2024-02-29T00:00")


def first_of(expression):
    return next(trigger_times(Cron(expression), "Europe/Berlin", at("2024-01-01T00:00")), None)


def test_days_of_the_week_are_counted_from_sunday():
    assert first(Cron("0 6 * * 1"), at("2024-01-01T00:00")) == ["2024-01-01 06:00 Mon"]
    assert first(Cron("0 6 * * 0"), at("2024-01-01T00:00")) == ["2024-01-07 06:00 Sun"]


def test_a_day_of_the_month_or_of_the_week_as_cron_has_it():
    assert first(Cron("0 0 13 * 5"), at("2024-09-01T00:00"), 3) == [
        "2024-09-06 00:00 Fri",
        "2024-09-13 00:00 Fri",
        "2024-09-20 00:00 Fri",
    ]
    assert first(Cron("0 0 13 * 5"), at("2024-10-11T00:00"), 2) == ["2024-10-13 00:00 Sun", "2024-10-18 00:00 Fri"]


field = st.one_of(st.just("*"), st.lists(st.integers(0, 5), min_size=1, max_size=3).map(lambda found: ",".join(map(str, found))))


@settings(max_examples=60, deadline=None)
@given(minute=field, hour=field, weekday=field, start=st.integers(1_700_000_000, 1_710_000_000))
def test_times_are_those_that_a_look_at_every_minute_finds(minute, hour, weekday, start):
    trigger = Cron(f"{minute} {hour} * * {weekday}", "UTC")
    of = parse_crontab(trigger.expression)

    def fits(moment):
        said = dt.datetime.fromtimestamp(moment, dt.UTC)
        return (
            (of.minutes is None or said.minute in of.minutes)
            and (of.hours is None or said.hour in of.hours)
            and (of.weekdays is None or said.isoweekday() % 7 in of.weekdays)
        )

    end = start + 2 * 86400
    want = [minute for minute in range(start // 60 * 60 + 60, end, 60) if fits(minute)]
    found = []
    for moment in trigger_times(trigger, "UTC", start):
        if moment >= end:
            break
        found.append(moment)
        if len(found) > len(want):
            break
    assert found == want


@pytest.mark.parametrize(
    ("missed", "asleep_h", "late_s", "runs"),
    [
        ("once", 5, 600, 1),
        ("all", 5, 600, 5),
        ("skip", 5, 600, 0),
        ("skip", 5, 30, 1),  # the last one came just now
        ("once", 0, 600, 0),
        ("all", 0, 600, 0),
    ],
)
def test_missed_times_follow_the_policy(missed, asleep_h, late_s, runs):
    since = at("2024-01-01T00:00", dt.UTC)
    found = due(Cron("0 * * * *", "UTC", missed), "UTC", since, since + asleep_h * 3600 + late_s)
    assert len(found) == runs
    assert not found or found[-1] == since + asleep_h * 3600


def test_ten_years_of_minutes_are_not_counted_one_by_one():
    since = at("2014-01-01T00:00", dt.UTC)
    now = at("2024-01-01T00:00", dt.UTC) + 0.5
    assert due(Cron("0 0 29 2 *", "UTC", "once"), "UTC", since, now) == [at("2020-02-29T00:00", dt.UTC)]
    assert due(Every(1, "once"), "UTC", since, now) == [now - 0.5]
    assert len(due(Every(3600, "all"), "UTC", since, now)) == MOST


class Clock:
    """A clock that is set."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


def rounds(watcher, ledger):
    """One look, noted."""
    seen = watcher.look(ledger)
    new = record_events(ledger, seen.events, schedule=seen.schedule) if seen.events or seen.schedule else []
    watcher.recorded(seen.events)
    return new


@pytest.mark.parametrize(("missed", "made_up"), [("once", 1), ("all", 3), ("skip", 0)])
def test_a_daemon_that_was_away_knows_what_it_missed_by_the_ledger(tmp_path, missed, made_up):
    ledger = open_ledger(f"sqlite:///{tmp_path}/l.db")
    clock = Clock(at("2024-01-01T00:30", dt.UTC))
    trigger = Cron("0 * * * *", "UTC", missed)
    watcher = ClockWatcher("p", trigger, "UTC", "schedule", clock=clock)
    assert rounds(watcher, ledger) == []  # the first look ever only begins to count
    clock.now += 1799
    assert rounds(watcher, ledger) == []
    clock.now += 2
    assert len(rounds(watcher, ledger)) == 1
    assert rounds(watcher, ledger) == []
    clock.now += 3 * 3600 + 1200  # killed; three times pass
    again = ClockWatcher("p", trigger, "UTC", "schedule", clock=clock)
    found = rounds(again, ledger)
    assert len(found) == made_up
    assert all(one.alone == (missed == "all") for one in found)
    assert rounds(ClockWatcher("p", trigger, "UTC", "schedule", clock=clock), ledger) == []
    clock.now = at("2024-01-01T05:00:01", dt.UTC)
    assert len(rounds(again, ledger)) == 1
    assert ledger.find(schedules)[0]["next_at"] == at("2024-01-01T06:00", dt.UTC)
    assert len({row["key"] for row in ledger.find(events)}) == 2 + made_up


def test_a_time_that_comes_between_a_look_and_its_note_is_not_lost(tmp_path):
    ledger = open_ledger(f"sqlite:///{tmp_path}/l.db")
    clock = Clock(at("2024-01-01T00:59:59", dt.UTC))
    watcher = ClockWatcher("p", Cron("0 * * * *", "UTC"), "UTC", "schedule", clock=clock)
    seen = watcher.look(ledger)
    clock.now += 2
    record_events(ledger, seen.events, schedule=seen.schedule)
    watcher.recorded(seen.events)
    assert len(rounds(watcher, ledger)) == 1


def test_two_daemons_make_one_event_of_one_time(tmp_path):
    ledger = open_ledger(f"sqlite:///{tmp_path}/l.db")
    clock = Clock(at("2024-01-01T00:30", dt.UTC))
    both = [ClockWatcher("p", Every(3600), "UTC", "schedule", clock=clock) for _ in range(2)]
    for one in both:
        rounds(one, ledger)
    clock.now += 3600
    assert sum(len(rounds(one, ledger)) for one in both) == 1
