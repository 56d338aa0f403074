"""The state of each window of a figure: inside, outside, alarm, by a threshold from history and evidence that may be looked at every window."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from caudal.stages.monitor.evidence import LEAST, Capital, Past
from caudal.stages.monitor.measure import Scale
from caudal.stages.monitor.scale import floor_of, scaled

State = Literal["learning", "inside", "outside", "alarm", "no rows"]
BEYOND = 0.01  # share of undisturbed windows that may lie beyond the learned threshold
DISTURBED = BEYOND / 10  # a window that is less likely than this among undisturbed ones is not learned from


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
    patience : windows in a row beyond the threshold before an alarm
    alpha : probability of a false alarm ever
    fixed : a declared threshold; None: it is learned
    """

    scale: Scale = "distance"
    side: Literal["high", "low", "both"] = "high"
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


def judge(history: Sequence[Figure], figures: Sequence[Figure], rule: Rule) -> list[Verdict]:
    """Return the state of each figure, in order of time.

    A window beyond its threshold does not move the threshold of the next ones, so that a change is not learned while it is looked at. When windows are inside
    again, what was outside is learned, unless not one in a thousand undisturbed windows is like it.

    Parameters
    ----------
    history : figures of undisturbed windows before; windows without an alarm are added to it as they are judged
    """
    past, values = Past(), [figure.value for figure in history if figure.value is not None]
    for value in values:
        past.add(scaled(value, rule.scale))
    values.sort()
    capital, streak, alarmed, verdicts = Capital(), list[float](), False, list[Verdict]()
    for figure in figures:
        if figure.value is None:
            verdicts.append(Verdict("no rows"))
            continue
        if rule.fixed is None and past.count < LEAST:
            verdicts.append(Verdict("learning"))
            past.add(scaled(figure.value, rule.scale))
            insort(values, figure.value)
            continue
        low, high = _thresholds(values, rule)
        outside = (high is not None and figure.value > high) or (low is not None and figure.value < low)
        p = 1.0
        if rule.fixed is None and not alarmed:
            p = _p_value(past, figure, rule)
            capital.play(p)
            past.add(scaled(figure.value, rule.scale))
        if outside != alarmed:
            streak += [figure.value] if p >= DISTURBED else [math.nan]
        else:
            if not alarmed:
                for value in (*streak, figure.value):
                    if not math.isnan(value):
                        insort(values, value)
            streak = []
        evidence = capital.value
        enough = rule.fixed is not None or alarmed or evidence >= 1 / rule.alpha
        if len(streak) >= rule.patience and enough:
            alarmed, streak, capital = not alarmed, [], Capital()
        verdicts.append(Verdict("alarm" if alarmed else "outside" if outside else "inside", low, high, evidence))
    return verdicts


def _p_value(past: Past, figure: Figure, rule: Rule) -> float:
    assert figure.value is not None
    floor = floor_of(rule.scale, figure.rows, figure.value)
    value = scaled(figure.value, rule.scale)
    if rule.side == "low":
        return 1 - past.p_value(value, floor)
    return past.p_value(value, floor, two_sided=rule.side == "both")


def _thresholds(values: Sequence[float], rule: Rule) -> tuple[float | None, float | None]:
    if rule.fixed is not None:
        return (rule.fixed, None) if rule.side == "low" else (None, rule.fixed)
    beyond = BEYOND / 2 if rule.side == "both" else BEYOND
    rank = _rank(len(values), beyond)  # the values are sorted
    high = values[rank - 1] if rule.side != "low" else None
    low = values[-rank] if rule.side != "high" else None
    return low, high
