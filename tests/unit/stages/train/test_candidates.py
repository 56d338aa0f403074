"""Anything that can be fitted is fitted by one protocol."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVR

from caudal.errors import DeclarationProblem, StepFailed
from caudal.stages.train.baseline import Baseline
from caudal.stages.train.candidates import candidates
from caudal.stages.train.encode import estimator_kind
from caudal.stages.train.rows import labelled_rows
from caudal.stages.train.scikit import ScikitCandidate


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(), Ridge(), KNeighborsRegressor(), SVR(), RandomForestRegressor(10), ExtraTreesRegressor(10),
        GradientBoostingRegressor(n_estimators=10), HistGradientBoostingRegressor(max_iter=20),
    ],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_a_bare_estimator_takes_strings_booleans_nulls_and_what_it_never_saw(estimator, rides, features, declared):
    rows = labelled_rows(declared(), features, rides)
    fitted = ScikitCandidate(estimator, rows.inputs, None, seed=0).fit(rows.frame, rows.y)
    new = pd.DataFrame({"km": [1.0, None], "zone": ["never seen", None], "rush": [True, None], "seats": [2, None]}, index=[5, 9])
    said = fitted.predict(new)
    assert list(said.index) == [5, 9]
    assert list(said) == ["prediction"]
    assert np.isfinite(said.prediction).all()
    known = fitted.predict(rows.frame).prediction
    assert (known - rows.y).abs().mean() < 0.7 * (rows.y - rows.y.median()).abs().mean()
    assert not hasattr(estimator, "n_features_in_")  # the declared estimator is left as it is


def test_a_zone_of_many_is_learned(features, declared):
    rng = np.random.default_rng(3)
    n, zones = 6000, 265
    effect = rng.normal(0, 10, zones)
    zone = rng.integers(0, zones, n)
    frame = pd.DataFrame({
        "ride": range(n), "at": pd.date_range("2023-01-01", periods=n, freq="min"), "zone": [f"zone {one}" for one in zone], "borough": "x",
        "minutes": effect[zone] + rng.normal(0, 0.5, n),
    })  # fmt: skip
    rows = labelled_rows(declared(), features, frame)
    for estimator in (Ridge(), HistGradientBoostingRegressor()):
        fitted = ScikitCandidate(estimator, rows.inputs, None, 0).fit(rows.frame[:5000], rows.y[:5000])
        assert (fitted.predict(rows.frame[5000:]).prediction - rows.y[5000:]).abs().mean() < 3


def test_own_preparation_is_taken_as_it_is(rides, features, declared):
    own = make_pipeline(make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["zone"])), Ridge())
    rows = labelled_rows(declared(), features, rides)
    fitted = ScikitCandidate(own, rows.inputs, None, 0).fit(rows.frame, rows.y)
    assert [name for name, _ in fitted.estimator.steps] == ["columntransformer", "ridge"]
    assert estimator_kind(RandomForestRegressor()) == "trees"
    assert estimator_kind(Ridge()) == "other"


def test_the_seed_reaches_what_was_left_open(rides, features, declared):
    rows = labelled_rows(declared(), features, rides)

    def said(seed: int, state: int | None = None) -> pd.Series:
        candidate = ScikitCandidate(RandomForestRegressor(5, random_state=state), rows.inputs, None, seed)
        return candidate.fit(rows.frame, rows.y).predict(rows.frame).prediction

    assert said(1).equals(said(1))
    assert not said(1).equals(said(2))
    assert said(1, state=5).equals(said(2, state=5))


def test_baseline_says_the_groups_median_and_the_median_to_strangers():
    frame = pd.DataFrame({"zone": ["a", "a", "a", "b", None], "hour": [1, 1, 1, 2, 3]})
    label = pd.Series([1.0, 2.0, 9.0, 5.0, 7.0])
    fitted = Baseline("mae", group_by=("zone", "hour")).fit(frame, label)
    new = pd.DataFrame({"zone": ["a", "b", "b", None], "hour": [1, 2, 9, 3]}, index=[3, 2, 1, 0])
    assert fitted.predict(new).prediction.to_dict() == {3: 2.0, 2: 5.0, 1: 5.0, 0: 7.0}
    assert Baseline("mae", group_by=("zone",)).fit(frame, label).predict(new).prediction.tolist() == [2.0, 5.0, 5.0, 7.0]
    assert Baseline("rmse").fit(frame, label).predict(new).prediction.unique().tolist() == [4.8]


def test_baseline_says_the_shares_of_the_classes():
    frame = pd.DataFrame({"zone": ["a", "a", "b", "b"]})
    label = pd.Series(["no", "no", "yes", "no"])
    whole = Baseline("log_loss", ("no", "yes")).fit(frame, label).predict(frame)
    assert whole.probability_yes.tolist() == [0.25] * 4
    assert whole.prediction.tolist() == ["no"] * 4
    grouped = Baseline("log_loss", ("no", "yes"), ("zone",)).fit(frame, label).predict(frame)
    assert grouped.probability_no.tolist() == [1.0, 1.0, 0.5, 0.5]


def test_a_candidate_may_be_a_function_or_a_class(rides, features, declared):
    model = declared({"function": lambda: Ridge(3.0), "class": Ridge})
    found = candidates(model, labelled_rows(model, features, rides))
    assert list(found) == ["baseline", "function", "class"]
    assert found["function"].parameters()["alpha"] == 3.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"baseline": Ridge()}, "naive baseline of that name"),
        ({"text": "ridge"}, "is a str, which cannot be trained"),
        ({}, "has no candidates"),
        ({"spark": lambda spark: None}, "no Spark session was given"),
    ],
)
def test_what_is_no_candidate_is_told(given, said, rides, features, declared):
    model = declared(given)
    with pytest.raises(DeclarationProblem, match=said):
        candidates(model, labelled_rows(model, features, rides))


def test_times_and_lists_among_the_inputs_are_refused_with_what_to_do(rides, features, declared):
    with pytest.raises(DeclarationProblem, match=r"time column 'dropoff'.*calendar"):
        labelled_rows(declared(), features, rides.assign(dropoff=rides["at"]))
    with pytest.raises(DeclarationProblem, match="time column 'date'"):
        labelled_rows(declared(), features, rides.assign(date=rides["at"].dt.date))
    with pytest.raises(DeclarationProblem, match=r"column 'vector'.*Split it"):
        labelled_rows(declared(), features, rides.assign(vector=[[1, 2]] * len(rides)))


def test_missing_inputs_and_words_for_numbers_are_told(rides, features, declared):
    rows = labelled_rows(declared(), features, rides)
    fitted = ScikitCandidate(Ridge(), rows.inputs, None, 0).fit(rows.frame, rows.y)
    with pytest.raises(StepFailed, match=r"needs the input 'km'.*'KM'"):
        fitted.predict(rides.rename(columns={"km": "KM"}))
    with pytest.raises(StepFailed) as told:
        fitted.predict(rides.assign(seats="four"))
    assert told.value.facts["column"] == "seats"
