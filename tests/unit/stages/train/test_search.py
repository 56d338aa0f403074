"""cd.search: parameters are looked for within the training rows alone, and the best estimator is what is kept."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, TimeSeriesSplit

import caudal as cd
from caudal.errors import DeclarationProblem
from caudal.stages.train import train
from caudal.stages.train.candidates import candidates
from caudal.stages.train.rows import labelled_rows
from caudal.stages.train.split import folds


class Watched(RegressorMixin, BaseEstimator):
    """A mean that notes which rows it is fitted to and asked about, by their greatest input."""

    seen: ClassVar[list[tuple[str, frozenset[float]]]] = []

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, rows, labels):
        self.seen.append(("fit", frozenset(np.asarray(rows)[:, 0].tolist())))
        self.mean_ = float(np.mean(labels))
        return self

    def predict(self, rows):
        self.seen.append(("predict", frozenset(np.asarray(rows)[:, 0].tolist())))
        return np.full(len(rows), self.mean_ + self.shift)


def test_no_row_of_the_test_stretch_is_seen_by_the_search(rides, features, declared):
    frame = rides[["ride", "at", "borough", "minutes"]].assign(number=np.arange(len(rides), dtype=float))
    model = declared({"searched": cd.search(Watched(), {"shift": [0.0, 50.0, 100.0]})}, max_rows=None)
    rows = labelled_rows(model, features, frame)
    (candidate,) = [one for name, one in candidates(model, rows).items() if name == "searched"]
    for fold in folds(rows.as_of, model.split, model.horizon_s):
        # Scaled by the pipeline: what is told apart is which rows, not their values.
        fitted_candidate = candidate
        Watched.seen.clear()
        fitted = fitted_candidate.fit(rows.frame.iloc[fold.train], rows.y.iloc[fold.train])
        seen = {number for _, numbers in Watched.seen for number in numbers}
        scaled = fitted.estimator[:-1].transform(rows.frame[["number"]])[:, 0]
        assert seen <= set(scaled[fold.train].tolist())
        assert not seen & set(scaled[fold.test].tolist())
        assert sum(kind == "fit" for kind, _ in Watched.seen) == 3 * 3 + 1
        assert fitted.found == {"shift": 0.0}
        # Within the training rows, what is asked about is later than what was fitted to.
        for (_, fitted_to), (_, asked) in zip(Watched.seen[:18:2], Watched.seen[1:18:2], strict=True):
            assert max(fitted_to) < min(asked)


@pytest.mark.slow
def test_the_best_is_kept_and_told(rides, features, declared):
    found = train(declared({"ridge": cd.search(Ridge(), {"alpha": loguniform(1e-3, 1e6)}, budget=8)}), features, rides)
    (ridge,) = [one for one in found.results if one.name == "ridge"]
    assert ridge.error is None
    assert isinstance(found.fitted.estimator[-1], Ridge)
    assert found.parameters["found__alpha"] == found.fitted.estimator[-1].alpha < 1000
    assert f"The search of ridge found alpha={found.parameters['found__alpha']}." in found.rule
    again = train(declared({"ridge": cd.search(Ridge(), {"alpha": loguniform(1e-3, 1e6)}, budget=8)}), features, rides)
    assert again.parameters == found.parameters


def test_it_scores_by_the_models_metric_and_has_time_or_drawn_folds(rides, features, declared):
    def made(**more):
        model = declared({"one": cd.search(Ridge(), {"alpha": [1, 2]})}, **more)
        return candidates(model, labelled_rows(model, features, rides))["one"].estimator

    assert made().scoring == "neg_mean_absolute_error"
    assert isinstance(made().cv, TimeSeriesSplit)
    assert isinstance(made(split=cd.hashed()).cv, KFold)
    assert made(metric="rmse").scoring == "neg_root_mean_squared_error"


def test_what_it_cannot_search_is_refused():
    with pytest.raises(DeclarationProblem, match="given the parameter 'alhpa', which Ridge does not have") as raised:
        cd.search(Ridge(), {"alhpa": [1]})
    assert raised.value.nearest == "alpha"
    with pytest.raises(DeclarationProblem, match="a budget of 0"):
        cd.search(Ridge(), {"alpha": [1]}, budget=0)
    assert hasattr(cd.search(LogisticRegression(), {"C": [1, 2]}), "predict_proba")
