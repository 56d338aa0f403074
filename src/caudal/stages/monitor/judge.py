"""The state of each window of a figure: inside, outside, alarm, by a threshold from history and evidence that may be looked at every window."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from caudal.stages.monitor.evidence import LEAST, RECENT, SHIFTS, Capital, PastFigures, tail_of
from caudal.stages.monitor.measure import Scale, Side
from caudal.stages.monitor.scale import floor_of, scaled

State = Literal["learning", "inside", "outside", "alarm", "no rows"]
BEYOND = 0.01  # share of undisturbed windows that may lie beyond the learned threshold
DISTURBED = BEYOND / 10  # a window that is less likely than this among undisturbed ones is no measure for a threshold


@dataclass(frozen=True)
class Figure:
    """A figure of one window; ``value`` None where the window has no rows to compute it from."""

    value: float | None
    rows: int


@dataclass(frozen=True)
class Rule:
    """How a series of figures is judged.

    Parameters
    ----------
    scale : of the figures
    side : which direction is worse
    patience : windows without which there is no alarm, however odd they are
    alpha : probability of a false alarm ever
    fixed : a declared threshold; None: it is learned
    """

    scale: Scale = "distance"
    side: Side = "high"
    patience: int = 2
    alpha: float = 0.05
    fixed: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The state of a window.

    Parameters
    ----------
    low, high : the thresholds; None where there is none on that side, or it is not learned yet
    evidence : the capital against "nothing has changed"; an alarm needs 1/α, unless the threshold is declared
    """

    state: State
    low: float | None = None
    high: float | None = None
    evidence: float = 1.0


def threshold(history: Sequence[float], beyond: float = BEYOND) -> float:
    """Return the quantile of past figures beyond which a further one lies with probability ``beyond`` at most; their greatest while there are too few.

    A further figure is equally likely at every rank among them, so this is the ⌈(1 − beyond)(n + 1)⌉-th (Vovk, Gammerman and Shafer 2005, section 2.2).

    Examples
    --------
    >>> threshold([3.0, 1.0, 2.0]), threshold(range(1, 200))
    (3.0, 198)
    """
    ordered = sorted(history)
    return ordered[_rank(len(ordered), beyond) - 1]


def _rank(count: int, beyond: float) -> int:
    return min(math.ceil(round((1 - beyond) * (count + 1), 9)), count)


def judge_windows(history: Sequence[Figure], figures: Sequence[Figure], rule: Rule) -> list[Verdict]:
    """Return the state of each figure, in order of time.

    A window beyond the learned threshold is ``outside``; an ``alarm`` begins when the evidence of all windows suffices (with a declared threshold: when as many
    windows in a row as the patience asks for are beyond it), and ends when the last windows are nearer to those before the alarm.

    Parameters
    ----------
    history : figures of undisturbed windows before; windows without an alarm are added to it as they are judged
    """
    judging = _Judging(rule, history) if rule.fixed is None else _Fixed(rule)
    return [Verdict("no rows") if figure.value is None else judging.verdict(figure) for figure in figures]


class _Fixed:
    """Judges by a declared threshold."""

    def __init__(self, rule: Rule) -> None:
        self._rule, self._streak, self._alarmed = rule, 0, False

    def verdict(self, figure: Figure) -> Verdict:
        """Return the state of the next window."""
        value, fixed, low_side = figure.value, self._rule.fixed, self._rule.side == "low"
        assert fixed is not None
        assert value is not None
        outside = value < fixed if low_side else value > fixed
        self._streak = self._streak + 1 if outside != self._alarmed else 0
        if self._streak >= self._rule.patience:
            self._alarmed, self._streak = not self._alarmed, 0
        state: State = "alarm" if self._alarmed else "outside" if outside else "inside"
        return Verdict(state, fixed if low_side else None, None if low_side else fixed)


class _Judging:
    """Judges by what was learned from the windows before."""

    def __init__(self, rule: Rule, history: Sequence[Figure]) -> None:
        self._rule, self._past, self._capital = rule, PastFigures(), self._new_capital(rule)
        self._values: list[float] = []  # sorted
        self._learned: list[tuple[float, bool]] = []  # all that was learned from, in order, and whether it was usual
        self._doubted = 0  # the newest of them, since which the evidence has grown
        self._recent: list[float] = []  # scores of the windows of an alarm
        self._shift = 0.0  # of the alarm; 0: there is none
        for figure in history:
            if figure.value is not None:
                self._learn(figure.value)

    def verdict(self, figure: Figure) -> Verdict:
        """Return the state of the next window."""
        value = figure.value
        assert value is not None
        if self._past.count < LEAST:
            self._learn(value)
            return Verdict("learning")
        low, high = _thresholds(self._values, self._rule)
        outside = (high is not None and value > high) or (low is not None and value < low)
        floor = floor_of(self._rule.scale, figure.rows, value)
        score = self._past.score(scaled(value, self._rule.scale), floor)
        above = score * self._past.tail(floor, high=True) if score > 0 else score
        below = -score * self._past.tail(floor, high=False) if score < 0 else -score
        bad = below if self._rule.side == "low" else above
        if self._shift:
            evidence = self._watch_alarm(bad)
        else:
            evidence = self._look_for_change(value, above, below)
            if self._shift:
                low, high = _thresholds(self._values, self._rule)
        state: State = "alarm" if self._shift else "outside" if outside else "inside"
        return Verdict(state, low, high, evidence)

    def _look_for_change(self, value: float, above: float, below: float) -> float:
        """Bet on the window, learn from it, and return the evidence; where it suffices, an alarm begins."""
        bad = below if self._rule.side == "low" else above
        self._capital.play(bad, below if self._rule.side == "both" else None)
        self._recent = [*self._recent, bad][-RECENT:]
        evidence = self._capital.value
        if evidence >= 1 / self._rule.alpha:
            newest = self._recent[-max(self._rule.patience, 2) :]
            shift = sum(newest) / len(newest)
            self._shift = math.copysign(max(abs(shift), SHIFTS[0]), shift)
            self._recent, self._capital = [], self._new_capital(self._rule)
            self._unlearn()
            return evidence
        odd = max(above, below) if self._rule.side == "both" else bad
        self._doubted = 0 if evidence <= 1 else self._doubted + 1
        self._learn(value, is_usual=tail_of(odd) >= DISTURBED)
        return evidence

    def _unlearn(self) -> None:
        """Forget the windows in which the evidence has grown to an alarm: they are no measure for what is usual; those that learning needs stay."""
        usual = self._learned[: max(len(self._learned) - self._doubted, LEAST)]
        self._past, self._values, self._learned, self._doubted = PastFigures(), [], [], 0
        for value, is_usual in usual:
            self._learn(value, is_usual=is_usual)

    def _watch_alarm(self, bad: float) -> float:
        """Return the evidence that there was, 1/α; the alarm ends when the mean of the last scores is nearer to none than to its shift."""
        self._recent = [*self._recent, bad][-RECENT:]
        if len(self._recent) == RECENT and sum(self._recent) / RECENT / self._shift < 0.5:
            self._shift, self._recent = 0.0, []
            return 1.0
        return 1 / self._rule.alpha

    def _learn(self, value: float, *, is_usual: bool = True) -> None:
        self._past.add(scaled(value, self._rule.scale))
        self._learned.append((value, is_usual))
        if is_usual:
            insort(self._values, value)

    @staticmethod
    def _new_capital(rule: Rule) -> Capital:
        return Capital(rule.alpha, rule.patience)


def _thresholds(values: Sequence[float], rule: Rule) -> tuple[float | None, float | None]:
    """Return the lower and the upper threshold by past figures in ascending order."""
    rank = _rank(len(values), BEYOND / 2 if rule.side == "both" else BEYOND)
    return values[-rank] if rule.side != "high" else None, values[rank - 1] if rule.side != "low" else None
