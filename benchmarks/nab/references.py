"""Detectors whose NAB scores are published, rewritten from their papers: if they score here what is published, the scorer is right.

Each takes a stream and returns one score a reading; none looks ahead.
"""

from __future__ import annotations

import contextlib
import math

import numpy as np

from benchmarks.nab.corpus import Stream


def null(stream: Stream) -> np.ndarray:
    """Return the same for every reading."""
    return np.full(len(stream.values), 0.5)


def chance(stream: Stream, seed: int) -> np.ndarray:
    """Return uniform numbers; they do not depend on the values."""
    folded = sum(ord(letter) * 31**place for place, letter in enumerate(stream.name))
    return np.random.default_rng([seed, folded % 2**32]).random(len(stream.values))


def windowed_gaussian(stream: Stream, window: int = 6400, step: int = 100) -> np.ndarray:
    """Return 1 less the normal tail probability of each reading; mean and deviation of the last readings, taken anew every ``step``.

    NAB's baseline of that name; the window begins to move, in steps, once it is full.
    """
    held: list[float] = []
    waiting: list[float] = []
    mean, deviation, squares = 0.0, 1.0, 0.0
    scores = np.zeros(len(stream.values))
    for i, value in enumerate(stream.values.tolist()):
        if held:
            scores[i] = 1 - 0.5 * math.erfc(abs(value - mean) / deviation / math.sqrt(2))
        if len(held) < window:  # Welford's update: the same figures, without summing all that is held for every reading
            held.append(value)
            before, mean = mean, mean + (value - mean) / len(held)
            squares += (value - before) * (value - mean)
            deviation = math.sqrt(squares / len(held)) or 1e-6
            continue
        waiting.append(value)
        if len(waiting) == step:
            held, waiting = held[step:] + waiting, []
            mean, deviation = float(np.mean(held)), float(np.std(held)) or 1e-6
    return scores


def bayesian_changepoint(stream: Stream, longest: int = 500, expected: float = 250.0) -> np.ndarray:
    """Return how far the likeliest run length falls from one reading to the next, as a share of it.

    Adams & MacKay, "Bayesian Online Changepoint Detection", arXiv 0710.3742, algorithm 1, with a normal-gamma prior
    (mean 0, 1 observation, shape 0.1, rate 0.001) and a constant hazard.
    """
    lgamma = np.vectorize(math.lgamma)
    run = np.zeros(longest + 2)
    run[0] = 1.0
    shape, rate, seen, mean = (np.array([first]) for first in (0.1, 0.001, 1.0, 0.0))
    shapes = 0.1 + 0.5 * np.arange(longest + 2)
    constant = lgamma(shapes + 0.5) - lgamma(shapes)
    before = 1
    scores = np.zeros(len(stream.values))
    for i, value in enumerate(stream.values.tolist()):
        known = len(shape)
        spread = rate * (seen + 1) / (shape * seen)
        away = (value - mean) ** 2 / spread / (2 * shape)
        density = np.exp(constant[:known] - 0.5 * np.log(2 * shape * np.pi * spread) - (shape + 0.5) * np.log1p(away))
        grown = run[:known] * density
        run = np.zeros(longest + 2)
        run[1 : known + 1] = grown * (1 - 1 / expected)
        run[0] = grown.sum() / expected
        run /= run.sum()
        rate = np.append(0.001, rate + seen * (value - mean) ** 2 / (2 * (seen + 1)))[: longest + 1]
        mean = np.append(0.0, (seen * mean + value) / (seen + 1))[: longest + 1]
        shape, seen = np.append(0.1, shape + 0.5)[: longest + 1], np.append(1.0, seen + 1)[: longest + 1]
        likeliest = int(run.argmax())
        scores[i] = 1 - likeliest / before if likeliest < before else 0.0
        before = likeliest
    return scores


def knn_cad(stream: Stream, neighbours: int = 27, dimension: int = 19, certain: float = 0.9965) -> np.ndarray:
    """Return the share of earlier segments that lie closer to their nearest neighbours than the last ``dimension`` readings do.

    Burnaev & Ishimtsev, "Conformalized density- and distance-based anomaly detection in time-series data", arXiv 1608.04585, section 4,
    with the Mahalanobis metric, the lazy drifting update of section 3, and silence for a fifth of the probation after each alarm.
    """
    first = stream.probation
    values = stream.values
    metric = np.eye(dimension)
    segments = np.lib.stride_tricks.sliding_window_view(values, dimension)  # number n ends with reading n + dimension - 1
    # Segments follow one another: those in training are ``known``, one for each of ``kept``, the newest distances.
    begin, count = 0, first - dimension
    kept = np.empty(len(values) + count)
    filled = 0
    quiet = 0
    scores = np.zeros(len(values))

    def away(item: np.ndarray, known: np.ndarray, within: bool) -> float:
        apart = known - item
        squared = np.einsum("ij,ij->i", apart @ metric, apart)
        nearest = neighbours + within
        return float(np.partition(squared, nearest)[:nearest].sum())

    for i in range(first - 1, len(values)):
        item, read = segments[i - dimension + 1], i + 1
        known = segments[begin : begin + count]
        if read % first in (0, first // 2):
            whole = np.ascontiguousarray(known)  # segments overlap in memory, and BLAS would round those otherwise
            with contextlib.suppress(np.linalg.LinAlgError):  # A flat stream has no inverse; the last metric stays.
                metric = np.linalg.inv(whole.T @ whole)
        if not filled:
            kept[:count] = [away(one, known, True) for one in known]
            filled = count
        distance = away(item, known, False)
        share = np.count_nonzero(kept[filled - count : filled] < distance) / count
        if read >= 2 * first:
            begin += 1
        kept[filled] = distance
        filled += 1
        if quiet > 0:
            quiet -= 1
            scores[i] = 0.5
            continue
        if share >= certain:
            quiet = first // 5
        scores[i] = share
    return scores
