"""A headset of 16 electrodes: background, an alpha rhythm that rises when the eyes close, blinks, movement, and a bad line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from caudal.messaging.wire.block import Array
from caudal.stages.simulate.chance import Coloured, normal, rare_events, uniform
from caudal.stages.simulate.played import Played
from caudal.stages.simulate.registered import simulates
from caudal.stages.simulate.sending import Sending

_FRONT = {"AF3": 1.0, "AF4": 1.0, "F7": 0.6, "F8": 0.6, "F3": 0.5, "F4": 0.5, "FC5": 0.2, "FC6": 0.2}
_BACK = {"O1": 1.0, "O2": 1.0, "P7": 0.7, "P8": 0.7, "PZ": 0.8, "CZ": 0.4, "T7": 0.25, "T8": 0.25}
_BLINK, _MOVE, _TURN, _OFFSET, _WHITE = 1, 2, 3, 4, 5
_BLINK_S, _MOVE_S = 0.08, 1.0  # standard deviation of a blink, length of a movement


@simulates("eeg")
@dataclass(frozen=True)
class Eeg(Played):
    """Microvolts of 16 electrodes at 256 Hz, about an offset of 4,200 µV; label 1: eyes closed.

    Parameters
    ----------
    turn_s : mean seconds between opening and closing the eyes
    alpha_uv : amplitude of the alpha rhythm at the back of the head with eyes closed; a fifth of it with eyes open
    """

    channels: ClassVar[tuple[str, ...]] = (
        "AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "CZ", "PZ",
    )  # fmt: skip
    label_channels: ClassVar[tuple[str, ...]] = ("eyes_closed",)
    natural_hz: ClassVar[float] = 256.0

    missing: float = 0.0005
    sending: Sending = field(default_factory=lambda: Sending(lost=0.002, twice=0.002, late=0.005))
    turn_s: float = 10.0
    alpha_uv: float = 14.0

    def values(self, positions: Array) -> Array:
        """Return microvolts [positions, 16]."""
        at_s = self.seconds(positions)
        offset = 4200 + 60 * normal(self.seed, _OFFSET, np.zeros(1, np.int64), 16)
        signal = offset + 9 * self._background.at(positions) + 1.5 * normal(self.seed, _WHITE, positions, 16)
        signal += self._alpha(at_s)[:, None] * _weights(_BACK)
        since, strength, _ = rare_events(self.seed, _BLINK, at_s, 4.0, 0.6, 0.3)
        blink = np.where(self._blinks(at_s), (90 + 90 * strength) * np.exp(-0.5 * (since / _BLINK_S) ** 2), 0.0)
        signal += blink[:, None] * _weights(_FRONT)
        since, strength, way = rare_events(self.seed, _MOVE, at_s, 30.0, 0.25, 1.0)
        size = np.where(self._moves(at_s), (200 + 1500 * strength) * np.cos(np.pi * since / _MOVE_S), 0.0)
        jolt = np.sin(2 * np.pi * (1 + 2 * way)[:, None] * since[:, None] + np.arange(16))
        signal += np.where(size[:, None] != 0, size[:, None] * jolt, 0.0)
        microvolts: Array = signal
        return microvolts

    def label(self, positions: Array) -> Array:
        """Return 1 where the eyes are closed, [positions, 1]."""
        return self.eyes_closed(self.seconds(positions)).astype(np.float64)[:, None]

    def marks(self, positions: Array) -> Mapping[str, Array]:
        """Return which samples lie in a blink (three standard deviations) and in a movement."""
        at_s = self.seconds(positions)
        return {"blink": self._blinks(at_s), "movement": self._moves(at_s), "eyes_closed": self.eyes_closed(at_s)}

    def eyes_closed(self, at_s: Array) -> Array:
        """Return whether the eyes are closed at seconds of the stream; they open or close about every ``turn_s``, open at first."""
        turn = np.floor(at_s / self.turn_s).astype(np.int64)
        # Each change lies within the first two fifths of its turn, so that they keep their order.
        passed = at_s >= (turn + 0.4 * uniform(self.seed, _TURN, turn)[:, 0]) * self.turn_s
        is_closed: Array = (turn + passed) % 2 == 1
        return is_closed

    def _alpha(self, at_s: Array) -> Array:
        phase = 2 * np.pi * 10.2 * at_s + 1.4 * np.sin(2 * np.pi * 0.11 * at_s + self.seed)
        wobble = 1 + 0.4 * np.sin(2 * np.pi * 0.31 * at_s) * np.sin(2 * np.pi * 0.067 * at_s)
        rhythm: Array = self.alpha_uv * np.where(self.eyes_closed(at_s), 1.0, 0.2) * wobble * np.sin(phase)
        return rhythm

    def _blinks(self, at_s: Array) -> Array:
        since, _, _ = rare_events(self.seed, _BLINK, at_s, 4.0, 0.6, 0.3)
        in_blink: Array = (np.abs(since) <= 3 * _BLINK_S) & ~self.eyes_closed(at_s)
        return in_blink

    def _moves(self, at_s: Array) -> Array:
        in_movement: Array = np.abs(rare_events(self.seed, _MOVE, at_s, 30.0, 0.25, 1.0)[0]) <= _MOVE_S / 2
        return in_movement

    @cached_property
    def _background(self) -> Coloured:
        return Coloured.of(self.seed, 16, slope=1.0)


def _weights(electrodes: Mapping[str, float]) -> Array:
    return np.array([electrodes.get(name, 0.05) for name in Eeg.channels])
