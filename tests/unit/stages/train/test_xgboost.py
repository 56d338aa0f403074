"""XGBoost's estimators: classes of any name wherever the classifier stands, and categories split natively where that is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

import caudal as cd
from caudal.declarations.signature import InputDocument
from caudal.registry.trust import require_known
from caudal.stages.train.scikit import ScikitCandidate

INPUTS: list[InputDocument] = [{"name": "zone", "type": "string"}, {"name": "km", "type": "double"}]
SMALL: dict[str, Any] = {"n_estimators": 5, "n_jobs": 1}


@pytest.fixture(scope="module")
def rides() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    zone = rng.choice([f"z{at}" for at in range(20)], 400)
    return pd.DataFrame({"zone": zone, "km": rng.gamma(2, 2, 400)})


def named(estimator: Any) -> ScikitCandidate:
    return ScikitCandidate(estimator, INPUTS, ("long", "middling", "short"), 0)


@pytest.mark.parametrize(
    "estimator",
    [
        XGBClassifier(**SMALL, max_cat_to_onehot=2),
        XGBRFClassifier(**SMALL),
        cd.search(XGBClassifier(**SMALL), {"max_depth": [2, 3]}),
        make_pipeline(make_column_transformer(("passthrough", ["km"])), XGBClassifier(**SMALL)),
    ],
    ids=["classifier", "forest", "search", "pipeline"],
)
def test_classes_keep_their_names(estimator: Any, rides: pd.DataFrame) -> None:
    import skops.io

    label = pd.Series(np.where(rides["km"] > 5, "long", np.where(rides["km"] > 2, "middling", "short")))
    fitted = named(estimator).fit(rides, label)
    predicted = fitted.predict(rides)
    assert list(predicted) == ["prediction", "probability_long", "probability_middling", "probability_short"]
    assert (predicted["prediction"] == label).mean() > 0.95
    data = skops.io.dumps(fitted.estimator)
    types = skops.io.get_untrusted_types(data=data)
    require_known(types, (), "version 1")
    loaded = skops.io.loads(data, trusted=types)
    assert np.array_equal(loaded.predict_proba(rides), predicted.to_numpy()[:, 1:].astype("float32"))
    assert set(predicted.dtypes[1:]) == {np.dtype("float64")}
    # A fold whose rows lack a class, which XGBoost's own classifier refuses where it is not the last one.
    without = label != "middling"
    assert set(named(estimator).fit(rides[without], label[without]).predict(rides)["prediction"]) == {"long", "short"}


def test_a_clone_of_a_fitted_classifier_takes_other_classes(rides: pd.DataFrame) -> None:
    fitted = named(XGBClassifier(**SMALL)).fit(rides, pd.Series(np.where(rides["km"] > 4, "yes", "no"))).estimator.steps[-1][1]  # type: ignore[attr-defined]
    numbers = np.digitize(rides["km"], [1, 3, 6])
    again = clone(fitted).fit(rides[["km"]], numbers)
    assert again.classes_.tolist() == [0, 1, 2, 3]
    assert again.fit(rides[["km"]], numbers > 1).classes_.tolist() == [False, True]  # XGBoost would go on with four


@pytest.mark.parametrize("searched", [False, True])
def test_categories_are_split_natively_where_asked(searched: bool, rides: pd.DataFrame) -> None:
    # Every second zone is far: one split on categories, ten on ordinals.
    far = rides["zone"].str[1:].astype(int) % 2 == 0
    regressor = XGBRegressor(n_estimators=1, learning_rate=1.0, max_depth=2, max_cat_to_onehot=1, reg_lambda=0, n_jobs=1)
    native: Any = clone(regressor).set_params(enable_categorical=True)
    if searched:
        native = cd.search(native, {"base_score": [0.5]}, budget=1)
    with_nulls = rides.assign(zone=rides["zone"].where(rides.index % 7 > 0, None))
    for frame in (rides, with_nulls):
        known = frame["zone"].notna()
        as_numbers = ScikitCandidate(regressor, INPUTS, None, 0).fit(frame, far.astype(float)).predict(frame)["prediction"]
        by_category = ScikitCandidate(native, INPUTS, None, 0).fit(frame, far.astype(float)).predict(frame)["prediction"]
        assert np.abs(as_numbers - far)[known].mean() > 0.2
        assert np.abs(by_category - far)[known].max() < 1e-6
    unseen = ScikitCandidate(native, INPUTS, None, 0).fit(rides, far.astype(float)).predict(rides.assign(zone="elsewhere"))
    assert unseen["prediction"].notna().all()
