"""Candidates of H2O: what is kept predicts as H2O's own scorer in Java does, to the last bits, on rows that training did not see."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h2o
import numpy as np
import pandas as pd
import pytest
from h2o.estimators import (
    H2ODeepLearningEstimator,
    H2OGeneralizedLinearEstimator,
    H2OGradientBoostingEstimator,
    H2OKMeansEstimator,
    H2ORandomForestEstimator,
)

import caudal as cd
from caudal.declarations.model import Model, hashed
from caudal.declarations.node import Features
from caudal.declarations.signature import InputDocument
from caudal.engine.java import java_home
from caudal.engine.jvm import user_options
from caudal.errors import DeclarationProblem, EnvironmentProblem, StepFailed
from caudal.graph.check import check
from caudal.graph.load import load
from caudal.mojo import read_mojo
from caudal.stages.frameworks.h2o_server import H2OServer
from caudal.stages.train import train
from caudal.stages.train.h2o import FittedMojo, H2OCandidate

pytestmark = pytest.mark.filterwarnings("ignore:Dropping bad and constant columns:RuntimeWarning")  # of H2O, which a run passes on

INPUTS: list[InputDocument] = [
    {"name": "many", "type": "string"}, {"name": "km", "type": "double"}, {"name": "kind", "type": "string"}, {"name": "hour", "type": "long"},
    {"name": "nothing", "type": "string"},
]  # fmt: skip
KINDS = ["a,b", 'a"b', "NA", "10", "9", "ü\nñ", ""]


def rides(n: int, seed: int, zones: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "many": rng.choice([f"z{at}" for at in range(zones)], n), "km": rng.gamma(2, 2, n), "kind": rng.choice(KINDS, n),
        "hour": rng.integers(0, 24, n), "nothing": None,
    })  # fmt: skip
    minutes = 2 * frame["km"] + frame["many"].str[1:].astype(int) % 7 + 3 * (frame["kind"] == "NA") + rng.normal(0, 0.5, n)
    frame["minutes"] = minutes
    frame["late"] = np.where(minutes > 12, "yes", "no")
    frame["how"] = np.where(minutes > 16, "long", np.where(minutes > 8, "middling", "NA"))
    frame.loc[::9, "kind"], frame.loc[::11, "km"] = None, np.nan
    return frame


@pytest.fixture(scope="module")
def server() -> Iterator[H2OServer]:
    with H2OServer() as running:
        yield running


VARIANTS: dict[str, tuple[Any, str]] = {
    "boosting": (H2OGradientBoostingEstimator(ntrees=15), "minutes"),
    "boosting of two classes": (H2OGradientBoostingEstimator(ntrees=15, balance_classes=True), "late"),
    "boosting of three classes": (H2OGradientBoostingEstimator(ntrees=8, sample_rate=0.7), "how"),
    "boosting of counts": (H2OGradientBoostingEstimator(ntrees=8, distribution="poisson"), "minutes"),
    "forest": (H2ORandomForestEstimator(ntrees=8), "minutes"),
    "forest of two classes": (H2ORandomForestEstimator(ntrees=8, max_depth=6), "late"),
    "forest of two classes with two trees": (H2ORandomForestEstimator(ntrees=8, binomial_double_trees=True), "late"),
    "forest of three classes": (H2ORandomForestEstimator(ntrees=8, histogram_type="Random"), "how"),
    "linear": (H2OGeneralizedLinearEstimator(lambda_=0), "minutes"),
    "linear of positive numbers": (H2OGeneralizedLinearEstimator(family="gamma", link="log", lambda_=0.01), "minutes"),
    "linear of two classes": (H2OGeneralizedLinearEstimator(lambda_=1e-3), "late"),
    "linear of three classes": (H2OGeneralizedLinearEstimator(lambda_=1e-4), "how"),
    "network": (H2ODeepLearningEstimator(hidden=[9, 4], epochs=2, activation="tanh"), "minutes"),
    "network of two classes": (
        H2ODeepLearningEstimator(hidden=[9, 4], epochs=2, activation="rectifier_with_dropout", hidden_dropout_ratios=[0.3, 0.2]), "late",
    ),
    "network of three classes": (H2ODeepLearningEstimator(hidden=[9, 4], epochs=2, activation="maxout"), "how"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_predictions_are_those_of_h2o(variant: str, server: H2OServer, tmp_path: Path) -> None:
    estimator, label = VARIANTS[variant]
    trained, later = rides(900, 1), rides(400, 2, zones=80)  # with 20 zones that training did not see
    later["kind"] = later["kind"].replace({"NA": "9", "": "9"})  # which the scorer's reader takes for missing values
    fitted = candidate(estimator, trained[label], server).fit(trained, trained[label])
    predicted = fitted.predict(later)
    expected = of_java(fitted, later, tmp_path)
    if label == "minutes":
        assert predicted["prediction"].to_numpy() == pytest.approx(expected["predict"].to_numpy("float64"), rel=1e-13, abs=0)
        assert np.std(predicted["prediction"]) > 0.5
    else:
        assert list(predicted)[1:] == [f"probability_{name}" for name in sorted(set(trained[label]))]
        shares = expected.drop(columns="predict").to_numpy("float64")
        np.testing.assert_allclose(predicted.to_numpy()[:, 1:].astype("float64"), shares, rtol=1e-12, atol=1e-15)
        clear = np.diff(np.sort(shares, axis=1))[:, -1] > 0  # H2O draws where two are equal
        assert (predicted["prediction"] == expected["predict"])[clear].all()
        assert clear.mean() > 0.9
    again = read_mojo(fitted.estimator.data)
    assert (again.predict(later) == predicted["prediction"]).all()


@pytest.mark.slow
def test_a_column_of_many_categories_is_split_by_ranges_of_them(server: H2OServer, tmp_path: Path) -> None:
    trained, later = rides(6000, 3, zones=2500), rides(500, 4, zones=2600).assign(kind="9")
    estimator = H2OGradientBoostingEstimator(ntrees=5, max_depth=8, nbins_cats=4096)
    fitted = candidate(estimator, trained["minutes"], server).fit(trained, trained["minutes"])
    assert fitted.predict(later)["prediction"].tolist() == of_java(fitted, later, tmp_path)["predict"].astype(float).tolist()


@pytest.mark.slow
def test_what_cannot_be_kept_is_said(server: H2OServer, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rides(300, 5)
    encoded = candidate(H2OGradientBoostingEstimator(ntrees=2, categorical_encoding="one_hot_explicit"), frame["minutes"], server)
    with pytest.raises(StepFailed, match="cannot be kept: its categorical_encoding is OneHotExplicit; leave it out"):
        encoded.fit(frame, frame["minutes"])
    monkeypatch.setattr("caudal.mojo.model.MojoModel.predict", lambda self, rows: np.zeros(len(rows)))
    with pytest.raises(StepFailed, match="of 300 training rows, 300 have other predictions outside of H2O"):
        candidate(H2OGradientBoostingEstimator(ntrees=2), frame["minutes"], server).fit(frame, frame["minutes"])


def test_a_server_that_does_not_start_is_said_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("caudal.stages.frameworks.h2o_server.usable_memory", lambda: 1 << 70)
    monkeypatch.setattr("caudal.stages.frameworks.h2o_server.MOST_MIB", 1 << 50)
    with pytest.raises(EnvironmentProblem, match=r"H2O's server did not start: .*heap"):
        H2OServer().library()
    assert list(tmp_path.iterdir()) == []


def test_other_algorithms_and_versions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"person": range(40), "income": 1.0, "repaid": 2.0})
    features = Features("requests", (), entity=("person",), as_of="", labels=("repaid",))

    def trained(estimator: Any) -> Any:
        return train(Model("lend", "requests", "repaid", 0.0, {"one": estimator}, hashed(0.5, folds=2), "mae"), features, frame)

    with pytest.raises(
        DeclarationProblem, match="Candidate 'one' of model 'lend' is H2OKMeansEstimator; of H2O's estimators, those of gbm, drf"
    ):
        trained(H2OKMeansEstimator(k=2))
    with pytest.raises(
        DeclarationProblem,
        match="is RandomizedSearchCV around H2OGradientBoostingEstimator, and H2O's estimators are trained by H2O",
    ):
        trained(cd.search(H2OGradientBoostingEstimator(), {"ntrees": [5, 10]}))
    monkeypatch.setattr(h2o, "__version__", "3.46.0.12")
    with pytest.raises(EnvironmentProblem, match=r"h2o 3\.46\.0\.12 does not export models; 3\.46\.0\.7 is the newest that does"):
        H2OServer().library()
    with pytest.raises(ValueError, match="it is no MOJO"):
        read_mojo(b"nothing")


def test_a_check_takes_what_training_takes(tmp_path: Path) -> None:
    imported = "import caudal as cd\nfrom h2o.estimators import *\nproduct = cd.Product('shop')\n"
    source = (
        "raw = product.source('raw', cd.files('people.csv'), schema=cd.schema(person='long', income='double', repaid='string'))\n"
    )
    features = "@product.features(entity='person', labels=['repaid'])\ndef asked(raw):\n    return raw\n"
    model = (
        "product.model('lend', features=asked, label='repaid', task='classification', metric='log_loss', split=cd.hashed(0.3),\n"
        "    candidates={'gbm': H2OGradientBoostingEstimator(ntrees=5), 'kmeans': H2OKMeansEstimator(k=2)})\n"
    )
    (tmp_path / "product.py").write_text(imported + source + features + model)
    (problem,) = check(load(tmp_path))
    assert "Candidate 'kmeans' of model 'lend' is H2OKMeansEstimator; of H2O's estimators" in str(problem)


def candidate(estimator: Any, label: pd.Series, server: H2OServer) -> H2OCandidate:
    classes = tuple(sorted(set(label))) if label.dtype == object else None
    return H2OCandidate(estimator, INPUTS, classes, 1, server)


def of_java(fitted: FittedMojo, frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return the predictions of H2O's scorer in Java, which reads the MOJO itself and writes all bits."""
    mojo, rows, answers = folder / "model.zip", folder / "rows.csv", folder / "answers.csv"
    mojo.write_bytes(fitted.estimator.data)
    texts = [input_["name"] for input_ in INPUTS]
    plain = frame[texts].astype({"hour": float})
    plain.to_csv(rows, index=False, quoting=csv.QUOTE_NONNUMERIC, na_rep="")
    jar = Path(h2o.__file__).parent / "backend" / "bin" / "h2o.jar"
    command = [
        str(java_home().java),
        *user_options(),
        "-cp",
        str(jar),
        "hex.genmodel.tools.PredictCsv",
        "--mojo",
        mojo,
        "--input",
        rows,
        "--output",
        answers,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(answers, keep_default_na=False, dtype=str)
    numbers = [name for name in table if name != "predict" or not any(name in {"yes", "long"} for name in table)]
    return table.assign(**{name: table[name].map(float.fromhex) for name in numbers})
