"""What ``surprise`` is worth on data that it was not chosen on: a category is left out, all is chosen on the others, and scored on it.

Configuration, calibration and the one threshold are chosen on the other categories (NAB's folders), as NAB chooses a threshold; the category that was left
out is scored with them. The left-out scores of all categories are put together as NAB puts streams together.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import caudal as cd
from benchmarks.nab.corpus import Stream
from benchmarks.nab.scoring import STANDARD, at_threshold, optimised
from caudal.declarations.detector import Detector
from caudal.stages.detect.past import Past
from caudal.stages.detect.peaks import Peaks
from caudal.stages.detect.surprise import Channel

Scores = list[np.ndarray]
SHAPES, DAILY, QUIET, HABITS = (10, 14, 19), (0.5, 1.0, 2.0), (60, 120, 240), (0.0, 0.1, 0.2, 0.3, 0.5)
HABIT = "habit "
LATER = 3000  # readings from which on a stream counts as long


@dataclass(frozen=True)
class LeftOut:
    """How a family of choices does.

    Parameters
    ----------
    in_sample : float, the best choice on all streams, at its best threshold
    left_out : float, all streams by what was chosen without their category
    categories : of each, what was chosen without it, its threshold, the score there, and the score on the category (without windows: what false alarms cost)
    """

    name: str
    best: str
    threshold: float
    in_sample: float
    left_out: float
    categories: Mapping[str, tuple[str, float, float, float]]

    @property
    def gap(self) -> float:
        """How much less it is worth on what it was not chosen on."""
        return self.in_sample - self.left_out


def bare(corpus: Sequence[Stream]) -> dict[str, Scores]:
    """Return the scores of each configuration that is calibrated: every score, none held back; by what was configured.

    How much the daily rhythm weighs changes no view, so that one pass serves all weights.
    """
    found: dict[str, Scores] = {}
    for shape in SHAPES:
        weights = {daily: Channel(_plain(shape, daily)) for daily in DAILY}
        for stream in corpus:
            channel = Channel(_plain(shape, 1.0))
            rows = zip(stream.at_us.tolist(), stream.values.astype(np.float32).tolist(), strict=True)
            strengths = [channel.strengths(at, value) for at, value in rows]
            for daily, weighing in weights.items():
                scores = np.array([weighing.weighted_mean(one) for one in strengths])
                found.setdefault(f"shape {shape}, daily {daily:g}", []).append(scores)
    return found


def _plain(shape: int, daily: float) -> Detector:
    return cd.surprise(shape=shape, daily=daily, quiet=0, habit=0.0)


def once(scores: np.ndarray, quiet: int) -> np.ndarray:
    """Return scores reported where they are the highest of the last ``quiet``, as ``surprise`` does."""
    padded = np.concatenate([np.zeros(quiet), scores[:-1]])
    highest = np.lib.stride_tricks.sliding_window_view(padded, quiet).max(axis=1)
    return np.where(scores > highest, scores, 0.0)


def by_habit(scores: np.ndarray, quiet: int, habit: float) -> np.ndarray:
    """Return scores less where the stream's earlier peaks were as high, as ``surprise`` does."""
    reported, peaks = once(scores, quiet), Peaks(quiet)
    earlier = np.array([peaks.count_earlier(score) for score in reported.tolist()])
    return np.asarray(reported * (1.0 + earlier) ** -habit)


def by_rank(scores: np.ndarray) -> np.ndarray:
    """Return scores ranked among all before them (conformal p-value on a logarithmic scale)."""
    past = Past(65_536)
    return np.array([past.strength(score, 0.06) for score in scores.tolist()]) / 1.18


def by_excesses(scores: np.ndarray, share: float = 0.05, first: int = 50) -> np.ndarray:
    """Return the logarithm of the tail probability: an exponential law of what exceeds the past's 95 % quantile (peaks over threshold)."""
    among: list[float] = []
    tail = np.zeros(len(scores))
    for i, score in enumerate(scores.tolist()):
        n = len(among)
        if n >= first:
            most = max(10, int(share * n))
            edge = among[n - most - 1]
            scale = sum(among[n - most :]) / most - edge + 1e-6
            as_large = n - bisect_left(among, score) + 1
            tail[i] = math.log10(n / most) + (score - edge) / scale / math.log(10) if score > edge else math.log10(n / as_large)
        insort(among, score)
    return np.clip(tail / 6.0, 0.0, 1.0)


def by_normal(scores: np.ndarray, memory: int = 2000) -> np.ndarray:
    """Return how many deviations a score lies above the mean of those before it, exponentially weighted."""
    mean = variance = 0.0
    away = np.zeros(len(scores))
    for i, score in enumerate(scores.tolist()):
        if i > 50:
            away[i] = max(0.0, (score - mean) / math.sqrt(variance + 1e-9))
        weight = max(1.0 / (i + 1.0), 1.0 / memory)
        step = score - mean
        mean, variance = mean + weight * step, (1.0 - weight) * (variance + weight * step * step)
    return away / (away + 5.0)


TAILS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "ranked again": by_rank,
    "peaks over threshold": by_excesses,
    "normal tail": by_normal,
}


def choices(bare_scores: Mapping[str, Scores], calibration: str) -> dict[str, Scores]:
    """Return the scores of every choice of a family, by name."""
    if calibration in TAILS:
        tails = {name: [TAILS[calibration](scores) for scores in each] for name, each in bare_scores.items()}
        return {f"{name}, quiet {quiet}": [once(tail, quiet) for tail in each] for name, each in tails.items() for quiet in QUIET}
    habit = float(calibration.removeprefix(HABIT))
    return {
        f"{name}, quiet {quiet}": [by_habit(scores, quiet, habit) for scores in each]
        for name, each in bare_scores.items()
        for quiet in QUIET
    }


def leave_out(name: str, corpus: Sequence[Stream], family: Mapping[str, Scores]) -> LeftOut:
    """Return how the choices of a family do, each category left out once."""
    folders = sorted({category(stream) for stream in corpus})
    raw, windows = 0.0, 0
    categories = {}
    for folder in folders:
        inside = [i for i, stream in enumerate(corpus) if category(stream) == folder]
        others = [i for i, stream in enumerate(corpus) if category(stream) != folder]
        best, threshold, chosen = _best(corpus, family, others)
        unseen = at_threshold([corpus[i] for i in inside], [family[best][i] for i in inside], STANDARD, threshold)
        raw, windows = raw + unseen.raw, windows + unseen.windows
        categories[folder] = (best, threshold, chosen, unseen.score if unseen.windows else unseen.raw)
    best, threshold, in_sample = _best(corpus, family, range(len(corpus)))
    return LeftOut(name, best, threshold, in_sample, 100.0 * (raw + windows) / (2 * windows), categories)


def _best(corpus: Sequence[Stream], family: Mapping[str, Scores], which: Sequence[int]) -> tuple[str, float, float]:
    """Return the choice that is best on some streams, its threshold and its score there."""
    streams = [corpus[i] for i in which]
    outcomes = {name: optimised(streams, [scores[i] for i in which], STANDARD) for name, scores in family.items()}
    best = max(outcomes, key=lambda name: outcomes[name].score)
    return best, outcomes[best].threshold, outcomes[best].score


def carried(corpus: Sequence[Stream], scores: Scores, threshold: float) -> tuple[list[float], float]:
    """Return the score where a threshold is missed by -20, -10, 10 and 20 %, and the false alarms per thousand readings of long streams, at 0.8 of it."""
    missed = [at_threshold(corpus, scores, STANDARD, threshold * share).score for share in (0.8, 0.9, 1.1, 1.2)]
    alarms = readings = 0
    for stream, given in zip(corpus, scores, strict=True):
        outside = np.ones(len(given), bool)
        for left, right in stream.windows:
            outside[left : right + 1] = False
        alarms += int((given[LATER:] >= 0.8 * threshold)[outside[LATER:]].sum())
        readings += max(0, len(given) - LATER)
    return missed, 1000.0 * alarms / readings


def category(stream: Stream) -> str:
    """Return NAB's folder of a stream."""
    return stream.name.split("/")[0]


def compare(corpus: Sequence[Stream], bare_scores: Mapping[str, Scores]) -> dict[str, object]:
    """Print how every calibration does, and return the figures."""
    figures: dict[str, object] = {}
    whole: dict[str, Scores] = {}
    print(
        f"{'':22} in-sample  left out   gap   threshold missed by -20 -10 +10 +20 %   false alarms per 1,000 readings after {LATER:,}, at 0.8 of it"
    )
    for calibration in (*(f"{HABIT}{habit:g}" for habit in HABITS), *TAILS):
        family = choices(bare_scores, calibration)
        if calibration.startswith(HABIT):
            whole |= {f"{calibration}, {name}": scores for name, scores in family.items()}
        figures[calibration] = _shown(leave_out(calibration, corpus, family), corpus, family)
    figures["every habit"] = _shown(leave_out("every habit", corpus, whole), corpus, whole)
    return figures


def _shown(outcome: LeftOut, corpus: Sequence[Stream], family: Mapping[str, Scores]) -> dict[str, object]:
    missed, alarms = carried(corpus, family[outcome.best], outcome.threshold)
    print(f"{outcome.name:22} {outcome.in_sample:9.1f} {outcome.left_out:9.1f} {outcome.gap:5.1f}   "
          f"{'  '.join(f'{score:.1f}' for score in missed)}   {alarms:.2f}   {outcome.best}, {outcome.threshold:.3f}")  # fmt: skip
    for folder, (best, threshold, chosen, unseen) in outcome.categories.items():
        print(f"    without {folder:22} {chosen:6.1f}   on it {unseen:6.1f}   {best}, {threshold:.3f}", flush=True)
    return {
        "in_sample": outcome.in_sample, "left_out": outcome.left_out, "gap": outcome.gap, "best": outcome.best, "threshold": outcome.threshold,
        "categories": outcome.categories, "threshold_missed": missed, "later_false_alarms": alarms,
    }  # fmt: skip
