"""Chance by sample position: the same seed gives the same numbers, wherever one starts and in whatever order one asks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caudal.messaging.wire.block import Array


def uniform(seed: int, what: int, positions: Array, width: int = 1) -> Array:
    """Return numbers in [0, 1), float64 [positions, width]: a hash of the seed, what they are for, and the position.

    (The finaliser of SplitMix64: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".)
    """
    at = (positions[:, None] * width + np.arange(width)).astype(np.uint64)
    mixed = at * np.uint64(0x9E3779B97F4A7C15) + np.uint64((seed * 0xD1B54A32D192ED03 + what * 0x8CB92BA72F3D8DD7) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    found: Array = (mixed >> np.uint64(11)).astype(np.float64) / 2**53
    return found


def normal(seed: int, what: int, positions: Array, width: int = 1) -> Array:
    """Return standard normal numbers, float64 [positions, width] (Box and Muller 1958)."""
    one, other = uniform(seed, 2 * what, positions, width), uniform(seed, 2 * what + 1, positions, width)
    found: Array = np.sqrt(-2 * np.log1p(-one)) * np.cos(2 * np.pi * other)
    return found


@dataclass(frozen=True)
class Coloured:
    """Noise whose power falls as 1/f^slope, of unit variance; two tables of coprime lengths, so that it repeats after hours or weeks."""

    tables: tuple[Array, Array]

    @classmethod
    def of(cls, seed: int, channels: int, slope: float, lengths: tuple[int, int] = (16_384, 14_641)) -> Coloured:
        """Return noise of ``channels`` independent channels."""
        return cls((_table(seed, channels, slope, lengths[0]), _table(seed + 1, channels, slope, lengths[1])))

    def at(self, positions: Array) -> Array:
        """Return the noise at positions, float64 [positions, channels]."""
        one, other = self.tables
        found: Array = (one[positions % len(one)] + other[positions % len(other)]) / np.sqrt(2)
        return found


def _table(seed: int, channels: int, slope: float, length: int) -> Array:
    random = np.random.default_rng(seed)
    spectrum = random.standard_normal((length // 2 + 1, channels)) + 1j * random.standard_normal((length // 2 + 1, channels))
    spectrum[1:] /= np.arange(1, length // 2 + 1)[:, None] ** (slope / 2)
    spectrum[0] = 0
    table = np.fft.irfft(spectrum, length, axis=0)
    found: Array = table / table.std(axis=0)
    return found


def events(seed: int, what: int, at_s: Array, slot_s: float, share: float, margin_s: float) -> tuple[Array, Array, Array]:
    """Return events of which each slot of ``slot_s`` has at most one: since its middle (s, NaN without one), strength and mark in [0, 1).

    Parameters
    ----------
    share : share of the slots that have one
    margin_s : an event's middle keeps this from its slot's ends
    """
    slots = np.floor(at_s / slot_s).astype(np.int64)
    known, where = np.unique(slots, return_inverse=True)
    drawn = uniform(seed, what, known, 4)
    middle = known * slot_s + margin_s + drawn[:, 1] * (slot_s - 2 * margin_s)
    since = np.where(drawn[where, 0] < share, at_s - middle[where], np.nan)
    return since, drawn[where, 2], drawn[where, 3]
