"""What is kept of a candidate of cuML is its counterpart in scikit-learn. A stand-in for cuML, which needs a GPU; the library itself is in the conformance test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge

import caudal as cd
from caudal.declarations.model import Model, hashed
from caudal.declarations.node import Features
from caudal.errors import DeclarationProblem
from caudal.registry.trust import unknown
from caudal.stages.train import train
from caudal.stages.train.encode import estimator_kind

FEATURES = Features("requests", (), entity=("person",), as_of="", labels=("repaid",))


def on_gpu(kind: type, module: str) -> Any:
    """Return an estimator that is of cuML by its module, and is fitted as scikit-learn's."""

    def as_sklearn(self: Any) -> Any:
        counterpart = kind(**self.get_params())
        vars(counterpart).update(vars(self))
        return counterpart

    return type(kind.__name__, (kind,), {"__module__": module, "as_sklearn": as_sklearn})()


LOGISTIC = on_gpu(LogisticRegression, "cuml.linear_model.logistic_regression")


@pytest.mark.parametrize(
    "candidate",
    [
        LOGISTIC,
        cd.search(LOGISTIC, {"C": [0.1, 1.0]}),
        cd.reweigh(LOGISTIC, "sex"),
        cd.group_thresholds(LOGISTIC, "sex"),
        cd.reduction(LOGISTIC, "sex", max_iter=3),
    ],
    ids=["alone", "search", "reweigh", "group_thresholds", "reduction"],
)
def test_nothing_of_cuml_is_stored(candidate: Any) -> None:
    import skops.io

    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"person": range(400), "income": rng.normal(50, 10, 400), "sex": rng.choice(["f", "m"], 400)})
    frame["repaid"] = np.where(frame["income"] + rng.normal(0, 5, 400) > 50, "yes", "no")
    model = Model(
        "lend", "requests", "repaid", 0.0, {"chosen": clone(candidate)}, hashed(0.5, folds=2), "accuracy", task="classification"
    )
    trained = train(model, FEATURES, frame)
    assert trained.chosen == "chosen"
    data = skops.io.dumps(trained.fitted.estimator)
    types = skops.io.get_untrusted_types(data=data)
    assert not unknown(types)
    assert (skops.io.loads(data, trusted=types).predict(frame) == trained.fitted.predict(frame)["prediction"]).all()


def test_a_forest_gets_ordinals_and_one_without_a_counterpart_is_refused() -> None:
    assert estimator_kind(on_gpu(RandomForestClassifier, "cuml.ensemble.randomforestclassifier")) == "trees"
    other = type("MBSGDRegressor", (Ridge,), {"__module__": "cuml.linear_model.mbsgd_regressor"})()
    model = Model("lend", "requests", "repaid", 0.0, {"mbsgd": other}, hashed(0.5, folds=2), "mae")
    frame = pd.DataFrame({"person": range(40), "income": 1.0, "sex": "f", "repaid": 2.0})
    with pytest.raises(
        DeclarationProblem, match="Candidate 'mbsgd' of model 'lend' is MBSGDRegressor of cuML, which has no counterpart"
    ):
        train(model, FEATURES, frame)
