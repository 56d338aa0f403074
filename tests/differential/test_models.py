"""Models learn from what increments have made, and predict what a fresh run predicts: the same champion, row for row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from tests.differential.campaign import SECONDS
from tests.differential.fresh import World, rows_of
from tests.differential.grammar import Product, Source
from tests.differential.histories import written

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]
EXAMPLES = 2 if SECONDS else 1
PRODUCT = """
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import caudal as cd

product = cd.Product("drawn", tz="{zone}")
schema = cd.schema(id="long", k="string", at="{clock}", until="{clock}", v="double", n=cd.column("long", required=False))
product.source("s0", cd.files("s0_*.csv", required=False), schema=schema, event_time="at", partition="day")


@product.features(entity="k", as_of="window_start", labels=["x"], partition="day")
def known(s0):
    rows = cd.tumble(s0, "6 hours", by=["k"]).agg(x=("sum", "v"), fill=0)
    rows = cd.lag(rows, "x", ["6 hours", "1 day"])
    return cd.rolling(rows, "x", "2 days", "mean").drop("window_end")


linear = make_pipeline(SimpleImputer(keep_empty_features=True), LinearRegression())
product.model("m", features=known, label="x", candidates={{"linear": linear}}, split=cd.temporal("1 day", folds=1), horizon="6 hours")
product.predict("m")
"""


def write(product: Product, folder: Path) -> None:
    """Write the product's file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "product.py").write_text(PRODUCT.format(zone=product.zone, clock=product.sources[0].clock))


def frame_of(home: Path, table: str) -> pd.DataFrame:
    """Return the rows of a table in order, without the numbers of versions."""
    published = rows_of(home, "drawn", table)
    assert published is not None
    frame = pd.DataFrame(published[1]).drop(columns=["_day", "model_version", "input_version"], errors="ignore")
    return frame.sort_values(["k", "window_start"], ignore_index=True)


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    clock=st.sampled_from(["timestamp_utc", "timestamp"]), number=st.integers(0, 1000),
)  # fmt: skip
def test_predictions_of_increments_equal_those_of_a_fresh_run(
    small: None, tmp_path_factory: pytest.TempPathFactory, zone: str, clock: str, number: int
) -> None:
    product = Product(zone, (Source("s0", "csv", clock, "day"),), ())
    world = World(written(product, moments=2, stretches=3, seed=number, edits=False), tmp_path_factory.mktemp("models"), write)
    for moment in world.history.moments:
        world.play(moment)
    beside = world.fresh()
    features, predictions = (frame_of(world.steadily.home, table) for table in ("known", "m_predictions"))
    pd.testing.assert_frame_equal(features, frame_of(beside.home, "known"))
    pd.testing.assert_frame_equal(predictions, frame_of(beside.home, "m_predictions"), rtol=1e-9, atol=1e-9)
    inputs = features[["x_lag_6_hours", "x_lag_1_day", "x_mean_2_days"]].astype(float)
    labelled = features["x"].notna()
    linear = make_pipeline(SimpleImputer(keep_empty_features=True), LinearRegression())
    linear.fit(inputs[labelled], features.loc[labelled, "x"].astype(float))
    np.testing.assert_allclose(predictions["prediction"].astype(float), linear.predict(inputs), rtol=1e-6, atol=1e-6)
