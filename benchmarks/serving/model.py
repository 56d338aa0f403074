"""The model that is served: gradient boosting of ten mixed columns, registered twice, with its compiled form and without."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from caudal.registry import promote, register
from caudal.stages.train.scikit import ScikitCandidate
from caudal.tables.home import Home

ROWS = 20_000
COMPILED, PIPELINE = "compiled", "pipeline"


def trips(rows: int = ROWS) -> pd.DataFrame:
    """Return rows of seven numbers, a flag and two categories, of 3 and 250 values; some of them are missing."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame({f"number_{at}": random.normal(0, 10.0**at, rows) for at in range(6)})
    frame["hour"] = random.integers(0, 24, rows)
    frame["weekend"] = random.random(rows) < 0.3
    frame["channel"] = random.choice(["web", "shop", "phone"], rows)
    frame["zone"] = [f"zone {number}" for number in random.integers(0, 250, rows)]
    frame["number_1"] = frame.number_1.where(random.random(rows) > 0.05)
    return frame


def make_home(folder: Path) -> dict[str, Any]:
    """Register the model in two homes in a folder, put it in production, and return a row to predict from; the pipeline is also stored for peers."""
    frame = trips()
    types = {"hour": "long", "weekend": "boolean", "channel": "string", "zone": "string"}
    inputs = [{"name": name, "type": types.get(name, "double"), "nullable": name == "number_1", "default": None} for name in frame]
    label = frame.number_0 + frame.hour * 0.5 + 3 * (frame.channel == "web") + frame.zone.map(hash) % 7
    fitted = ScikitCandidate(HistGradientBoostingRegressor(max_iter=100, max_leaf_nodes=31), inputs, None, 0).fit(frame, label)
    row = {name: value.item() if hasattr(value, "item") else value for name, value in frame.iloc[5].items()}
    signature = {"inputs": inputs, "output": {"name": "minutes", "type": "double", "unit": "min", "classes": None}, "example": row}
    trained = SimpleNamespace(
        fitted=fitted, signature=signature, chosen="boosting", parameters={}, metric="mae", metrics={"mae": 1.0}, rule="", rows=len(frame),
        training_from=None, training_until=None, holdout=None, results=[], gates=[], rules=(), groups=(), effects=(), later=None,
    )  # fmt: skip
    trained.results = [
        SimpleNamespace(name="boosting", baseline=False, score=1.0, spread=None, folds=[], seconds=0.0, parameters={}, metrics={}, error=None)
    ]  # fmt: skip
    for model, training in ((COMPILED, frame), (PIPELINE, None)):
        home = Home(folder / model)
        ledger = home.ledger()
        registered = register(
            home, ledger, "bench", model, trained, fingerprint=model, code="", training_table="trips", training_version=0, run_id="r", training=training,
        )  # fmt: skip
        promote(ledger, "bench", model, registered.version, who="benchmark")
        print(json.dumps({"model": model, "compiled": registered.row["compiled"]}), flush=True)
        ledger.close()
    joblib.dump(fitted.estimator, folder / "pipeline.joblib")
    (folder / "row.json").write_text(json.dumps(row))
    return row
