"""What a feature function fits belongs to the version that learned from it: prediction transforms new rows by the champion's own fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.flow.commands import caudal, run_here

from caudal.registry import load_version
from caudal.registry.fits import read_fits
from caudal.stages.features.pca import PrincipalComponents
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PRODUCT = """
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import caudal as cd

product = cd.Product("fits")
product.source("points", cd.files("*.csv"), schema=cd.schema(id="long", x="double", y="double", label="string"))


@product.table
def arrays(points):
    return points.select("id", "label", "x", F.array("x", "y", F.col("x") + F.col("y")).alias("vector"))


@product.features(entity="id", labels=["label"], keep=["x"])
def scaled(arrays):
    told = cd.fitted("scale", lambda: arrays.agg(F.avg("x").alias("mean"), F.stddev_pop("x").alias("spread")).first().asDict())
    rows = cd.pca(arrays, "vector", components=2, refit="always")
    return rows.withColumn("z", (F.col("x") - F.lit(told["mean"])) / F.lit(told["spread"]))


kind = product.model(
    "kind", features=scaled, label="label", task="classification", metric="accuracy",
    candidates={"logistic": make_pipeline(LogisticRegression())}, split=cd.hashed(test=0.25, folds=2),
    gates=[cd.limit("accuracy", 0.8)],
)
product.predict(kind)
"""


def write(path: Path, first: int, count: int, shift: float, *, labelled: str) -> None:
    rng = np.random.default_rng(first)
    x, y = rng.normal(shift, 1 + shift, count), rng.normal(0, 1, count)
    labels = np.where(x > shift, "high", "low") if labelled == "well" else rng.choice(["high", "low"], count)
    pd.DataFrame({"id": range(first, first + count), "x": x, "y": y, "label": labels}).to_csv(path, index=False)


def table(home: Path, name: str) -> pd.DataFrame:
    return arrow(delta.read_version(Home(home).table("fits", name))).to_pandas().sort_values("id", ignore_index=True)


def state(document: dict[str, Any], step: str) -> str:
    return next(one["state"] for one in document["steps"] if one["step"] == step)


@pytest.mark.slow
def test_new_rows_are_predicted_by_the_champion_s_own_fit_and_fits_are_made_when_training_runs(tmp_path: Path, spark: Any) -> None:
    product, data, home = tmp_path / "p", tmp_path / "data", tmp_path / "home"
    product.mkdir()
    data.mkdir()
    (product / "product.py").write_text(PRODUCT)
    write(data / "a.csv", 0, 300, 0.0, labelled="well")
    caudal("run", product, "--home", home, "--data", data)
    first = table(home, "scaled")
    assert table(home, "kind_predictions").model_version.unique().tolist() == [1]

    write(data / "b.csv", 1000, 600, 5.0, labelled="by chance")
    predicted = run_here(product, home, data, "predict")
    assert state(predicted, "predict:kind_predictions") == "succeeded"
    raw = pd.concat([pd.read_csv(data / "a.csv"), pd.read_csv(data / "b.csv")], ignore_index=True)
    kept = table(home, "scaled")
    pd.testing.assert_frame_equal(kept[kept.id < 1000], first)  # a pipeline that only predicts fits nothing
    one = raw[raw.id < 1000].x
    assert kept.z.to_numpy() == pytest.approx(((raw.x - one.mean()) / one.std(ddof=0)).to_numpy(), abs=1e-9)
    before = table(home, "kind_predictions")
    assert (len(before), before.model_version.unique().tolist()) == (900, [1])

    run_here(product, home, data)  # fits and trains; the version is refused, for labels are by chance
    fitted = table(home, "scaled")
    assert fitted.z.to_numpy() == pytest.approx(((raw.x - raw.x.mean()) / raw.x.std(ddof=0)).to_numpy(), abs=1e-9)
    after = table(home, "kind_predictions")
    pd.testing.assert_frame_equal(after.drop(columns="input_version"), before.drop(columns="input_version"))

    # What is kept with the version gives the same numbers by itself, as a server does it.
    place = Home(home)
    ledger = place.ledger()
    champion = load_version(place, ledger, "fits", "kind")
    ledger.close()
    assert champion.version == 1
    assert (
        "those of the test folds among them: cd.fitted 'scale' of 'scaled', cd.pca of 'vector' of 'scaled'." in champion.row["rule"]
    )
    fits = read_fits(place.path / champion.row["artifact"])
    assert fits is not None
    values = np.stack([raw.x, raw.y, raw.x + raw.y], axis=1)
    components = PrincipalComponents.load(fits["scaled"].fits["pca:vector"]).transform(values)
    asked = pd.DataFrame({"pc_1": components[:, 0], "pc_2": components[:, 1], "z": (raw.x - one.mean()) / one.std(ddof=0)})
    said = champion.predict(asked)
    assert said.prediction.tolist() == after.prediction.tolist()
    assert said.probability_high.to_numpy() == pytest.approx(after.probability_high.to_numpy(), abs=1e-9)

    fresh = tmp_path / "fresh"  # a home that sees all files at once fits to the same rows
    run_here(product, fresh, data)
    pd.testing.assert_frame_equal(table(fresh, "scaled"), fitted, rtol=1e-9)

    (product / "product.py").write_text(PRODUCT.replace("F.stddev_pop", "F.stddev_samp"))  # other code fits something else
    waiting = run_here(product, home, data, "predict")
    assert state(waiting, "predict:kind_predictions") == "waiting"
