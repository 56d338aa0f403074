"""NAB's rules of scoring, written from their definition.

Sources: Lavin & Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark", ICMLA 2015, section II
(windows, equation 1: the scaled sigmoid, equation 2: the score of a stream, equation 3: normalisation), and the benchmark's
published cost matrices and per-file results, which fix what the paper leaves open (positions inside a window count from its right edge to the
first reading, -1; the weight of a hit is scaled so that the first reading gives exactly 1; a false alarm more than three window
widths after the last window, or before the first, costs the whole weight).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.nab.corpus import Stream

_STEEPNESS, _FAR = 5.0, 3.0


@dataclass(frozen=True)
class Profile:
    """What an application pays: hits earn ``hit``, false alarms cost ``false_alarm``, windows without an alarm cost ``miss``."""

    name: str
    hit: float
    false_alarm: float
    miss: float


STANDARD = Profile("standard", 1.0, 0.11, 1.0)
LOW_FP = Profile("reward_low_FP_rate", 1.0, 0.22, 1.0)
LOW_FN = Profile("reward_low_FN_rate", 1.0, 0.11, 2.0)
PROFILES = (STANDARD, LOW_FP, LOW_FN)


@dataclass(frozen=True)
class Outcome:
    """The corpus at one threshold.

    Parameters
    ----------
    score : float, normalised: 0 for a detector that never alarms, 100 for one that finds each window at its first reading and errs never
    threshold : float, readings with a score at or above it are alarms
    raw : float, the sum over streams before normalisation
    found : int, windows with an alarm; ``windows`` is their number
    false_alarms : int, readings outside windows at or above the threshold
    """

    score: float
    threshold: float
    raw: float
    found: int
    windows: int
    false_alarms: int


def scaled_sigmoid(position: np.ndarray) -> np.ndarray:
    """Return the value of an alarm at a position relative to a window: 0.987 at its left edge (-1), 0 at its right edge, then negative."""
    return np.where(position >= _FAR, -1.0, 2.0 / (1.0 + np.exp(_STEEPNESS * np.minimum(position, _FAR))) - 1.0)


def weights(stream: Stream, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """Return what an alarm at each reading is worth, and the number of the window that it lies in (-1: none).

    Returns
    -------
    worth : float64 [n]; inside a window at most ``profile.hit``, outside at least ``-profile.false_alarm``
    window : int64 [n]
    """
    n = len(stream.values)
    position, window = np.full(n, _FAR), np.full(n, -1)
    for number, (left, right) in enumerate(stream.windows):
        width = right - left + 1
        inside, after = np.arange(left, right + 1), np.arange(right + 1, n)
        position[inside] = -(right - inside + 1) / width
        window[inside] = number
        position[after] = (after - right) / (width - 1)
    sigmoid = scaled_sigmoid(position)
    best = float(scaled_sigmoid(np.array(-1.0)))
    return np.where(window >= 0, sigmoid * profile.hit / best, sigmoid * profile.false_alarm), window


def optimised(streams: Sequence[Stream], scores: Sequence[np.ndarray], profile: Profile) -> Outcome:
    """Return the outcome at the one threshold that is best for the whole corpus, as NAB chooses it."""
    ranked = _Ranked(streams, scores, profile)
    best = int(np.argmax(ranked.raw))
    return ranked.outcome(best)


def at_threshold(streams: Sequence[Stream], scores: Sequence[np.ndarray], profile: Profile, threshold: float) -> Outcome:
    """Return the outcome at a given threshold."""
    ranked = _Ranked(streams, scores, profile)
    reached = np.flatnonzero(ranked.thresholds >= threshold)
    return ranked.outcome(int(reached[-1]))


class _Ranked:
    """All scored readings from the highest score down, with the corpus's raw score after each distinct value."""

    def __init__(self, streams: Sequence[Stream], scores: Sequence[np.ndarray], profile: Profile) -> None:
        worth, window, score = [], [], []
        first = 0
        for stream, given in zip(streams, scores, strict=True):
            assert len(given) == len(stream.values), f"{stream.name}: {len(given)} scores for {len(stream.values)} readings"
            one, inside = weights(stream, profile)
            worth.append(one[stream.probation :])
            window.append(np.where(inside >= 0, inside + first, -1)[stream.probation :])
            score.append(np.asarray(given, dtype=np.float64)[stream.probation :])
            first += len(stream.windows)
        assert np.isfinite(np.concatenate(score)).all(), "scores must be finite"
        self.profile, self.windows = profile, first
        values = np.concatenate(score)
        order = np.argsort(-values, kind="stable")
        worths, windows = np.concatenate(worth)[order], np.concatenate(window)[order]
        gain = np.where(windows < 0, worths, 0.0)
        hit = np.zeros(len(values), dtype=np.int64)
        inside = np.flatnonzero(windows >= 0)
        inside = inside[np.argsort(windows[inside], kind="stable")]
        for alarms in np.split(inside, np.flatnonzero(np.diff(windows[inside])) + 1) if len(inside) else ():
            best = np.maximum.accumulate(np.append(-profile.miss, worths[alarms]))
            hit[alarms[0]] = 1
            gain[alarms] = np.diff(best)
        # Null first, then the state after the last reading of each distinct score.
        last = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))
        null = -profile.miss * self.windows
        self.null = null
        self.thresholds = np.concatenate([[np.inf], values[order][last]])
        self.raw = null + np.concatenate([[0.0], np.cumsum(gain)[last]])
        self.found = np.concatenate([[0], np.cumsum(hit)[last]])
        self.false_alarms = np.concatenate([[0], np.cumsum(windows < 0)[last]])

    def outcome(self, i: int) -> Outcome:
        perfect = self.profile.hit * self.windows
        # Without a window there is nothing to find: no alarm is null and perfect at once.
        score = 100.0 * (self.raw[i] - self.null) / (perfect - self.null) if self.windows else 0.0
        return Outcome(
            float(score), float(self.thresholds[i]), float(self.raw[i]), int(self.found[i]), self.windows, int(self.false_alarms[i])
        )


def halves(streams: Sequence[Stream]) -> tuple[list[int], list[int]]:
    """Return two halves of the corpus, every other stream of each folder, for choosing on one and scoring on the other."""
    one: list[int] = []
    other: list[int] = []
    for _, group in itertools.groupby(range(len(streams)), key=lambda i: streams[i].name.split("/")[0]):
        for place, i in enumerate(group):
            (one, other)[place % 2].append(i)
    return one, other
