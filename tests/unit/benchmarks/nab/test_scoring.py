"""NAB's rules on cases computed by hand: 100 readings, 15 of probation, one window of ten readings, 40 to 49."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.nab.corpus import Stream
from benchmarks.nab.scoring import LOW_FN, LOW_FP, STANDARD, at_threshold, halves, optimised, scaled_sigmoid, weights


def stream(n: int = 100, windows: tuple[tuple[int, int], ...] = ((40, 49),), name: str = "a/one.csv") -> Stream:
    return Stream(name, np.arange(n, dtype=np.int64) * 300_000_000, np.zeros(n), windows)


def alarms(*at: int, n: int = 100) -> np.ndarray:
    scores = np.zeros(n)
    scores[list(at)] = 1.0
    return scores


def raw(*at: int, profile=STANDARD) -> float:
    return at_threshold([stream()], [alarms(*at)], profile, 0.5).raw


def test_the_sigmoid_is_the_published_one():
    assert scaled_sigmoid(np.array([-1.0, -0.5, 0.0, 1.0, 3.0, 7.0])) == pytest.approx(
        [0.98661, 0.84828, 0.0, -0.98661, -1.0, -1.0], abs=1e-5
    )


def test_an_alarm_at_the_first_reading_of_the_window_is_perfect():
    outcome = optimised([stream()], [alarms(40)], STANDARD)
    assert outcome.score == pytest.approx(100.0)
    assert (outcome.found, outcome.false_alarms) == (1, 0)


def test_the_later_the_less():
    # At the last reading the position is -1/10: 2 / (1 + exp(-0.5)) - 1 = 0.244919, as a share of 0.986614.
    assert raw(49) == pytest.approx(0.244919 / 0.986614, abs=1e-6)
    assert raw(45) == pytest.approx((2 / (1 + math.exp(-2.5)) - 1) / 0.986614, abs=1e-6)


def test_only_the_first_alarm_in_a_window_counts():
    assert raw(43, 44, 48) == pytest.approx(raw(43))


@pytest.mark.parametrize(
    ("at", "cost"),
    # 50 lies (50 - 49) / 9 widths behind: 2 / (1 + exp(5 / 9)) - 1 = -0.270847.
    [(20, 0.11), (50, 0.11 * 0.270847), (58, 0.11 * 0.986614), (76, 0.11), (99, 0.11)],
)
def test_a_false_alarm_costs_more_the_farther_it_lies_behind_a_window(at: int, cost: float):
    assert raw(40) - raw(40, at) == pytest.approx(cost, abs=1e-6)


def test_probation_is_not_scored():
    assert raw(0, 14, 40) == pytest.approx(raw(40))
    assert raw(15, 40) == pytest.approx(raw(40) - 0.11)


def test_probation_is_a_share_and_at_most_750_readings():
    assert stream(1243).probation == 186
    assert stream(22_695).probation == 750


def test_profiles_price_false_alarms_and_misses():
    assert raw(20, 40, profile=LOW_FP) == pytest.approx(1 - 0.22)
    assert raw(20, profile=LOW_FN) == pytest.approx(-2 - 0.11)


def test_a_miss_and_a_false_alarm_normalise_below_null():
    # (-1.11 + 1) / (1 + 1)
    assert at_threshold([stream()], [alarms(20)], STANDARD, 0.5).score == pytest.approx(-5.5)


def test_no_alarm_at_all_is_zero_whatever_the_profile():
    for profile in (STANDARD, LOW_FP, LOW_FN):
        assert optimised([stream()], [np.full(100, 0.5)], profile).score == 0.0


def test_one_threshold_serves_all_streams():
    # The first stream would like 0.4 (its hit), the second pays 40 false alarms at 0.4 and none at 0.9.
    one, other = stream(), stream(windows=(), name="a/two.csv")
    quiet, noisy = np.zeros(100), np.zeros(100)
    quiet[40], noisy[50:90] = 0.4, 0.45
    outcome = optimised([one, other], [quiet, noisy], STANDARD)
    assert (outcome.found, outcome.score) == (0, 0.0)
    noisy[50:90] = 0.3
    assert optimised([one, other], [quiet, noisy], STANDARD).threshold == 0.4


def test_equal_scores_become_alarms_together():
    tied = alarms(40, 20)
    outcome = optimised([stream()], [tied], STANDARD)
    assert outcome.raw == pytest.approx(1 - 0.11)


def test_windows_are_their_own_even_side_by_side():
    worth, window = weights(stream(windows=((40, 49), (55, 64))), STANDARD)
    assert window[[39, 40, 49, 50, 55, 64, 65]].tolist() == [-1, 0, 0, -1, 1, 1, -1]
    assert worth[55] == pytest.approx(1.0)
    assert worth[54] == pytest.approx(-0.11 * 0.883, abs=1e-3)  # (54-49)/9 widths behind the first


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(AssertionError, match="finite"):
        optimised([stream()], [np.full(100, np.nan)], STANDARD)


def test_halves_share_nothing_and_miss_nothing():
    some = [stream(name=f"{folder}/{i}.csv") for folder in "ab" for i in range(5)]
    one, other = halves(some)
    assert sorted(one + other) == list(range(10))
    assert len(one) == 6
