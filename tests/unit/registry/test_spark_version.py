"""A Spark ML version is stored by Spark ML, and only classes of Spark's are loaded."""

from __future__ import annotations

import pytest

from caudal import registry
from caudal.declarations.model import Model, temporal
from caudal.declarations.node import Features
from caudal.errors import EnvironmentProblem
from caudal.ledger.records import model_versions
from caudal.registry import artifact, register
from caudal.stages.predict import predict, predict_on_spark
from caudal.stages.train import train

pytestmark = pytest.mark.slow


def test_round_trip_and_refusal(spark, home, ledger, rides):
    def forest(spark):
        from pyspark.ml.regression import RandomForestRegressor

        return RandomForestRegressor(numTrees=5)

    features = Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",))
    model = Model("duration", "rides", "minutes", 0.0, {"forest": forest}, temporal("1 day", folds=1), "mae")
    trained = train(model, features, rides, spark=lambda: spark)
    made = register(
        home,
        ledger,
        "taxi",
        "duration",
        trained,
        fingerprint="f1",
        code="c",
        training_table="rides",
        training_version=0,
        run_id="r1",
    )
    assert made.row["format"] == "spark"
    assert made.warning is None
    loaded = registry.load_version(home, ledger, "taxi", "duration", 1, spark=lambda: spark)
    assert loaded.predict(rides).equals(trained.fitted.predict(rides))
    on_pandas = predict(loaded, features, rides, input_version=3)
    on_spark = predict_on_spark(loaded, features, spark.createDataFrame(rides), input_version=3).toPandas()
    order = on_spark.set_index("ride").loc[rides.ride].reset_index()
    assert order[list(on_pandas)].to_dict("list") == on_pandas.to_dict("list")

    folder = home.path / made.row["artifact"]
    for file in (folder / "sparkml" / "metadata").glob("part-*"):
        file.write_text(file.read_text().replace("org.apache.spark.ml.PipelineModel", "java.lang.Runtime"))
    with pytest.raises(EnvironmentProblem, match="not those that were registered"):
        registry.load_version(home, ledger, "taxi", "duration", 1, spark=lambda: spark).predict(rides)
    ledger.change(model_versions, {"version": 1}, artifact_sha256=artifact.model_digest(folder))
    with pytest.raises(EnvironmentProblem, match=r"not Spark's: java.lang.Runtime"):
        registry.load_version(home, ledger, "taxi", "duration", 1, spark=lambda: spark).predict(rides)
