"""Evidence against "nothing has changed" that may be looked at after every window: an e-process over a figure's windows.

1. Each figure is compared with those before it. If they are independent and normal on their scale (`caudal.stages.monitor.scale`), the recursive residual of
   the new one has a t distribution and does not depend on the earlier ones (Brown, Durbin and Evans 1975, "Techniques for testing the constancy of regression
   relationships over time", section 2), so the p-values are independent and uniform.
2. A p-value is turned into a bet with mean 1 under uniformity (Vovk and Wang 2021, "E-values: calibration, combination and applications", equation (2)).
3. The stake is spread over all windows as times of a change: ``capital = Σ w_s · bet_s ⋯ bet_t + stake not yet placed`` is a non-negative martingale that begins at 1, so
   it ever reaches 1/α with probability α at most (Ville 1939).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LEAST = 8  # figures before the first that is judged
_SMALLEST_P = 1e-300


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
class Past:
    """The figures before, by their number, mean and sum of squared deviations (Welford 1962)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Add a figure."""
        self.count += 1
        before = value - self.mean
        self.mean += before / self.count
        self.squares += before * (value - self.mean)

    def p_value(self, value: float, floor: float, two_sided: bool = False) -> float:
        """Return the probability of a figure this high (or this far from the mean), if it is like those before.

        Parameters
        ----------
        floor : least standard deviation, what the number of rows alone makes of a figure
        """
        from scipy.special import stdtr

        deviation = max(math.sqrt(self.squares / (self.count - 1)), floor, 1e-12)
        residual = (value - self.mean) / (deviation * math.sqrt(1 + 1 / self.count))
        if two_sided:
            return float(min(2 * stdtr(self.count - 1, -abs(residual)), 1.0))
        return float(stdtr(self.count - 1, -residual))


@dataclass
class Capital:
    """What a player has who bets against "nothing has changed"; it grows beyond 1/α with probability α at most.

    Examples
    --------
    >>> capital = Capital()
    >>> for p in (0.4, 1e-4, 1e-5):
    ...     capital.play(p)
    >>> capital.value > 1000
    True
    """

    placed: float = 0.0
    left: float = field(default=1.0)
    windows: int = 0

    def play(self, p: float) -> None:
        """Place the next part of the stake, and play all that is placed."""
        self.windows += 1
        part = stake(self.windows)
        self.left -= part
        self.placed = min((self.placed + part) * bet(p), 1e300)

    @property
    def value(self) -> float:
        """The whole capital."""
        return self.placed + self.left
