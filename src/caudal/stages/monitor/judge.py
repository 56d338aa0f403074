"""The state of each window of a figure: inside, outside, alarm, by a threshold from history and evidence that may be looked at every window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from caudal.stages.monitor.evidence import LEAST, Capital, Past
from caudal.stages.monitor.measure import Scale
from caudal.stages.monitor.scale import floor_of, scaled

State = Literal["learning", "inside", "outside", "alarm", "no rows"]
BEYOND = 0.01  # share of undisturbed windows that may lie beyond the learned threshold


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
    rank = math.ceil(round((1 - beyond) * (len(ordered) + 1), 9))
    return ordered[min(rank, len(ordered)) - 1]


def judge(history: Sequence[Figure], figures: Sequence[Figure], rule: Rule) -> list[Verdict]:
    """Return the state of each figure, in order of time.

    Parameters
    ----------
    history : figures of undisturbed windows before; windows without an alarm are added to it as they are judged
    """
    past, values = Past(), [figure.value for figure in history if figure.value is not None]
    for value in values:
        past.add(scaled(value, rule.scale))
    capital, streak, alarmed, verdicts = Capital(), 0, False, list[Verdict]()
    for figure in figures:
        if figure.value is None:
            verdicts.append(Verdict("no rows"))
            continue
        if rule.fixed is None and past.count < LEAST:
            verdicts.append(Verdict("learning"))
            _learn(past, values, figure.value, rule)
            continue
        low, high = _thresholds(values, rule)
        outside = (high is not None and figure.value > high) or (low is not None and figure.value < low)
        if rule.fixed is None and not alarmed:
            capital.play(_p_value(past, figure, rule))
        streak = streak + 1 if outside != alarmed else 0
        enough = rule.fixed is not None or alarmed or capital.value >= 1 / rule.alpha
        if streak >= rule.patience and enough:
            alarmed, streak, capital = not alarmed, 0, Capital()
        verdicts.append(Verdict("alarm" if alarmed else "outside" if outside else "inside", low, high, capital.value))
        if not alarmed:
            _learn(past, values, figure.value, rule)
    return verdicts


def _learn(past: Past, values: list[float], value: float, rule: Rule) -> None:
    past.add(scaled(value, rule.scale))
    values.append(value)


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
    high = threshold(values, beyond) if rule.side != "low" else None
    low = -threshold([-value for value in values], beyond) if rule.side != "high" else None
    return low, high
