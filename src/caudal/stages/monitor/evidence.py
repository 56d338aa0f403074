"""Evidence against "nothing has changed" that may be looked at after every window: an e-process over a figure's windows.

1. Each figure is compared with those before it. If they are independent and normal on their scale (`caudal.stages.monitor.scale`), the recursive residual of
   the new one has a t distribution and does not depend on the earlier ones (Brown, Durbin and Evans 1975, "Techniques for testing the constancy of regression
   relationships over time", section 2). Its normal score w is therefore standard normal, independently of window to window.
2. Each score is bet on with mean 1 if nothing has changed: by the likelihood ratio exp(λw − λ²/2) of a shift by λ deviations, for several λ (a mixture, as Robbins
   1970, "Statistical methods related to the law of the iterated logarithm"), and by its p-value (Vovk and Wang 2021, "E-values: calibration, combination and
   applications", equation (2)). A bet on one window is cut off where it alone would suffice, so that as many windows as the patience asks for are needed; a bet that is cut off has a
   smaller mean. Where half of the earlier figures are one value, such as a distance that most days share, deviations say little: there a score is no greater than its rank among them gives.
3. The stake is spread over all windows as times of a change: ``capital = Σ w_s · bet_s ⋯ bet_t + stake not yet placed`` is a non-negative supermartingale that begins at
   1, so it ever reaches 1/α with probability α at most (Ville 1939). Shin, Ramdas and Rinaldo (2022, "E-detectors") sum up over the times of a change likewise.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field

import numpy as np

LEAST = 8  # figures before the first that is judged
RECENT = 5  # windows in which a change may have begun
_LONGER = 1.25
SHIFTS = (0.5, 1.0, 2.0, 4.0)  # deviations
_SMALLEST_P = 1e-300
_SAME = 0.1  # deviations within which figures count as one value


def bet(p: float) -> float:
    """Return ∫₀¹ κ p^(κ−1) dκ = (1 − p + p ln p) / (p ln² p): its mean is 1 for a uniform p, and it is great for a small one.

    Examples
    --------
    >>> round(bet(0.5), 2), round(bet(0.01), 1), round(bet(1e-6))
    (0.64, 4.5, 5239)
    """
    if p >= 1 - 1e-6:
        return 0.5
    p = max(p, _SMALLEST_P)
    logarithm = math.log(p)
    return (1 - p + p * logarithm) / (p * logarithm**2)


def stake(place: int) -> float:
    """Return the part of the stake that is placed on a change at window ``place`` = 1, 2 …: all parts together are 1.

    Examples
    --------
    >>> round(stake(1), 2), round(stake(100), 5)
    (0.37, 0.00032)
    """
    return 1 / math.log2(place + 1) - 1 / math.log2(place + 2)


@dataclass
class PastFigures:
    """The figures before: their number, mean and sum of squared deviations (Welford 1962), and their extremes."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    _all: list[float] = field(default_factory=list)  # ascending
    _older: list[float] = field(default_factory=list)  # ascending, without the newest
    _newest: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Add a figure."""
        self.count += 1
        before = value - self.mean
        self.mean += before / self.count
        self.squares += before * (value - self.mean)
        insort(self._all, value)
        self._newest.append(value)
        if len(self._newest) > RECENT:
            insort(self._older, self._newest.pop(0))

    def score(self, value: float, floor: float) -> float:
        """Return the normal score of a figure: standard normal if it is like those before.

        Parameters
        ----------
        floor : least standard deviation, what the number of rows alone makes of a figure
        """
        from scipy.special import ndtri, stdtr

        deviation = self._deviation(floor)
        residual = (value - self.mean) / (deviation * math.sqrt(1 + 1 / self.count))
        tail = max(float(stdtr(self.count - 1, -abs(residual))), self._least_tail(value), _SMALLEST_P)
        return math.copysign(-float(ndtri(min(tail, 0.5))), residual)

    def _least_tail(self, value: float) -> float:
        """Return the share of figures at least as far out, this one among them, where half of the older ones are one value; 0 elsewhere, and beyond all of them.

        Where the older ones never changed, it is 0 too: the newest may be the change.
        """
        older, count = self._older, len(self._older)
        if count < LEAST or older[0] == older[-1]:
            return 0.0
        near = float(np.std(older)) * _SAME
        middle = older[count // 2]
        if bisect_right(older, middle + near) - bisect_left(older, middle - near) < count / 2:
            return 0.0
        high = value > self.mean
        beyond = self.count - bisect_left(self._all, value - near) if high else bisect_right(self._all, value + near)
        return (beyond + 1) / (self.count + 1) if beyond else 0.0

    def tail(self, floor: float, high: bool) -> float:
        """Return by how much scores beyond are to be shortened, 1 at most: as far as past extremes lie farther out than those of a normal distribution.

        The newest figures do not count, since they may be the change, nor does one odd figure in fifty. A shortened score is a smaller bet, so that this can only
        make false alarms rarer.
        """
        from scipy.special import ndtri

        odd = len(self._older) // 50 + 1
        if len(self._older) < LEAST:
            return 1.0
        extreme = self._older[-1 - odd] - self.mean if high else self.mean - self._older[odd]
        if extreme <= 0:
            return 1.0
        usual = float(ndtri(1 - (odd + 1) / (len(self._older) + 1)))
        return min(1.0, _LONGER * usual * self._deviation(floor) / extreme)

    def _deviation(self, floor: float) -> float:
        return max(math.sqrt(self.squares / (self.count - 1)), floor, 1e-12)


def tail_of(score: float) -> float:
    """Return the probability of a normal score this high.

    Examples
    --------
    >>> round(tail_of(1.6449), 3), tail_of(0.0)
    (0.05, 0.5)
    """
    return 0.5 * math.erfc(score / math.sqrt(2))


@dataclass
class Capital:
    """What a player has who bets against "nothing has changed"; it ever reaches 1/α with probability α at most.

    Parameters
    ----------
    alpha : where the evidence suffices: at a capital of 1/α
    patience : number of windows without which it does not, however odd they are

    Examples
    --------
    >>> capital = Capital(alpha=0.01, patience=2)
    >>> values = []
    >>> for score in (0.3, 9.0, 9.0):
    ...     capital.play(score)
    ...     values.append(capital.value >= 100)
    >>> values
    [False, False, True]
    """

    alpha: float = 0.05
    patience: int = 1
    left: float = 1.0
    windows: int = 0
    placed: list[float] = field(default_factory=list)

    def play(self, score: float, below: float | None = None) -> None:
        """Place the next part of the stake, and play all that is placed.

        Parameters
        ----------
        score, below : how far the window lies above and, where that is evidence too, below; they may differ where one of them is shortened
        """
        bets = self._bets(score, below)
        self.placed = self.placed or [0.0] * len(bets)
        self.windows += 1
        part = stake(self.windows)
        self.left -= part
        most = (len(bets) / (self.alpha * part)) ** (1 / self.patience) * (1 + 1e-9)
        self.placed = [
            min((placed + part / len(bets)) * min(won, most), 1e300) for placed, won in zip(self.placed, bets, strict=True)
        ]

    @property
    def value(self) -> float:
        """The whole capital."""
        return sum(self.placed) + self.left

    def _bets(self, score: float, below: float | None) -> list[float]:
        scores = (score,) if below is None else (score, below)
        bets = [math.exp(min(shift * side - shift**2 / 2, 600.0)) for side in scores for shift in SHIFTS]
        return [*bets, *(bet(tail_of(side)) for side in scores)]
