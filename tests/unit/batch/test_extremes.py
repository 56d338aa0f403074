"""Days at the ends of the calendar are looked back on and from, and the looking ends."""

from __future__ import annotations

import pytest

from caudal.batch.steps.build import _days_looked_back_on, _days_looking_back_on


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_first_and_the_last_day_have_neighbours_on_one_side_only(tz: str) -> None:
    week = 7 * 86400.0
    assert list(_days_looking_back_on("9999-12-31", week, tz)) == ["9999-12-31"]
    assert list(_days_looked_back_on("0001-01-01", week, tz)) == ["0001-01-01"]
    assert list(_days_looked_back_on("0001-01-03", week, tz)) == ["0001-01-03", "0001-01-02", "0001-01-01"]
    assert list(_days_looked_back_on(None, week, tz)) == [None]


def test_a_day_is_seen_by_the_days_that_look_back_on_it() -> None:
    assert list(_days_looking_back_on("2024-01-01", 2 * 86400.0, "UTC")) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert list(_days_looked_back_on("2024-01-03", 2 * 86400.0, "UTC")) == ["2024-01-03", "2024-01-02", "2024-01-01"]
