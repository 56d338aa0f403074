"""Made-up rows lie apart by every length that a feature may look: each step up to 400 days, and what it names, just nearer and just further."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from caudal.stages.features.made_up_times import row_times
from caudal.stages.features.reaches import Reaches

AT = dt.datetime(2024, 3, 6)
DAY_S = 86_400


def offsets(step_s: float | None, asked: Reaches, delays_s: tuple[float, ...] = ()) -> list[float]:
    tried = list(row_times(AT, step_s, asked, delays_s, random.Random(0)))
    assert len(tried) < 2_000, "more rows than a check has time for"
    return [(one.time - AT).total_seconds() for one in tried]


@pytest.mark.parametrize("step_s", [900, 3600, 6 * 3600, DAY_S])
def test_a_past_and_a_later_row_are_apart_by_every_number_of_steps(step_s: int) -> None:
    lying = offsets(step_s, Reaches())
    past, later = ([at for at in lying if at <= 0], [at for at in lying if at > 0])
    apart = {ahead - back for back in past for ahead in later}
    assert {number * step_s for number in range(1, 400 * DAY_S // step_s + 1)} <= apart


@pytest.mark.parametrize("step_s", [900, 3600, 6 * 3600, DAY_S])
def test_two_past_rows_are_apart_by_every_number_of_steps(step_s: int) -> None:
    past = [at for at in offsets(step_s, Reaches()) if at <= 0]
    apart = {two - one for one in past for two in past if two > one}
    assert {number * step_s for number in range(1, 390 * DAY_S // step_s)} <= apart


@pytest.mark.parametrize("step_s", [None, 60, 3600])
def test_named_lengths_and_delays_have_rows_there_just_nearer_and_just_further(step_s: float | None) -> None:
    least = step_s or 1
    lying = set(offsets(step_s, Reaches(lengths_s=(47 * 3600.0, 700.0 * DAY_S), months=(1,)), delays_s=(2.0 * DAY_S,)))
    for length in (47 * 3600, 700 * DAY_S, 2 * DAY_S, 29 * DAY_S, 31 * DAY_S):  # a month before and after 6 March 2024
        assert {side * (length + near) for side in (-1, 1) for near in (-least, 0, least)} <= lying


def test_there_are_as_many_later_rows_as_a_function_counts() -> None:
    assert sum(at > 0 for at in offsets(DAY_S, Reaches(rows=421))) >= 421
