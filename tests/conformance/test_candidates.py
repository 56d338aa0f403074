"""Frameworks of candidates: each is trained, audited, stored, loaded, served and predicted with on Spark, and gives the same predictions everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from xgboost import XGBClassifier, XGBRegressor

import caudal as cd
from caudal.batch.steps.audit import Counting
from caudal.declarations.audit import Audit
from caudal.declarations.model import Model, temporal
from caudal.declarations.node import Features
from caudal.registry import load_version, promote, register
from caudal.serve import create_app
from caudal.stages.audit.audited import audited
from caudal.stages.predict import predict, predict_on_spark
from caudal.stages.train import train
from caudal.tables.home import Home

FEATURES = Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",))
OPTIONS: dict[str, Any] = {"n_estimators": 20, "verbose": -1, "n_jobs": 1}


def cuml_estimators() -> tuple[Any, Any]:
    if not Path("/proc/driver/nvidia/gpus").is_dir():
        pytest.skip("cuML: no GPU here")
    ensemble = pytest.importorskip("cuml.ensemble", reason="cuML: a GPU is here, the library is not: pip install 'caudal[cuml]'")
    return ensemble.RandomForestRegressor(n_estimators=20), ensemble.RandomForestClassifier(n_estimators=20)


def h2o_estimators() -> tuple[Any, Any]:
    from h2o.estimators import H2OGradientBoostingEstimator

    return H2OGradientBoostingEstimator(ntrees=20, min_rows=5), H2OGradientBoostingEstimator(ntrees=20, min_rows=5)


FRAMEWORKS: dict[str, Any] = {
    "scikit-learn": (Ridge(), LogisticRegression(max_iter=1000)),
    "lightgbm": (LGBMRegressor(**OPTIONS), LGBMClassifier(**OPTIONS)),
    "xgboost": (XGBRegressor(n_estimators=20, n_jobs=1), XGBClassifier(n_estimators=20, n_jobs=1)),
    "cuml": cuml_estimators,
    "h2o": h2o_estimators,
    "search": (
        cd.search(LGBMRegressor(**OPTIONS), {"num_leaves": [4, 8]}),
        cd.search(LGBMClassifier(**OPTIONS), {"num_leaves": [4, 8]}),
    ),
}


@pytest.fixture(scope="module")
def rides() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 300
    km, zone = rng.gamma(2, 2, n), rng.choice(["A", "B"], n)
    frame = pd.DataFrame({
        "ride": [f"r{at}" for at in range(n)], "at": pd.date_range("2023-01-01", periods=n, freq="h"), "km": km, "zone": zone,
        "minutes": 2 * km + 3 * (zone == "B") + rng.normal(0, 0.5, n),
    })  # fmt: skip
    frame.loc[::9, "zone"] = None
    frame.loc[::11, "km"] = np.nan
    return frame


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_keeps_the_protocol(framework: str, task: Any, rides: pd.DataFrame, spark: Any, tmp_path: Path) -> None:
    estimators = FRAMEWORKS[framework]
    estimator = (estimators() if callable(estimators) else estimators)[task == "classification"]
    frame = rides if task == "regression" else rides.assign(minutes=np.where(rides["minutes"] > 8, "long", "short"))
    metric = "mae" if task == "regression" else "log_loss"
    model = Model("duration", "rides", "minutes", 0.0, {"one": estimator}, temporal("2 days", folds=2), metric, task=task)
    counting = Counting(Audit("duration", ("zone",)))
    trained = train(model, FEATURES, frame, examine=counting.count)
    (result,) = [result for result in trained.results if not result.baseline]
    (baseline,) = [result for result in trained.results if result.baseline]
    assert result.error is None
    assert result.score is not None
    assert baseline.score is not None
    assert result.score < baseline.score
    assert result.size
    assert {effect.name for effect in trained.effects} == {"km", "zone"}
    (by_zone,) = audited(counting.counts["one"], (["zone"],), min_rows=10).groupings
    assert [len(group.figures) > 2 for group in by_zone.groups if not group.small] == [True, True, True]
    (tmp_path / "home").mkdir()
    home = Home(tmp_path / "home")
    ledger = home.ledger()
    try:
        registered = register(
            home, ledger, "taxi", "duration", trained,
            fingerprint="f", code="c", training_table="rides", training_version=1, run_id="run",
        )  # fmt: skip
        assert registered.row["format"] == ("mojo" if framework == "h2o" else "skops")
        promote(ledger, "taxi", "duration", 1, who="ada")
        loaded: Any = load_version(home, ledger, "taxi", "duration")
    finally:
        ledger.close()
    expected = trained.fitted.predict(frame)
    pd.testing.assert_frame_equal(loaded.predict(frame), expected)
    on_pandas = predict(loaded, FEATURES, frame, input_version=3)
    on_spark = predict_on_spark(
        loaded, FEATURES, spark.createDataFrame(frame.astype({"zone": object}).where(frame.notna(), None)).repartition(2), input_version=3
    ).toPandas().sort_values("at", ignore_index=True)  # fmt: skip
    assert list(on_spark) == list(on_pandas)
    if task == "regression":
        assert on_spark["prediction"].to_numpy() == pytest.approx(on_pandas["prediction"].to_numpy())
    else:
        assert on_spark["prediction"].tolist() == on_pandas["prediction"].tolist()
    row = json.loads(frame.loc[[3], ["km", "zone"]].to_json(orient="records", double_precision=15))[0]
    client = create_app(home.path, f"sqlite:///{home.path / 'ledger.db'}", refresh_s=0.0).test_client()
    answer = client.post("/api/v1/taxi/duration/predict?explain=true", json=row)
    assert answer.status_code == 200, answer.json
    served = answer.get_json()
    assert served["prediction"] == (pytest.approx(expected["prediction"][3]) if task == "regression" else expected["prediction"][3])
    explained = served["explanation"]
    of = served["prediction"] if task == "regression" else served["probabilities"][served["prediction"]]
    assert sum(part["contribution"] for part in explained["contributions"]) == pytest.approx(of - explained["typical"])
