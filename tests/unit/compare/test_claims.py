"""A platform is faster only where the interval of the ratio excludes 1."""

from __future__ import annotations

import math
import random

import pytest

from caudal.compare.claims import compare_pairs, ratio_interval, spread


def platform(name: str, times: list[float], state: str = "measured") -> dict[str, object]:
    return {"platform": name, "state": state, "spreads": {"work_s": spread(times)} if times else {}}


@pytest.mark.parametrize(
    ("times", "claim"),
    [
        ([1.0, 1.1, 0.9], "faster"),
        ([10.0, 10.5, 9.5], "no difference shown"),
        ([30.0, 29.0, 31.0], "slower"),
        ([9.0, 30.0, 3.0], "no difference shown"),
        ([1.0], "too few repetitions"),
    ],
)
def test_what_may_be_claimed(times: list[float], claim: str) -> None:
    (pair,) = compare_pairs([platform("a", times), platform("b", [10.0, 10.2, 9.9])])  # type: ignore[list-item]
    assert pair["claim"] == claim


def test_only_what_was_measured_is_compared() -> None:
    assert compare_pairs([platform("a", [1.0]), platform("b", [], "failed"), platform("c", [], "refused")]) == []  # type: ignore[list-item]


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    chance = random.Random(7)
    held = 0
    for _ in range(600):
        first = [math.exp(chance.gauss(math.log(2.0), 0.2)) for _ in range(4)]
        second = [math.exp(chance.gauss(0.0, 0.3)) for _ in range(4)]
        _, low, high = ratio_interval(first, second)
        assert low is not None
        assert high is not None
        held += low <= 2.0 <= high
    assert 0.92 < held / 600 < 0.98


def test_equal_times_are_no_division_by_nought() -> None:
    assert ratio_interval([1.0, 1.0], [1.0, 1.0]) == (1.0, 1.0, 1.0)
