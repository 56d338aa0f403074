"""Ticks of eight made-up shares: prices that wander with the market, jumps, and wrong ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from caudal.messaging.wire.block import Array
from caudal.stages.simulate.chance import Coloured, rare_events, uniform
from caudal.stages.simulate.played import Played
from caudal.stages.simulate.registered import simulates
from caudal.stages.simulate.sending import Sending

_SHARES = 8
_JUMP, _WRONG, _PRICE = 1, 2, 3


@simulates("stocks")
@dataclass(frozen=True)
class Stocks(Played):
    """Prices of eight shares ten times a second; a few ticks are ten times too high."""

    channels: ClassVar[tuple[str, ...]] = tuple(f"share_{letter}_usd" for letter in "abcdefgh")
    natural_hz: ClassVar[float] = 10.0

    missing: float = 0.01  # not every share is traded all the time
    sending: Sending = field(default_factory=lambda: Sending(lost=0.001, twice=0.005, late=0.005, run=5))
    wrong: float = 0.0002

    def values(self, positions: Array) -> Array:
        """Return dollars, [positions, 8], to the cent."""
        moves = self._moves.at(positions)
        since, strength, _ = rare_events(self.seed, _JUMP, self.seconds(positions), 600.0, 0.3, 60.0)
        jump = np.where(np.abs(since) < 60, 0.03 * (strength - 0.5) * (1 - np.abs(since) / 60), 0.0)
        listed = 20 + 180 * uniform(self.seed, _PRICE, np.zeros(1, np.int64), _SHARES)
        price = listed * np.exp(0.02 * (0.6 * moves[:, :1] + 0.8 * moves[:, 1:]) + jump[:, None])
        dollars: Array = np.round(np.where(self._wrong(positions), 10 * price, price), 2)
        return dollars

    def marks(self, positions: Array) -> Mapping[str, Array]:
        """Return which samples hold a wrong tick."""
        wrong: Array = np.any(self._wrong(positions), axis=1)
        return {"wrong_tick": wrong}

    def _wrong(self, positions: Array) -> Array:
        is_wrong: Array = uniform(self.seed, _WRONG, positions, _SHARES) < self.wrong
        return is_wrong

    @cached_property
    def _moves(self) -> Coloured:
        return Coloured.of(self.seed, _SHARES + 1, slope=2.0)
