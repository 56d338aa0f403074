"""The model that is served: gradient boosting of ten mixed columns, registered twice, with its compiled form and without."""

from __future__ import annotations

import json
from contextlib import closing
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
from caudal.tables.online import Described, ViewGroup, ViewPlace
from caudal.tables.views import drafted_view, view_place

ROWS = 20_000
START_US = 1_672_531_200_000_000  # the beginning of 2023
COMPILED, PIPELINE, LOOKED_UP = "compiled", "pipeline", "looked_up"
KEYS, CHANGES = 250, 400  # of the online view: zones, and changes of each zone's features


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


def write_view(place: ViewPlace) -> None:
    """Write an online view to a place: two features of each zone that change over a month, and two parts of a time."""
    random = np.random.default_rng(8)
    group: ViewGroup = {"keys": ["zone"], "time": "at", "columns": ["number_2", "number_3"], "valid_us": None, "exact": True}
    described: Described = {
        "format": 1, "times": {"at": True}, "key_types": {"zone": "string"}, "named": [], "fields": {}, "tz": "UTC", "groups": [group],
        "calendar": {"hour": ["at", "hour", None], "weekend": ["at", "is_weekend", None]}, "since_us": 0, "until_us": None, "built_at": 0.0, "versions": {}, "checked": 0,
    }  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    with drafted_view(place, ("bench", LOOKED_UP)) as writer:
        for zone in range(KEYS):
            moments = START_US + np.sort(random.integers(0, 30 * 86_400_000_000, CHANGES))
            values = random.normal(0, 100.0, (CHANGES, 2))
            rows.extend((f"zone {zone}", int(at), *map(float, pair)) for at, pair in zip(moments, values, strict=True))
        writer.add_group(0, group, rows)
        writer.finish(described)
        writer.publish()


def asked(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a caller sends of a row where the rest is looked up."""
    found = ("number_2", "number_3", "hour", "weekend")
    return {**{name: value for name, value in row.items() if name not in found}, "at": "2023-01-17T18:30"}


def _fit(rows: int = ROWS, iterations: int = 100) -> tuple[SimpleNamespace, pd.DataFrame, dict[str, Any]]:
    """Return what training gives to the registry, the training rows, and a row to predict from."""
    frame = trips(rows)
    types = {"hour": "long", "weekend": "boolean", "channel": "string", "zone": "string"}
    inputs = [{"name": name, "type": types.get(name, "double"), "nullable": name == "number_1", "default": None} for name in frame]
    label = frame.number_0 + frame.hour * 0.5 + 3 * (frame.channel == "web") + frame.zone.map(hash) % 7
    fitted = ScikitCandidate(HistGradientBoostingRegressor(max_iter=iterations, max_leaf_nodes=31), inputs, None, 0).fit(
        frame, label
    )
    row = {name: value.item() if hasattr(value, "item") else value for name, value in frame.iloc[5].items()}
    signature = {"inputs": inputs, "output": {"name": "minutes", "type": "double", "unit": "min", "classes": None}, "example": row}
    trained = SimpleNamespace(
        fitted=fitted, signature=signature, chosen="boosting", parameters={}, metric="mae", metrics={"mae": 1.0}, rule="", rows=len(frame),
        training_from=None, training_until=None, holdout=None, results=[], gates=[], rules=(), groups=(), effects=(), later=None,
    )  # fmt: skip
    trained.results = [
        SimpleNamespace(name="boosting", baseline=False, score=1.0, spread=None, folds=[], seconds=0.0, parameters={}, metrics={}, error=None)
    ]  # fmt: skip
    return trained, frame, row


def register_another(folder: Path) -> None:
    """Register a second version of the compiled model in its home, with half of the trees."""
    trained, frame, _ = _fit(iterations=50)
    home = Home(folder)
    ledger = home.ledger()
    register(
        home, ledger, "bench", COMPILED, trained, fingerprint="another", code="", training_table="trips", training_version=1, run_id="r2", training=frame,
    )  # fmt: skip
    ledger.close()


def make_home(folder: Path) -> dict[str, Any]:
    """Register the model in two homes in a folder, put it in production, and return a row to predict from; the pipeline is also stored for peers."""
    trained, frame, row = _fit()
    for model, training in ((COMPILED, frame), (PIPELINE, None), (LOOKED_UP, frame)):
        home = Home(folder / model)
        ledger = home.ledger()
        registered = register(
            home, ledger, "bench", model, trained, fingerprint=model, code="", training_table="trips", training_version=0, run_id="r", training=training,
        )  # fmt: skip
        promote(ledger, "bench", model, registered.version, who="benchmark")
        print(json.dumps({"model": model, "compiled": registered.row["compiled"]}), flush=True)
        ledger.close()
    with closing(view_place(Home(folder / LOOKED_UP))) as place:
        write_view(place)
    joblib.dump(trained.fitted.estimator, folder / "pipeline.joblib")
    (folder / "row.json").write_text(json.dumps(row))
    return row
