"""Measures of drift, held against SciPy on the binned samples, and by what must hold for any histogram."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from caudal import kinds
from caudal.stages.monitor.bins import Bins, CategoryBins, Histogram, NumberBins, bins_of, histogram, sum_of
from caudal.stages.monitor.column_counts import NumberCounts, column_counts_of

EDGES = NumberBins((0.0, 1.0, 2.5, 4.0))
CATEGORIES = CategoryBins(("a", "b", "c"))
DISTANCES = ("psi", "ks", "wasserstein", "chi_square", "jensen_shannon")
SYMMETRIC = ("psi", "ks", "chi_square", "jensen_shannon")
histograms = st.lists(st.integers(0, 400), min_size=5, max_size=5).filter(any).map(lambda counts: Histogram(tuple(counts)))


def distance(name: str, first: Histogram, second: Histogram, bins: Bins = EDGES) -> float:
    value: float = kinds.MEASURES[name].compare(bins, first, second)
    return value


def sample(binned: Histogram) -> np.ndarray:
    return np.repeat(EDGES.centers, binned.counts)


@given(histograms, histograms)
def test_measures_are_those_of_scipy_on_the_binned_samples(first: Histogram, second: Histogram) -> None:
    places = np.arange(5)
    one, two = np.repeat(places, first.counts), np.repeat(places, second.counts)
    assert distance("ks", first, second) == pytest.approx(stats.ks_2samp(one, two, method="asymp").statistic)
    deviation = sample(first).std()
    area = stats.wasserstein_distance(sample(first), sample(second))
    assert distance("wasserstein", first, second) == pytest.approx(area / deviation if deviation else area, abs=1e-12)
    shares = [np.array(histogram.counts) / histogram.valued for histogram in (first, second)]
    above = stats.mannwhitneyu(two, one).statistic / (one.size * two.size)
    assert distance("superiority", first, second) == pytest.approx(above)
    assert distance("superiority", first, second) + distance("superiority", second, first) == pytest.approx(1)
    assert distance("jensen_shannon", first, second) == pytest.approx(jensenshannon(*shares, base=2), abs=1e-7)
    table = np.array([first.counts, second.counts])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] > 1:
        assert distance("chi_square", first, second) == pytest.approx(stats.contingency.association(table, method="cramer"))


@given(histograms, histograms)
def test_the_index_is_the_symmetric_divergence(first: Histogram, second: Histogram) -> None:
    used = (np.array(first.counts) + np.array(second.counts)) > 0
    one, two = (np.array(counts.counts)[used] + 0.5 for counts in (first, second))
    expected = stats.entropy(one, two) + stats.entropy(two, one)  # SciPy divides by the sums
    assert distance("psi", first, second) == pytest.approx(expected, abs=1e-12)


@given(histograms)
def test_equal_histograms_have_no_distance(counts: Histogram) -> None:
    for name in DISTANCES:
        assert distance(name, counts, counts) == pytest.approx(0, abs=1e-7), name


@given(histograms, histograms)
def test_distances_are_symmetric_and_not_negative(first: Histogram, second: Histogram) -> None:
    for name in SYMMETRIC:
        assert distance(name, first, second) == pytest.approx(distance(name, second, first), abs=1e-9), name
    for name in DISTANCES:
        assert distance(name, first, second) >= 0


@given(st.lists(histograms, min_size=2, max_size=5))
def test_parts_add_up_and_can_be_taken_away_again(parts: list[Histogram]) -> None:
    total = sum_of(parts)
    assert total.counts == tuple(int(column.sum()) for column in np.array([part.counts for part in parts]).T)
    assert total - parts[0] == sum_of(parts[1:])


def test_binned_distances_are_near_those_of_the_values() -> None:
    random = np.random.default_rng(0)
    before, after = random.normal(size=20_000), random.normal(0.5, 1.2, size=5_000)
    reference = column_counts_of([pa.array(before)])
    bins = bins_of(reference)
    assert bins is not None
    first, second = (histogram(bins, counts) for counts in (reference, column_counts_of([pa.array(after)])))
    assert first is not None
    assert second is not None
    assert distance("ks", first, second, bins) == pytest.approx(stats.ks_2samp(before, after).statistic, abs=0.01)
    area = stats.wasserstein_distance(before, after) / before.std()
    assert distance("wasserstein", first, second, bins) == pytest.approx(area, abs=0.06)


def test_shares_of_nulls_and_of_new_categories() -> None:
    known, window = Histogram((6, 4, 0, 0, 0), 0), Histogram((3, 0, 0, 1, 6), 30)
    assert distance("null_share", known, window, CATEGORIES) == 0.75
    assert distance("new_share", known, window, CATEGORIES) == 0.6


def test_a_constant_column_that_moves_is_seen() -> None:
    counted = {value: NumberCounts(np.array([value]), np.array([50])) for value in (7.0, 7.5)}
    bins = bins_of(counted[7.0])
    assert bins is not None
    counts = {value: binned for value, of_value in counted.items() if (binned := histogram(bins, of_value)) is not None}
    assert distance("psi", counts[7.0], counts[7.0], bins) == 0
    assert distance("psi", counts[7.0], counts[7.5], bins) > 5
    assert math.isfinite(distance("wasserstein", counts[7.0], counts[7.5], bins))


def test_every_measure_says_what_it_is_of() -> None:
    assert [*kinds.MEASURES] == ["psi", "superiority", *DISTANCES[1:], "null_share", "new_share"]
    assert {name for name, measure in kinds.MEASURES.items() if measure.of == "numbers"} == {"ks", "wasserstein", "superiority"}
