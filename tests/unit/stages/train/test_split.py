"""No label is learned from before it is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.model_selection import TimeSeriesSplit

from caudal.declarations.model import Temporal, temporal
from caudal.errors import DeclarationProblem, StepFailed
from caudal.stages.train.split import MIN_TRAIN_ROWS, folds, row_folds

HOUR = 3600


@settings(max_examples=200, deadline=None)
@given(
    hours=st.lists(st.integers(0, 400), min_size=20, max_size=200),
    test=st.integers(1, 60), train=st.none() | st.integers(1, 200), step=st.none() | st.integers(1, 80), count=st.integers(1, 4),
    horizon=st.integers(0, 48), zone=st.sampled_from([None, "UTC", "America/New_York"]),
)  # fmt: skip
def test_every_training_label_is_known_before_the_test_stretch_starts(hours, test, train, step, count, horizon, zone):
    as_of = pd.Series(pd.Timestamp("2023-03-10", tz=zone) + pd.to_timedelta(sorted(hours), "h"))
    split = Temporal(test * HOUR, train and train * HOUR, step and step * HOUR, count)
    try:
        found = folds(as_of, split, horizon * HOUR)
    except StepFailed:  # too little data for this split: told in another test
        return
    assert len(found) == count
    for fold in found:
        known = as_of.iloc[fold.train] + pd.Timedelta(hours=horizon)
        tested = as_of.iloc[fold.test]
        assert known.max() <= fold.cut < tested.min() <= tested.max() <= fold.until
        assert len(fold.train) >= MIN_TRAIN_ROWS
        # Nothing between the bounds is left out: as_of <= until and > cut is tested, all known in the stretch is learned from.
        assert len(fold.test) == ((as_of > fold.cut) & (as_of <= fold.until)).sum()
        since = fold.cut - pd.Timedelta(hours=horizon) - pd.Timedelta(hours=train) if train else as_of.min() - pd.Timedelta(1)
        assert len(fold.train) == ((as_of + pd.Timedelta(hours=horizon) <= fold.cut) & (as_of > since)).sum()
    assert [fold.cut for fold in found] == sorted(fold.cut for fold in found)
    assert found[-1].until == as_of.iloc[-1]


def test_stretches_step_back_from_the_newest_row():
    as_of = pd.Series(pd.date_range("2023-01-01", periods=31, freq="D"))
    found = folds(as_of, temporal("3 days", step="7 days", folds=2), horizon_s=0)
    assert [str(fold.cut.date()) for fold in found] == ["2023-01-21", "2023-01-28"]
    assert [len(fold.test) for fold in found] == [3, 3]


def test_a_gap_is_passed_over():
    days = [*pd.date_range("2023-01-01", periods=20, freq="D"), *pd.date_range("2023-06-01", periods=2, freq="D")]
    found = folds(pd.Series(days), temporal("2 days", folds=2), horizon_s=0)
    assert [days[at].day for fold in found for at in fold.test] == [20, 1, 2]
    assert found[0].until < pd.Timestamp("2023-01-22") < found[1].cut


def test_a_row_of_long_ago_costs_no_time():
    days = [pd.Timestamp("1970-01-01"), *pd.date_range("2023-01-01", periods=12, freq="min")]
    with pytest.raises(StepFailed):
        folds(pd.Series(days), temporal("1 min", folds=30), horizon_s=0)


def test_too_little_data_is_told_with_its_figures():
    as_of = pd.Series(pd.date_range("2023-01-01", periods=40, freq="6h"))
    with pytest.raises(StepFailed, match=r"needs 3 test stretches of 4 days.*40 labelled rows.*9\.8 days.*give 1") as told:
        folds(as_of, temporal("4 days", folds=3), horizon_s=HOUR, model="duration")
    assert told.value.facts["folds"] == 1
    assert np.isclose(told.value.facts["span_s"], 39 * 6 * HOUR)


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(30, 200), test=st.none() | st.integers(1, 20), train=st.none() | st.integers(10, 60), gap=st.integers(0, 12),
    number=st.integers(2, 6), ties=st.integers(1, 5),
)  # fmt: skip
def test_folds_by_rows_are_those_of_scikit_learn(count, test, train, gap, number, ties):
    as_of = pd.Series(pd.Timestamp("2023-03-10") + pd.to_timedelta(np.arange(count) // ties, "h"))
    reference = TimeSeriesSplit(number, max_train_size=train, test_size=test, gap=gap)
    try:
        expected = list(reference.split(np.empty(count)))
    except ValueError:
        with pytest.raises(StepFailed, match="test stretches"):
            row_folds(as_of, temporal(test, train=train, gap=gap, folds=number), 0.0)
        return
    if min(len(learned) for learned, _ in expected) < MIN_TRAIN_ROWS:
        return
    found = row_folds(as_of, temporal(test, train=train, gap=gap, folds=number), 0.0)
    for fold, (learned, tested) in zip(found, expected, strict=True):
        assert fold.train.tolist() == learned.tolist()
        assert fold.test.tolist() == tested.tolist()
        assert fold.cut < as_of.iloc[tested].min()
    assert len(row_folds(as_of, temporal(3, folds=1), 0.0)) == 1


def test_by_rows_no_label_is_learned_from_before_it_is_known():
    as_of = pd.Series(pd.Timestamp("2023-03-10") + pd.to_timedelta(np.arange(100), "h"))
    (fold,) = row_folds(as_of, temporal(10, folds=1), 5 * HOUR)
    assert fold.train.tolist() == list(range(86))  # row 85's label is known at hour 90, when row 90 is predicted
    assert fold.test.tolist() == list(range(90, 100))


def test_a_gap_in_time_lies_beside_the_horizon():
    as_of = pd.Series(pd.Timestamp("2023-03-10") + pd.to_timedelta(np.arange(100), "h"))
    (fold,) = folds(as_of, temporal("10 hours", gap="3 hours", folds=1), 2 * HOUR)
    assert fold.train.tolist() == list(range(85))


@pytest.mark.parametrize("asked", [
    {"test": 3, "train": "3 days"}, {"test": "3 days", "gap": 3}, {"test": 3, "step": "1 day"}, {"test": 0}, {"test": 3, "gap": -1},
    {"train": "3 days"}, {"test": 3, "folds": 0},
])  # fmt: skip
def test_lengths_that_make_no_split_are_refused(asked):
    with pytest.raises(DeclarationProblem):
        temporal(**asked)
