"""What is kept of a window's column: the same whichever way the rows come, exact where few values are, near elsewhere."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from caudal.stages.monitor.bins import bins_of, category_bins, histogram
from caudal.stages.monitor.column_counts import (
    MOST_CATEGORIES,
    MOST_KEYS,
    MOST_VALUES,
    CategoryCounts,
    NumberCounts,
    NumberTally,
    column_counts_of,
    counts_from_json,
    only_grows,
    together,
)

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-5, 5).map(float) | st.none()


def numbers(values: object, cuts: int = 1) -> NumberCounts:
    counts = column_counts_of([pa.array(part) for part in np.array_split(np.asarray(values), cuts)])
    assert isinstance(counts, NumberCounts)
    return counts


@settings(max_examples=60)
@given(st.lists(NUMBERS, max_size=200), st.integers(0, 200), st.randoms())
def test_a_few_numbers_are_kept_as_they_are(values: list[float | None], cut: int, random: object) -> None:
    counts = column_counts_of([pa.array(values, pa.float64())])
    assert isinstance(counts, NumberCounts)
    finite = np.array([value for value in values if value is not None and np.isfinite(value)], "float64") + 0.0
    expected, rows = np.unique(finite, return_counts=True)
    assert counts.values.tolist() == expected.tolist()
    assert counts.counts.tolist() == rows.tolist()
    assert counts.nulls == len(values) - finite.size
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert column_counts_of([pa.array(shuffled[:cut], pa.float64()), pa.array(shuffled[cut:], pa.float64())]) == counts
    assert counts_from_json(counts.as_json()) == counts


@pytest.mark.parametrize("spread", [0.01, 1.0, 1e6])
def test_many_numbers_are_the_same_in_any_order_and_their_ranks_are_near(spread: float) -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(100, spread, 160_000), random.standard_cauchy(9_000) * 1e12, np.full(20_000, 7.0)])
    counts = numbers(values)
    for cuts in (3, 40):
        assert numbers(random.permutation(values), cuts) == counts
    assert MOST_VALUES // 2 < counts.values.size <= MOST_VALUES
    assert counts.valued == values.size
    assert 7.0 in counts.values  # what many rows share stands for itself
    ordered = np.sort(values)
    for edge in counts.values:
        exact = np.searchsorted(ordered, edge, side="right") / values.size
        kept = counts.counts[counts.values <= edge].sum() / values.size
        assert abs(kept - exact) < 0.013 + np.mean(values == edge)


def test_no_more_than_so_many_keys_are_held() -> None:
    tally = NumberTally()
    for seed in range(5):
        tally.add(pa.array(np.random.default_rng(seed).normal(size=50_000)))
        assert tally._keys.size <= MOST_KEYS


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=9), min_size=1, max_size=5))
def test_categories_add_up(parts: list[list[str | None]]) -> None:
    whole = column_counts_of([pa.array(part, pa.string()) for part in parts])
    assert isinstance(whole, CategoryCounts)
    summed = together([column_counts_of([pa.array(part, pa.string())]) for part in parts])
    assert isinstance(summed, CategoryCounts)
    assert (dict(summed.counts), summed.nulls, summed.others) == (dict(whole.counts), whole.nulls, 0)
    assert counts_from_json(whole.as_json()) == whole


@pytest.mark.parametrize("different", [MOST_CATEGORIES + 1, 30_000])
def test_a_window_with_too_many_categories_is_all_new(different: int) -> None:
    known = column_counts_of([pa.array(["a", "b"] * 50)])
    bins = bins_of(known)
    assert bins is not None
    flood = column_counts_of([pa.array([f"n{n}" for n in range(different)])])
    assert isinstance(flood, CategoryCounts)
    assert category_bins(flood) is None
    binned = histogram(bins, flood)
    assert binned is not None
    assert binned.counts == (0, 0, 0, different)


def test_a_number_that_only_grows_is_found_and_a_season_is_not() -> None:
    ids = [numbers(np.arange(200) + 200 * day + 5000 * (day == 3)) for day in range(30)]
    assert only_grows(ids)
    assert only_grows(ids[::-1])
    random = np.random.default_rng(0)
    assert not only_grows([numbers(random.normal(day, 5, 200)) for day in range(30)])
    assert not only_grows(ids[:5])


def test_extremes_have_bins() -> None:
    counts = numbers([-1.7e308, 0.0, 1.7e308, *np.linspace(-1, 1, 30)])
    bins = bins_of(counts)
    assert bins is not None
    binned = histogram(bins, counts)
    assert binned is not None
    assert binned.valued == 33
