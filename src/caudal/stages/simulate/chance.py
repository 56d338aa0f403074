"""Random numbers by sample position: the same seed gives the same numbers, from any start and in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caudal.messaging.wire.block import Array


def uniform(seed: int, stream: int, positions: Array, width: int = 1) -> Array:
    """Return numbers in [0, 1), float64 [positions, width]: a hash of the seed, the number of the random stream, and the position.

    (The finaliser of SplitMix64: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".)
    """
    counter = (positions[:, None] * width + np.arange(width)).astype(np.uint64)
    mixed = counter * np.uint64(0x9E3779B97F4A7C15) + np.uint64((seed * 0xD1B54A32D192ED03 + stream * 0x8CB92BA72F3D8DD7) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    numbers: Array = (mixed >> np.uint64(11)).astype(np.float64) / 2**53
    return numbers


def normal(seed: int, stream: int, positions: Array, width: int = 1) -> Array:
    """Return standard normal numbers, float64 [positions, width] (Box and Muller 1958)."""
    radius_draw, angle_draw = uniform(seed, 2 * stream, positions, width), uniform(seed, 2 * stream + 1, positions, width)
    numbers: Array = np.sqrt(-2 * np.log1p(-radius_draw)) * np.cos(2 * np.pi * angle_draw)
    return numbers


@dataclass(frozen=True)
class Coloured:
    """Noise whose power falls as 1/f^slope, of unit variance; two tables of coprime lengths, so that it repeats only after hours or weeks."""

    tables: tuple[Array, Array]

    @classmethod
    def of(cls, seed: int, channels: int, slope: float, lengths: tuple[int, int] = (16_384, 14_641)) -> Coloured:
        """Return noise of ``channels`` independent channels."""
        return cls((_table(seed, channels, slope, lengths[0]), _table(seed + 1, channels, slope, lengths[1])))

    def at(self, positions: Array) -> Array:
        """Return the noise at positions, float64 [positions, channels]."""
        first_table, second_table = self.tables
        noise: Array = (first_table[positions % len(first_table)] + second_table[positions % len(second_table)]) / np.sqrt(2)
        return noise


def _table(seed: int, channels: int, slope: float, length: int) -> Array:
    random = np.random.default_rng(seed)
    spectrum = random.standard_normal((length // 2 + 1, channels)) + 1j * random.standard_normal((length // 2 + 1, channels))
    spectrum[1:] /= np.arange(1, length // 2 + 1)[:, None] ** (slope / 2)
    spectrum[0] = 0
    table = np.fft.irfft(spectrum, length, axis=0)
    scaled: Array = table / table.std(axis=0)
    return scaled


def rare_events(seed: int, stream: int, at_s: Array, slot_s: float, share: float, margin_s: float) -> tuple[Array, Array, Array]:
    """Return the time since an event's middle (s, NaN without one), its strength and its mark in [0, 1); each slot of ``slot_s`` has at most one event.

    Parameters
    ----------
    share : share of the slots that have one
    margin_s : the least distance of an event's middle from its slot's ends
    """
    slots = np.floor(at_s / slot_s).astype(np.int64)
    distinct, slot_number = np.unique(slots, return_inverse=True)
    draws = uniform(seed, stream, distinct, 4)
    middle = distinct * slot_s + margin_s + draws[:, 1] * (slot_s - 2 * margin_s)
    since = np.where(draws[slot_number, 0] < share, at_s - middle[slot_number], np.nan)
    return since, draws[slot_number, 2], draws[slot_number, 3]
