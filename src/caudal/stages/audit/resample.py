"""Resamples of counts, by which figures get their intervals.

Classifications: the numbers of rows in all strata are drawn from the multinomial distribution of their shares, which is what drawing rows with
replacement does to them; scores count with their mean within a stratum. Regressions: each group's means of e, |e| and e² are drawn together from
their normal limit, with the covariances that the sums of their products give (Efron & Tibshirani 1993, "An Introduction to the Bootstrap",
chapters 5 and 6). Both cost the same for a thousand rows and for ten million.
"""

from __future__ import annotations

import numpy as np

from caudal.stages.audit.counts import GroupCounts, tally_of_errors, tally_of_strata
from caudal.stages.audit.tally import Tally

RESAMPLES = 1000
INTERVALS = {
    "numbers": "95% of 1,000 parametric resamples of sums of errors by group",
    "classes": "95% of 1,000 multinomial resamples of counts",
    "positive": "95% of 1,000 multinomial resamples of counts",
}
"""What the intervals are, by form."""


def resampled(counts: GroupCounts, seed: int, resamples: int = RESAMPLES) -> Tally:
    """Return the sums of each resample, [resample, group]."""
    rng = np.random.default_rng(seed)
    return _resampled_errors(counts, rng, resamples) if counts.form == "numbers" else _resampled_strata(counts, rng, resamples)


def _resampled_strata(counts: GroupCounts, rng: np.random.Generator, resamples: int) -> Tally:
    filled = np.flatnonzero(counts.strata)
    numbers = counts.strata.flat[filled]
    total = int(numbers.sum())
    drawn = np.zeros((resamples, counts.strata.size))
    drawn[:, filled] = rng.multinomial(total, numbers / total, size=resamples)
    strata = drawn.reshape(resamples, *counts.strata.shape)
    means = np.divide(counts.sums, counts.strata, out=np.zeros(counts.sums.shape), where=counts.strata > 0)
    return tally_of_strata(strata, strata * means, counts.form, counts.has_scores)


def _resampled_errors(counts: GroupCounts, rng: np.random.Generator, resamples: int) -> Tally:
    rows = counts.rows.astype("float64")
    drawn = np.empty((resamples, len(rows), 3))
    for group, (count, sums) in enumerate(zip(rows, counts.sums, strict=True)):
        e, absolute, squared, signed, cube, absolute_cube, fourth = sums / count
        means = np.array([e, absolute, squared])
        products = np.array([[squared, signed, cube], [signed, squared, absolute_cube], [cube, absolute_cube, fourth]])
        # Computed in floating point, a covariance of equal errors may be a little below zero.
        values, vectors = np.linalg.eigh((products - np.outer(means, means)) / count)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        drawn[:, group] = means + rng.standard_normal((resamples, 3)) @ root.T
    scaled = drawn * rows[:, None]
    return tally_of_errors(np.broadcast_to(rows, drawn.shape[:2]), scaled[..., 0], np.abs(scaled[..., 1]), np.abs(scaled[..., 2]))
