"""Clock changes of zones: none is stepped over."""

from __future__ import annotations

import pytest

from caudal.declarations import zone


# The zones that have kept an offset for the shortest times, 4 and 7 days, and some that are usual.
@pytest.mark.parametrize("tz", ["Africa/Freetown", "America/Boa_Vista", "Asia/Gaza", "Africa/Casablanca", "Europe/Berlin", "UTC"])
def test_changes_are_those_of_a_walk_day_by_day(tz: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = zone.clock_changes.__wrapped__(tz)
    monkeypatch.setattr(zone, "_STEP_S", zone.DAY_S)
    assert zone.clock_changes.__wrapped__(tz) == found
    assert bool(found) == (tz != "UTC")
