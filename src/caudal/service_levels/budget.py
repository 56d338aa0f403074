"""Level, error budget and burn rate of an objective, from how much was good and how much there was.

Burn rates and the two pairs of windows are those of the Site Reliability Workbook (Beyer et al., O'Reilly 2018), chapter 5, section 6,
"Multiwindow, Multi-Burn-Rate Alerts".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from caudal.service_levels.counted import Floats

State = Literal["no figures", "met", "burning", "breached"]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class BurnWindow:
    """A pair of windows: the alert is on while both burn faster than what spends ``share`` of the budget within the long one."""

    name: Literal["fast", "slow"]
    long_s: float
    short_s: float
    share: float


FAST = BurnWindow("fast", 3600.0, 300.0, 0.02)
SLOW = BurnWindow("slow", 6 * 3600.0, 1800.0, 0.05)


@dataclass(frozen=True)
class ServiceSeries:
    """Minutes, versions or rows in order of time: when, how many of them were good, and how many there were.

    Parameters
    ----------
    at : seconds since 1970, UTC
    expected : how many there are in the whole window, where that is known beforehand: minutes; None for rows and versions
    """

    at: Floats
    good: Floats
    total: Floats
    unit: str
    expected: float | None = None

    def sums(self, start: float, end: float) -> tuple[float, float]:
        """Return the good ones and all within a period, its end excluded."""
        first, last = np.searchsorted(self.at, (start, end))
        return float(self.good[first:last].sum()), float(self.total[first:last].sum())


@dataclass(frozen=True)
class Burn:
    """How fast the budget is spent: 1 spends it in exactly the window of the SLA.

    Parameters
    ----------
    long, short : burn rates in the two windows
    limit : the rate above which both must lie
    """

    name: Literal["fast", "slow"]
    long: float
    short: float
    limit: float

    @property
    def alerts(self) -> bool:
        """Whether both windows burn faster than allowed."""
        return self.long >= self.limit and self.short >= self.limit


@dataclass(frozen=True)
class BudgetFigures:
    """An objective over its window.

    Parameters
    ----------
    level : share that was good; None without figures
    bad, total : of minutes, versions or rows
    budget : how many may be bad within the window
    burns : for the fast and for the slow pair of windows
    """

    level: float | None
    bad: float
    total: float
    budget: float
    burns: tuple[Burn, ...]

    @property
    def budget_left(self) -> float | None:
        """The share of the budget that is left: below 0 the SLA is breached; None without figures."""
        return 1.0 - self.bad / self.budget if self.budget > 0 else None

    @property
    def state(self) -> State:
        """The state in a word."""
        if self.level is None:
            return "no figures"
        if self.bad > self.budget + _ROUNDING:
            return "breached"
        return "burning" if any(burn.alerts for burn in self.burns) else "met"


def figures(series: ServiceSeries, target: float, over_s: float, now: float) -> BudgetFigures:
    """Return the figures of an objective over the window that ends now.

    Parameters
    ----------
    target : the share that must be good, between 0 and 1
    """
    good, total = series.sums(now - over_s, now)
    expected = total if series.expected is None else max(series.expected, total)
    burns = tuple(_burn(series, pair, target, over_s, now) for pair in (FAST, SLOW))
    return BudgetFigures(good / total if total else None, total - good, total, (1.0 - target) * expected, burns)


def burn_rate(good: float, total: float, target: float) -> float:
    """Return how many times faster than allowed the budget is spent; 0 where there was nothing.

    Examples
    --------
    >>> round(burn_rate(98, 100, target=0.99), 6)
    2.0
    """
    return (total - good) / total / (1.0 - target) if total else 0.0


def _burn(series: ServiceSeries, pair: BurnWindow, target: float, over_s: float, now: float) -> Burn:
    long, short = (burn_rate(*series.sums(now - length_s, now), target) for length_s in (pair.long_s, pair.short_s))
    share_of_window = pair.long_s / over_s
    if series.expected is not None and series.expected > 0:  # of working hours there are fewer than of hours
        share_of_window = pair.long_s / 60.0 / series.expected
    return Burn(pair.name, long, short, pair.share / share_of_window)
