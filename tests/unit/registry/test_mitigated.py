"""Mitigated candidates are trained, stored without pickle, loaded and predict as they were trained; each does what its paper says."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import caudal as cd
from caudal import registry
from caudal.declarations.model import Model, hashed
from caudal.declarations.node import Features
from caudal.errors import CaudalError, DeclarationProblem, EnvironmentProblem
from caudal.kinds import MITIGATIONS
from caudal.stages.mitigation.group_thresholds import EVERYONE, thresholds
from caudal.stages.mitigation.reweigh import row_weights
from caudal.stages.train import Trained, train

KEPT = Features("requests", (), entity=("person",), as_of="", labels=("repaid",), keep=("sex",))
INPUT = Features("requests", (), entity=("person",), as_of="", labels=("repaid",), keep=("town",))


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """Return 1,500 requests, some with nulls: men have more income, and repay more often."""
    rng = np.random.default_rng(5)
    n = 1500
    sex = rng.choice(["f", "m"], n)
    income = rng.normal(np.where(sex == "m", 52.0, 44.0), 9.0)
    repaid = np.where(income + rng.normal(0, 5, n) > 48, "yes", "no")
    frame = pd.DataFrame(
        {"person": range(n), "income": income, "town": rng.choice(["a", "b", "c"], n), "sex": sex, "repaid": repaid}
    )
    frame.loc[::97, "sex"], frame.loc[::53, "town"] = None, None
    return frame


def trained(people: pd.DataFrame, candidate: Any, features: Features = INPUT, **more: Any) -> Trained:
    told: dict[str, Any] = {"split": hashed(0.3, folds=2), "metric": "accuracy", "task": "classification", **more}
    return train(Model("lend", "requests", "repaid", 0.0, {"chosen": candidate}, **told), features, people)


def rates(people: pd.DataFrame, predicted: pd.Series, of: str | None = None) -> dict[str, float]:
    counted = people["repaid"] == of if of else pd.Series(True, people.index)
    return (predicted[counted] == "yes").groupby(people["sex"][counted]).mean().to_dict()


EXAMPLES = {
    "reweigh": lambda: cd.reweigh(LogisticRegression(), by="sex"),
    "group_thresholds": lambda: cd.group_thresholds(LogisticRegression(), by="sex"),
    "reduction": lambda: cd.reduction(LogisticRegression(), by="sex", max_iter=8),
}


@pytest.fixture(scope="module")
def mitigated(people: pd.DataFrame) -> Callable[[str], Trained]:
    """Return a function that trains a mitigation's example, once each."""
    return cache(lambda name: trained(people, EXAMPLES[name]()))


@pytest.mark.slow
@pytest.mark.parametrize("name", MITIGATIONS)
def test_it_is_trained_stored_loaded_and_predicts_the_same_for_one_row_as_for_all(name, people, home, ledger, mitigated):
    result = mitigated(name)
    assert result.results[1].error is None
    assert result.parameters["by"] == "sex"
    given = {"fingerprint": "f", "code": "c", "training_table": "requests", "training_version": 0, "run_id": "r"}
    row = registry.register(home, ledger, "loans", "lend", result, **given).row
    assert row["format"] == "skops"
    loaded = registry.load_version(home, ledger, "loans", "lend", 1)
    everyone = loaded.predict(people)
    pd.testing.assert_frame_equal(everyone, result.fitted.predict(people))
    assert list(everyone) == ["prediction", "probability_no", "probability_yes"]
    assert set(everyone["prediction"]) == {"no", "yes"}
    assert np.allclose(everyone[["probability_no", "probability_yes"]].sum(axis=1), 1)
    for place in (0, 1, 53, 97):  # with nulls as well
        pd.testing.assert_frame_equal(loaded.predict(people.iloc[[place]]), everyone.iloc[[place]])


@pytest.mark.parametrize("name", MITIGATIONS)
def test_it_is_an_estimator_of_scikit_learns_kind(name):
    candidate = EXAMPLES[name]()
    copied = clone(candidate)
    assert copied.get_params().keys() == candidate.get_params().keys()
    assert copied.set_params(estimator__C=3.0).estimator.C == 3.0
    assert candidate.estimator.C == 1.0


def test_each_narrows_the_difference_of_selection_rates(people, mitigated):
    plain = rates(people, trained(people, LogisticRegression()).fitted.predict(people)["prediction"])
    gap = plain["m"] - plain["f"]
    assert gap > 0.3
    for name in EXAMPLES:
        narrowed = rates(people, mitigated(name).fitted.predict(people)["prediction"])
        assert abs(narrowed["m"] - narrowed["f"]) < {"reweigh": 0.8, "group_thresholds": 0.15, "reduction": 0.3}[name] * gap, name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reweigh", "reduction"])
def test_training_by_a_kept_column_needs_no_group_to_predict(name, people):
    fitted = trained(people, EXAMPLES[name](), KEPT).fitted
    assert [input_["name"] for input_ in fitted.inputs] == ["income", "town"]
    pd.testing.assert_frame_equal(fitted.predict(people.drop(columns="sex")), fitted.predict(people))


def test_weights_are_those_of_kamiran_and_calders(people):
    sex, repaid = people["sex"].fillna("?").to_numpy(object), people["repaid"].to_numpy(object)
    given = row_weights(sex, repaid)
    assert given.sum() == pytest.approx(len(people))
    weighted = pd.DataFrame({"sex": sex, "repaid": repaid, "weight": given}).groupby(["sex", "repaid"])["weight"].sum().unstack()
    shares = weighted["yes"] / weighted.sum(axis=1)
    assert shares.to_numpy() == pytest.approx(np.full(3, (repaid == "yes").mean()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["selection_rate", "tpr", "fpr"]), st.sampled_from([0.0, 0.05]))
def test_thresholds_make_the_rate_equal(seed, metric, within):
    rng = np.random.default_rng(seed)
    n = 600
    groups = rng.choice(["a", "b"], n, p=[0.3, 0.7]).astype(object)
    scores = np.clip(rng.normal(np.where(groups == "a", 0.4, 0.6), 0.2), 0, 1)
    positive = rng.random(n) < scores
    found = thresholds(scores, positive, groups, metric, within=within, min_rows=20)
    counted = {"selection_rate": np.full(n, True), "tpr": positive, "fpr": ~positive}[metric]
    by_group = {name: (scores >= found[name])[counted & (groups == name)].mean() for name in ("a", "b")}
    least = min((counted & (groups == name)).sum() for name in ("a", "b"))
    assert abs(by_group["a"] - by_group["b"]) <= within + 1 / least + 0.002 + 1e-9
    assert EVERYONE in found


def test_a_group_of_few_rows_or_unseen_has_the_threshold_of_everyone(people):
    candidate = cd.group_thresholds(LogisticRegression(), by="sex", min_rows=200)
    fitted = trained(people, candidate).fitted
    estimator: Any = fitted.estimator
    assert set(estimator.thresholds_) == {"f", "m", EVERYONE}  # not "(missing)", of 16 rows
    unseen = people.head(50).assign(sex="x")
    said = fitted.predict(unseen)
    assert (said["prediction"] == "yes").to_numpy().tolist() == (
        said["probability_yes"] >= estimator.thresholds_[EVERYONE]
    ).tolist()


def test_wider_thresholds_cost_less_accuracy(people):
    results = {within: trained(people, cd.group_thresholds(LogisticRegression(), by="sex", within=within)) for within in (0.0, 0.3)}
    assert results[0.3].metrics["accuracy"] > results[0.0].metrics["accuracy"]


def test_wrong_use_is_one_sentence(people, monkeypatch):
    with pytest.raises(DeclarationProblem, match="given the metric 'trp'") as wrong:
        cd.group_thresholds(LogisticRegression(), by="sex", metric="trp")
    assert wrong.value.nearest == "tpr"
    with pytest.raises(DeclarationProblem, match="given the constraint 'parity'"):
        cd.reduction(LogisticRegression(), by="sex", constraint="parity")
    three = people.assign(repaid=np.where(people.index % 3 == 0, "perhaps", people["repaid"]))
    errors = {
        "takes no weights of rows": (people, cd.reweigh(KNeighborsClassifier(), by="sex")),
        "for two classes, and the rows have 3": (three, cd.group_thresholds(LogisticRegression(), by="sex")),
        "groups rows by 'sexx'": (people, cd.group_thresholds(LogisticRegression(), by="sexx")),
        "'ja' as the positive class": (people, cd.reduction(LogisticRegression(), by="sex", positive="ja")),
    }
    for sentence, (frame, candidate) in errors.items():
        with pytest.raises(CaudalError, match=sentence):
            trained(frame, candidate)
    imported = builtins.__import__

    def without(name: str, *more: Any, **named: Any) -> Any:
        if name.startswith("fairlearn"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return imported(name, *more, **named)

    import importlib

    monkeypatch.setattr(importlib, "import_module", without)
    monkeypatch.setattr("caudal.extras.import_module", without)
    with pytest.raises(EnvironmentProblem, match=r"cd.reduction needs fairlearn.*pip install 'caudal\[fairness\]'"):
        cd.reduction(LogisticRegression(), by="sex").fit(people[["income", "sex"]].fillna("?"), people["repaid"])
