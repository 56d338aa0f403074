"""Thresholds from history, alarms after patience, and evidence that may be looked at every window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from caudal.stages.monitor.evidence import PastFigures, bet, stake
from caudal.stages.monitor.judge import Figure, Rule, judge_windows, threshold

LEARNED = Rule()


def figures(values: Sequence[float | None]) -> list[Figure]:
    return [Figure(None if value is None else float(value), 500) for value in values]


def states(history: Sequence[float], values: Sequence[float | None], rule: Rule = LEARNED) -> list[str]:
    return [verdict.state for verdict in judge_windows(figures(history), figures(values), rule)]


def test_a_bet_is_fair() -> None:
    logarithms = np.linspace(-60, 0, 600_001)[:-1]  # of p; ∫ bet(p) dp = ∫ bet(e^x) e^x dx
    values = np.array([bet(math.exp(x)) * math.exp(x) for x in logarithms])
    left_out = 1 / 60  # the tail below e^-60: ∫ 1 / (p ln² p)
    assert np.trapezoid(values, logarithms) + left_out == pytest.approx(1, abs=1e-3)
    assert sum(stake(place) for place in range(1, 10_000)) < 1


def test_scores_of_figures_are_normal_and_do_not_depend_on_one_another() -> None:
    random = np.random.default_rng(5)
    scores = []
    for _ in range(400):
        past = PastFigures()
        values = random.normal(3, 2, 12)
        for value in values[:3]:
            past.add(value)
        for value in values[3:]:
            scores.append(past.score(value, 0.0))
            past.add(value)
    by_place = np.array(scores).reshape(400, 9)
    assert stats.kstest(np.ravel(by_place), "norm").pvalue > 0.001
    correlations = np.corrcoef(by_place.T)[np.triu_indices(9, 1)]
    assert np.abs(correlations).max() < 0.2


def test_tails_longer_than_normal_shorten_scores() -> None:
    random = np.random.default_rng(4)
    usual, long = PastFigures(), PastFigures()
    for value in random.normal(size=200):
        usual.add(value)
    for value in random.normal(size=200) * 0.1 + 3 * (random.uniform(size=200) < 0.1):
        long.add(value)
    assert usual.tail(0.0, high=True) == 1
    assert long.tail(0.0, high=True) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "patience"), [("lognormal", 1), ("lognormal", 2), ("longer tails", 2), ("psi of windows that differ", 1)]
)
def test_false_alarms_ever_stay_below_alpha(kind: str, patience: int) -> None:
    """Of figures that are looked at 200 times each without any change, no more than 10 % ever raise an alarm."""
    random = np.random.default_rng(11)

    def values(count: int) -> np.ndarray:
        if kind == "lognormal":
            return np.exp(random.normal(-3, 0.4, count))
        if kind == "longer tails":
            return np.exp(0.4 * random.standard_t(4, count) - 3)
        shares = random.dirichlet(np.full(10, 200.0), count)  # the windows themselves differ, as days do
        return ((shares - 0.1) * np.log(shares / 0.1)).sum(axis=1)

    alarms = 0
    for _ in range(100):
        alarms += "alarm" in states(values(20), values(200), Rule("distance", "high", patience, alpha=0.1))
    assert alarms / 100 <= 0.1


def test_without_evidence_patience_alone_raises_more_false_alarms() -> None:
    """The comparison that shows the test can fail: the same windows, with the learned threshold alone."""
    random = np.random.default_rng(11)
    alarms = 0
    for _ in range(100):
        history, values = np.exp(random.normal(-3, 0.4, 20)), np.exp(random.normal(-3, 0.4, 200))
        alarms += "alarm" in states(history, values, Rule("distance", "high", 1, fixed=threshold(history)))
    assert alarms / 100 > 0.9


def test_a_change_is_found_after_patience_and_its_end_too() -> None:
    random = np.random.default_rng(2)
    calm = np.exp(random.normal(-3, 0.3, 60))
    found = states(calm[:30], [*calm[30:50], *(calm[50:56] * 12), *calm[:6]], Rule(alpha=0.005))
    assert "alarm" not in found[:21]
    assert found[20:22] == ["outside", "alarm"]
    assert found[25] == "alarm"
    assert found[31] == "inside"  # of the last five windows most are as before


def test_a_small_shift_that_stays_is_found_though_no_window_is_odd() -> None:
    random = np.random.default_rng(8)
    shares = stats.norm.cdf(random.normal(size=160) * 0.1)
    shifted = stats.norm.cdf(random.normal(0.15, 0.1, size=40))
    found = states(shares[:60], [*shares[60:160], *shifted], Rule("share", "both", 2, alpha=0.005))
    assert "alarm" not in found[:100]
    assert 1 < found.index("alarm") - 100 < 20


def test_one_odd_window_is_no_alarm_and_does_not_hide_the_next_change() -> None:
    random = np.random.default_rng(3)
    calm = np.exp(random.normal(-3, 0.3, 80))
    holiday = 2.0
    found = judge_windows(figures(calm[:40]), figures([*calm[40:60], holiday, *calm[60:70], *(calm[70:74] * 15)]), Rule())
    assert "alarm" not in [verdict.state for verdict in found[:31]]
    assert found[20].state == "outside"
    assert (found[25].high or math.inf) < 1  # the holiday is no measure for the threshold
    assert "alarm" in [verdict.state for verdict in found[31:34]]


def test_windows_without_rows_are_passed_over() -> None:
    assert states([1.0] * 10, [None, 1.0, None]) == ["no rows", "inside", "no rows"]


def test_nothing_is_judged_before_there_is_a_history() -> None:
    assert states([], [1.0] * 9) == ["learning"] * 8 + ["inside"]


def test_a_declared_threshold_needs_no_history() -> None:
    assert states([], [0.1, 0.3, 0.3, 0.1], Rule(fixed=0.2, patience=2)) == ["inside", "outside", "alarm", "alarm"]
    assert states([], [0.1, 0.3], Rule(fixed=0.2, patience=1)) == ["inside", "alarm"]


def test_a_share_that_was_always_zero_is_seen_at_once() -> None:
    rule = Rule("share", "high", 1, alpha=0.001)
    assert states([0.0] * 20, [0.0, 0.3], rule) == ["inside", "alarm"]
    assert states([0.0] * 20, [0.0, 0.3, 0.3], Rule("share", "high", 2, alpha=0.001)) == ["inside", "outside", "alarm"]
    assert "alarm" not in states([0.0] * 20, [0.002, 0.0], rule)  # one row of five hundred


def test_rows_that_stay_away_are_seen() -> None:
    random = np.random.default_rng(1)
    usual = random.poisson(500, 40)
    assert states(usual[:30], [*usual[30:], 0, 0], Rule("count", "both", 2, alpha=0.001))[-2:] == ["outside", "alarm"]


def test_the_windows_of_a_change_are_no_measure_for_what_is_usual() -> None:
    random = np.random.default_rng(0)
    usual = [Figure(float(value), 200) for value in np.exp(random.normal(-4, 0.3, 10))]
    changed = [Figure(1.0 + 0.01 * place, 200) for place in range(4)]
    verdicts = judge_windows([], [*usual, *changed], Rule(alpha=0.01))
    assert verdicts[-1].state == "alarm"
    assert verdicts[-1].high is not None
    assert verdicts[-1].high < 0.1
