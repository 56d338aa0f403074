"""Folds by hash: each key in one place for ever, things that belong together kept together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import caudal as cd
from caudal import beats_baseline, beats_champion
from caudal.declarations.model import Model, hashed
from caudal.declarations.node import Features
from caudal.errors import DeclarationProblem, StepFailed
from caudal.stages.train import train
from caudal.stages.train.split import hashed_folds


def rows(count: int) -> pd.DataFrame:
    times = pd.to_datetime("2024-01-01") + pd.to_timedelta(range(count), "h")
    return pd.DataFrame({"id": range(count), "thing": [i // 4 for i in range(count)], "at": times})


def in_test(frame: pd.DataFrame, split, number: int) -> set[int]:
    return set(frame["id"].iloc[hashed_folds(frame, split, ["id"], frame["at"])[number].test])


def test_each_fold_tests_on_other_rows_and_learns_from_the_rest() -> None:
    frame, split = rows(400), cd.hashed(0.25, folds=4)
    folds = hashed_folds(frame, split, ["id"], frame["at"])
    assert sorted(i for fold in folds for i in fold.test) == list(range(400))
    assert all(sorted([*fold.train, *fold.test]) == list(range(400)) for fold in folds)
    assert all(60 <= len(fold.test) <= 140 for fold in folds)
    assert all(fold.cut < frame["at"].min() for fold in folds)


def test_a_row_stays_in_its_fold_whatever_comes_later_and_in_any_order() -> None:
    split = cd.hashed(0.2, folds=3)
    few, many = rows(200), rows(400).sample(frac=1, random_state=0)
    for number in range(3):
        assert in_test(few, split, number) == {i for i in in_test(many, split, number) if i < 200}


def test_what_belongs_together_stays_together() -> None:
    frame = rows(400)
    for fold in hashed_folds(frame, cd.hashed(0.25, by="thing"), ["id"], frame["at"]):
        assert not set(frame["thing"].iloc[fold.train]) & set(frame["thing"].iloc[fold.test])


def test_what_cannot_be_split_is_told() -> None:
    frame = rows(3)
    with pytest.raises(StepFailed, match="fold 1 of 3"):
        hashed_folds(frame, cd.hashed(0.25), ["id"], frame["at"])
    with pytest.raises(DeclarationProblem, match="no such column"):
        hashed_folds(rows(100), cd.hashed(0.25, by="thong"), ["id"], frame["at"])
    with pytest.raises(DeclarationProblem, match="cannot all differ"):
        cd.hashed(0.5, folds=3)


def test_features_without_a_time_are_learned_from_by_their_keys_and_say_no_time() -> None:
    random = np.random.default_rng(3)
    frame = pd.DataFrame({"id": range(120), "x": random.random(120)})
    frame["y"] = frame["x"] * 2
    frame.loc[::10, "y"] = np.nan
    features = Features("f", ("t",), entity=("id",), labels=("y",))
    model = Model("m", "f", "y", 0.0, {"linear": LinearRegression()}, hashed(0.25), "mae", (beats_baseline(), beats_champion()))
    trained = train(model, features, frame)
    assert (trained.training_from, trained.training_until) == (None, None)
    assert (trained.rows, trained.rows_unlabelled) == (108, 12)
    assert trained.passed
    assert trained.signature["as_of"] is None
    assert all(fold["from"] is None and fold["until"] is None for fold in trained.results[1].folds)
    again = train(model, features, frame.sample(frac=1, random_state=1))
    assert [one.score for one in again.results] == [one.score for one in trained.results]
