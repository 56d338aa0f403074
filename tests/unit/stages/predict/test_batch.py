"""Batch predictions carry their keys and versions, and are the same on pandas and on Spark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge

from caudal.declarations.model import Model, temporal
from caudal.declarations.node import Features
from caudal.errors import StepFailed
from caudal.registry import LoadedModel
from caudal.stages.predict import predict, predict_on_spark, rows_to_predict
from caudal.stages.train import train

FEATURES = Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",))


@pytest.fixture(scope="module")
def rides() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 200
    km, zone = rng.gamma(2, 2, n), rng.choice(["A", "B"], n)
    frame = pd.DataFrame({
        "ride": [f"r{at % 50}" for at in range(n)], "at": pd.date_range("2023-01-01", periods=n, freq="h"), "km": km, "zone": zone,
        "minutes": 2 * km + 3 * (zone == "B") + rng.normal(0, 0.5, n),
    })  # fmt: skip
    frame.loc[::9, "zone"] = None
    return frame


def _model(frame: pd.DataFrame, estimator: object, **more: object) -> LoadedModel:
    told = {"horizon_s": 0.0, "split": temporal("1 day", folds=1), "metric": "mae", **more}
    made = train(Model("duration", "rides", "minutes", candidates={"one": estimator}, **told), FEATURES, frame)
    return LoadedModel(7, "one", made.signature, made.fitted.estimator, made.training_until, {})


def test_keys_prediction_and_versions(rides):
    model = _model(rides, Ridge())
    said = predict(model, FEATURES, rides.drop(columns="minutes")[::-1], input_version=3)
    assert list(said) == ["ride", "at", "prediction", "model_version", "input_version"]
    assert said["at"].tolist() == rides["at"].tolist()[::-1]
    assert set(said.model_version) == {7}
    assert set(said.input_version) == {3}
    assert (said.prediction.to_numpy()[::-1] == model.predict(rides).prediction).all()
    with pytest.raises(StepFailed, match=r"no column 'ride'.*'rides'"):
        predict(model, FEATURES, rides.rename(columns={"ride": "rides"}), input_version=3)


@pytest.mark.slow
def test_spark_gives_the_same_rows_and_values(spark, rides):
    classes = rides.assign(minutes=np.where(rides.minutes > 8, "long", "short"))
    model = _model(classes, HistGradientBoostingClassifier(max_iter=10), task="classification", metric="log_loss")
    on_pandas = predict(model, FEATURES, rides, input_version=3)
    frame = spark.createDataFrame(rides.astype({"zone": object}).where(rides.notna(), None)).repartition(3)
    on_spark = predict_on_spark(model, FEATURES, frame, input_version=3).toPandas().sort_values("at", ignore_index=True)
    assert list(on_spark) == list(on_pandas)
    assert "probability_long" in on_spark
    assert on_spark.astype({"at": on_pandas["at"].dtype}).equals(on_pandas)


@pytest.mark.slow
def test_which_rows_are_predicted(spark, rides):
    frame = spark.createDataFrame(
        rides[["ride", "at", "minutes"]].assign(minutes=rides.minutes.astype(object).where(rides.index < 190, None))
    )
    assert rows_to_predict(frame, "all", FEATURES, "minutes").count() == 200
    assert rows_to_predict(frame, "unlabelled", FEATURES, "minutes").count() == 10
    newest = rows_to_predict(frame, "latest", FEATURES, "minutes").toPandas()
    assert sorted(newest["at"]) == rides["at"].tolist()[150:]
