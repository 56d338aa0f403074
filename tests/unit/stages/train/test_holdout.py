"""Held-out rows are never learned from, and score a version once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error
from sklearn.neighbors import KNeighborsRegressor

from caudal import limit
from caudal.declarations.holdout import holdout, holdout_of
from caudal.declarations.model import temporal
from caudal.errors import DeclarationProblem, StepFailed
from caudal.stages.train import train
from caudal.stages.train.holdout import split_holdout

DAY = pd.Timedelta("1 day")


class Remembers(KNeighborsRegressor):
    """One nearest neighbour: predicts a row that it has learned from exactly, and notes all that it ever learned from."""

    learned: list[float] = []  # noqa: RUF012  of the class, since candidates are cloned

    def fit(self, x, y):
        Remembers.learned += list(y)
        return super().fit(x, y)


@pytest.fixture
def told(rides):
    """Rides whose labels tell which row they are of."""
    return rides.assign(
        km=rides.km.fillna(1.0), zone="A", minutes=np.arange(len(rides), dtype="float64"), test=rides.borough == "Bronx"
    )


@pytest.fixture
def model(declared):
    Remembers.learned = []
    candidates = {"remembers": Remembers(1)}
    return lambda said, **more: declared(candidates, temporal("2 days", folds=2), holdout=holdout_of(said), **more)


@pytest.mark.parametrize("said", ["5 days", 100, holdout(flag="test"), holdout(table="later")])
def test_no_held_out_row_is_learned_from_and_all_are_scored(told, model, features, said):
    later = told.tail(80).assign(km=told.km.tail(80) + 1)
    trained = train(model(said), features, told, held_out=later)
    if said == "5 days":
        held_out = told[told["at"] > told["at"].max() - 5 * DAY]
        known = told["at"] + pd.Timedelta("1 hour") <= told["at"].max() - 5 * DAY
    elif said == 100:
        held_out = told.tail(100)
        known = told["at"] + pd.Timedelta("1 hour") <= held_out["at"].min()
    else:
        held_out = told[told.test] if said.flag else later
        known = ~told.test if said.flag else ~told.ride.isin(later.ride)
    assert set(Remembers.learned) == set(told[known].minutes)
    assert trained.rows == int(known.sum())
    assert trained.holdout is not None
    assert trained.holdout["rows"] == len(held_out)
    assert trained.holdout["metrics"]["mae"] == pytest.approx(
        mean_absolute_error(held_out.minutes, trained.fitted.predict(held_out).prediction)
    )
    assert "test" not in {one["name"] for one in trained.signature["inputs"]} or said != holdout(flag="test")


def test_without_a_holdout_all_is_learned_from(told, model, features):
    trained = train(model(None), features, told)
    assert set(Remembers.learned) == set(told.minutes)
    assert trained.holdout is None


def test_a_version_that_a_gate_refuses_never_sees_the_held_out_rows(told, model, features):
    trained = train(model("5 days", gates=(limit("mae", 1e-9),)), features, told)
    assert not trained.passed
    assert trained.holdout is None


def test_rows_of_the_moment_at_which_the_held_out_rows_begin_are_not_learned_from(told, model, features):
    together = told.assign(at=told["at"].dt.floor("D"))
    split = split_holdout(replace(model(30), horizon_s=0.0), features, together)
    assert split.held_out is not None
    assert len(split.held_out) == 30
    assert split.train["at"].max() < split.held_out["at"].min()
    assert split.left_out + len(split.train) + 30 == len(together)


def test_rows_without_a_label_stay_with_the_training_rows_and_are_not_held_out(told, model, features):
    unlabelled = told.assign(minutes=told.minutes.where(told.index < 590))
    split = split_holdout(model(20), features, unlabelled)
    assert split.held_out is not None
    assert split.held_out.index.tolist() == list(range(570, 590))


@pytest.mark.parametrize(
    ("said", "error", "match"),
    [
        (holdout(flag="tset"), DeclarationProblem, "mean 'test'"),
        (holdout(flag="minutes"), DeclarationProblem, "no boolean"),
        (holdout(table="later"), DeclarationProblem, "needs the column 'km'"),
        (5000, StepFailed, "leaves no labelled row to train on"),
        ("900 days", StepFailed, "leaves no labelled row"),
    ],
)
def test_a_holdout_that_cannot_be_is_said_to_be_none(told, model, features, said, error, match):
    with pytest.raises(error, match=match):
        train(model(said), features, told, held_out=told.drop(columns="km"))


@pytest.mark.parametrize("asked", [{}, {"newest": "1 day", "flag": "x"}, {"newest": 0}, {"newest": True}])
def test_a_declaration_that_holds_nothing_out_is_refused(asked):
    with pytest.raises(DeclarationProblem):
        holdout(**asked)
