"""A ledger with real models in it: two that predict how long a trip takes, and a classifier of how it is paid."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from caudal.ledger.ledger import Ledger, open_ledger
from caudal.ledger.records import candidates, decisions, model_versions
from caudal.registry.row_frames import PredictsFrames
from caudal.serve import create_app

BOROUGHS = ["Bronx", "Brooklyn", "Manhattan", "Queens", "Staten Island"]
ZONES = [f"Zone {number:03d}" for number in range(1, 61)]

INPUTS: list[dict[str, Any]] = [
    {
        "name": "trip_distance_mi",
        "type": "double",
        "nullable": False,
        "label": "Trip distance",
        "unit": "mi",
        "description": "As the taximeter counts it.",
        "minimum": 0.0,
        "maximum": 100.0,
        "default": 2.5,
        "values": None,
    },
    {
        "name": "hour",
        "type": "long",
        "nullable": False,
        "label": "Hour of the day",
        "unit": None,
        "description": None,
        "minimum": 0,
        "maximum": 23,
        "default": None,
        "values": None,
    },
    {
        "name": "passengers",
        "type": "long",
        "nullable": True,
        "label": "Passengers",
        "unit": None,
        "description": None,
        "minimum": 0,
        "maximum": 9,
        "default": None,
        "values": None,
    },
    {
        "name": "borough",
        "type": "string",
        "nullable": False,
        "label": "Pick-up borough",
        "unit": None,
        "description": None,
        "minimum": None,
        "maximum": None,
        "default": None,
        "values": BOROUGHS,
    },
    {
        "name": "zone",
        "type": "string",
        "nullable": False,
        "label": "Pick-up zone",
        "unit": None,
        "description": None,
        "minimum": None,
        "maximum": None,
        "default": None,
        "values": ZONES,
    },
    {
        "name": "weekend",
        "type": "boolean",
        "nullable": False,
        "label": "At the weekend",
        "unit": None,
        "description": None,
        "minimum": None,
        "maximum": None,
        "default": None,
        "values": None,
    },
    {
        "name": "mean_speed_past",
        "type": "double",
        "nullable": True,
        "label": "Recent mean speed",
        "unit": "mi/h",
        "description": "Of the zone's trips in the hour before.",
        "minimum": None,
        "maximum": None,
        "default": None,
        "seen": [3.0, 40.0],
        "values": None,
    },
]

EXAMPLE: dict[str, Any] = {
    "trip_distance_mi": 2.5,
    "hour": 17,
    "passengers": 1,
    "borough": "Queens",
    "zone": "Zone 007",
    "weekend": False,
    "mean_speed_past": 11.5,
}

DURATION: dict[str, Any] = {
    "inputs": INPUTS,
    "output": {"name": "trip duration", "type": "double", "unit": "min", "classes": None},
    "example": EXAMPLE,
    "entity": ["trip_id"],
    "as_of": "pickup_at",
}
PAYMENT: dict[str, Any] = {
    **DURATION,
    "output": {"name": "payment", "type": "string", "unit": None, "classes": ["card", "cash"]},
}


GATES: list[dict[str, Any]] = [
    {
        "gate": "beats_baseline",
        "passed": True,
        "figures": {"score": 3.21, "baseline": 6.9},
        "message": "3.21 against 6.9 of the median",
    },
    {
        "gate": "parity(borough)",
        "passed": True,
        "figures": {"ratio": 1.12, "limit": 1.25},
        "message": "worst group 1.12 times the best",
    },
]


@dataclass
class Fitted(PredictsFrames):
    """A fitted scikit-learn pipeline that keeps the registry's protocol."""

    pipeline: Pipeline
    version: int
    candidate: str
    signature: dict[str, Any] = field(default_factory=lambda: DURATION)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        predicted = pd.DataFrame({"prediction": self.pipeline.predict(frame)}, index=frame.index)
        if hasattr(self.pipeline, "predict_proba"):
            for label, shares in zip(self.pipeline.classes_, self.pipeline.predict_proba(frame).T, strict=True):
                predicted[f"probability_{label}"] = shares
        return predicted


def trips(rows: int = 400, seed: int = 5) -> pd.DataFrame:
    """Return trips whose duration follows distance, hour and borough."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "trip_distance_mi": random.gamma(2, 1.5, rows),
            "hour": random.integers(0, 24, rows),
            "passengers": random.integers(1, 6, rows).astype(float),
            "borough": random.choice(BOROUGHS, rows),
            "zone": random.choice(ZONES, rows),
            "weekend": random.random(rows) < 0.3,
            "mean_speed_past": random.normal(12, 2, rows),
        }
    )
    frame["duration"] = (
        2 + 60 * frame.trip_distance_mi / frame.mean_speed_past + 3 * (frame.borough == "Manhattan") + random.normal(0, 1, rows)
    )
    return frame


def pipeline(estimator: Any) -> Pipeline:
    """Return an estimator behind an encoder of the categories; nulls become the number 0."""
    from sklearn.impute import SimpleImputer

    numbers = ["trip_distance_mi", "hour", "passengers", "weekend", "mean_speed_past"]
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["borough", "zone"]), (SimpleImputer(strategy="constant", fill_value=0), numbers)
    )
    return make_pipeline(encoder, estimator)


@pytest.fixture(scope="session")
def fitted() -> dict[tuple[str, str, int], Fitted]:
    """Two versions of a regressor and one of a classifier, trained once."""
    frame = trips()
    rows, payment = frame[list(EXAMPLE)], np.where(frame.trip_distance_mi > 2.5, "card", "cash")
    forest = pipeline(RandomForestRegressor(15, random_state=0, n_jobs=1)).fit(rows, frame.duration)
    line = pipeline(LinearRegression()).fit(rows, frame.duration)
    logistic = pipeline(LogisticRegression(max_iter=2000)).fit(rows, payment)
    return {
        ("taxi", "duration", 1): Fitted(line, 1, "line"),
        ("taxi", "duration", 2): Fitted(forest, 2, "forest"),
        ("taxi", "payment", 1): Fitted(logistic, 1, "logistic", PAYMENT),
    }


class Place:
    """A home with a ledger, and the loader of its models; ``broken`` versions do not load."""

    def __init__(self, home: Path, fitted: dict[tuple[str, str, int], Any]) -> None:
        self.home, self.fitted, self.loads = home, dict(fitted), 0
        self.url = f"sqlite:///{home / 'ledger.db'}"
        self.ledger: Ledger = open_ledger(self.url)
        self.broken: set[tuple[str, str, int]] = set()
        for name in self.fitted:
            self.train(*name)

    def load(self, product: str, model: str, version: int) -> Any:
        self.loads += 1
        if (product, model, version) in self.broken:
            raise OSError("the stored model is cut off")
        return self.fitted[product, model, version]

    def train(self, product: str, model: str, version: int) -> None:
        loaded = self.fitted[product, model, version]
        run = f"run-{model}-{version}"
        self.ledger.add(
            model_versions,
            {
                "product": product,
                "model": model,
                "version": version,
                "candidate": loaded.candidate,
                "created_at": 1_675_000_000.0 + version,
                "run_id": run,
                "fingerprint": "f" * 64,
                "code": "c" * 64,
                "training_table": "trip_features",
                "training_version": 3,
                "training_rows": 54_321,
                "training_from": "2023-01-01T00:00:00",
                "training_until": "2023-01-28T23:59:59",
                "parameters": {"n_estimators": 15, "max_depth": None},
                "metrics": {"mae": 3.21, "rmse": 5.02},
                "signature": loaded.signature,
                "environment": {"python": "3.11.4", "packages": {"scikit-learn": "1.9.1", "pandas": "2.3.3"}},
                "artifact": "models/x",
                "artifact_sha256": "a" * 64,
                "format": "skops",
                "mlflow_run": None,
                "gates": GATES,
                "rule": "Best mean mae over 2 folds (lower is better).",
            },
        )
        scores = (("forest", 3.21, 0.14), ("line", 4.05, 0.2), ("boosting", 3.4, 0.11), ("median", 6.9, 0.3))
        self.ledger.add(
            candidates,
            *(
                {
                    "run_id": run,
                    "product": product,
                    "model": model,
                    "candidate": name,
                    "metric": "mae",
                    "score": score,
                    "spread": spread,
                    "folds": [{"mae": score - spread}, {"mae": score + spread}],
                    "seconds": 1.5,
                    "chosen": name == loaded.candidate,
                    "baseline": name == "median",
                    "error": None,
                    "parameters": {},
                }
                for name, score, spread in scores
            ),
        )

    def promote(self, product: str, model: str, version: int, *, replaced: int | None = None, decision: str = "promoted") -> None:
        row = {
            "product": product,
            "model": model,
            "version": version,
            "decision": decision,
            "gates": [] if decision == "rolled back" else GATES,
            "who": "ada",
            "at": time.time(),
            "replaced": replaced,
            "reason": "all gates passed",
            "run_id": f"run-{model}-{version}",
        }
        self.ledger.add(decisions, row)

    def app(self, **options: Any) -> Any:
        return create_app(self.home, self.url, loader=self.load, **{"refresh_s": 0.0, **options})


@pytest.fixture
def place(tmp_path: Path, fitted: dict[tuple[str, str, int], Fitted]) -> Place:
    """A ledger with all versions trained and none promoted."""
    return Place(tmp_path, fitted)


@pytest.fixture
def served(place: Place) -> Place:
    """A ledger with the forest and the classifier in production."""
    place.promote("taxi", "duration", 2)
    place.promote("taxi", "payment", 1)
    return place


@pytest.fixture
def example() -> dict[str, Any]:
    """One row that every model here takes."""
    return dict(EXAMPLE)


@pytest.fixture(scope="session")
def new_trips() -> pd.DataFrame:
    """Trips that no model was fitted on, within what the signature allows."""
    frame = trips(200, seed=9)
    return frame.loc[frame.trip_distance_mi < 100, list(EXAMPLE)]
