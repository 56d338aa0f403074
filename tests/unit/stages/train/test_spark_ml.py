"""Spark ML estimators go through the same protocol as scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from caudal.declarations.model import temporal
from caudal.stages.train import train

pytestmark = pytest.mark.slow


def test_bare_predictors_and_pipelines_beside_scikit_learn(spark, rides, features, declared):
    def own(spark):
        from pyspark.ml import Pipeline
        from pyspark.ml.feature import Imputer, VectorAssembler
        from pyspark.ml.regression import LinearRegression

        fill = Imputer(inputCols=["km"], outputCols=["km_filled"])
        return Pipeline(stages=[fill, VectorAssembler(inputCols=["km_filled", "rush"], outputCol="features"), LinearRegression()])

    def linear(spark):
        from pyspark.ml.regression import LinearRegression

        return LinearRegression()

    def forest(spark):
        from pyspark.ml.regression import RandomForestRegressor

        return RandomForestRegressor(numTrees=10)

    model = declared(
        {"ridge": Ridge(alpha=1e-6), "linear": linear, "forest": forest, "own": own}, split=temporal("5 days", folds=1)
    )
    found = train(model, features, rides, spark=lambda: spark)
    scores = {one.name: one.score for one in found.results}
    assert not [one.error for one in found.results if one.error]
    # The same least squares by two engines; they fill nulls by the same median and encode strings to the same space.
    assert scores["linear"] == pytest.approx(scores["ridge"], rel=0.02)
    assert scores["own"] < scores["baseline"]
    assert scores["forest"] < scores["baseline"]
    again = train(declared({"forest": forest}, split=temporal("5 days", folds=1)), features, rides, spark=lambda: spark)
    assert again.results[1].score == scores["forest"]
    new = pd.DataFrame({"km": [1.0, None], "zone": ["never seen", None], "rush": [True, None], "seats": [2, None]}, index=[5, 9])
    said = again.fitted.predict(new)
    assert list(said.index) == [5, 9]
    assert np.isfinite(said.prediction).all()


def test_classes_keep_their_names(spark, rides, features, declared):
    def tree(spark):
        from pyspark.ml.classification import DecisionTreeClassifier

        return DecisionTreeClassifier(maxDepth=4)

    long = rides.assign(minutes=np.where(rides.minutes > rides.minutes.median(), "long", "short"))
    model = declared({"tree": tree}, task="classification", metric="log_loss", split=temporal("5 days", folds=1))
    found = train(model, features, long, spark=lambda: spark)
    said = found.fitted.predict(long)
    assert found.metrics["accuracy"] > 0.8
    assert set(said.prediction) == {"long", "short"}
    assert np.allclose(said.probability_long + said.probability_short, 1)
