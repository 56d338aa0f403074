"""A robot arm of six joints: angles and motor currents of a repeated movement, collisions, and a joint that wears out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from caudal.messaging.wire.block import Array
from caudal.stages.simulate.chance import Coloured, normal, rare_events
from caudal.stages.simulate.played import Played
from caudal.stages.simulate.registered import simulates
from caudal.stages.simulate.sending import Sending

_JOINTS = 6
_CYCLE_S = 8.0  # of the movement
_COLLISION, _WHITE = 1, 2
_WORN = 2  # the joint that wears


@simulates("robot")
@dataclass(frozen=True)
class Robot(Played):
    """Angles and currents of six joints at 100 Hz; label 1: a collision."""

    channels: ClassVar[tuple[str, ...]] = (
        *(f"angle_{joint}_deg" for joint in range(1, _JOINTS + 1)), *(f"current_{joint}_a" for joint in range(1, _JOINTS + 1)),
    )  # fmt: skip
    label_channels: ClassVar[tuple[str, ...]] = ("collision",)
    natural_hz: ClassVar[float] = 100.0

    sending: Sending = field(default_factory=lambda: Sending(lost=0.003, twice=0.001, late=0.004, run=20))
    wear_h: float = 24.0

    def values(self, positions: Array) -> Array:
        """Return degrees and amperes, [positions, 12]."""
        at_s = self.seconds(positions)[:, None]
        turn = 2 * np.pi * at_s / _CYCLE_S * np.array([1, 1, 2, 1, 2, 3]) + np.arange(_JOINTS)
        angle = 45 * np.sin(turn) + 0.05 * normal(self.seed, _WHITE, positions, _JOINTS)
        current = 2 + 1.5 * np.abs(np.cos(turn)) + 0.15 * self._hum.at(positions)
        # A worn bearing hums at 17 Hz, louder the longer it runs.
        current[:, _WORN] += at_s[:, 0] / (3600 * self.wear_h) * np.sin(2 * np.pi * 17 * at_s[:, 0])
        since, strength, joint_draw = rare_events(self.seed, _COLLISION, at_s[:, 0], 60.0, 0.3, 1.0)
        hit = np.where(self._hit(since), (5 + 10 * strength) * np.exp(-5 * since), 0.0)
        current += hit[:, None] * (np.floor(joint_draw * _JOINTS)[:, None] == np.arange(_JOINTS))
        return np.column_stack([angle, current])

    def label(self, positions: Array) -> Array:
        """Return 1 within half a second of a collision, [positions, 1]."""
        return self.marks(positions)["collision"].astype(np.float64)[:, None]

    def marks(self, positions: Array) -> Mapping[str, Array]:
        """Return which samples lie within half a second of a collision."""
        return {"collision": self._hit(rare_events(self.seed, _COLLISION, self.seconds(positions), 60.0, 0.3, 1.0)[0])}

    def _hit(self, since: Array) -> Array:
        is_hit: Array = (since >= 0) & (since < 0.5)
        return is_hit

    @cached_property
    def _hum(self) -> Coloured:
        return Coloured.of(self.seed, _JOINTS, slope=0.5)
