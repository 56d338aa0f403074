"""Models as the registry stores them: registered, promoted, and served from their files."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from sklearn.base import clone
from tests.unit.registry.results import RegisteredResult

from caudal.declarations.signature import coerce_inputs
from caudal.registry import load_version, promote, register, rollback
from caudal.serve import create_app
from caudal.tables.home import Home

PREDICT = "/api/v1/taxi/duration/predict"


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, fitted: Any, new_trips: pd.DataFrame) -> Home:
    """A home with two registered versions: their estimators fitted on inputs as the registry casts them."""
    place = Home(tmp_path_factory.mktemp("registered") / "home")
    ledger = place.ledger()
    for version in (1, 2):
        model = fitted["taxi", "duration", version]
        trips = coerce_inputs(new_trips, model.signature["inputs"])
        estimator = clone(model.pipeline).fit(trips, trips.trip_distance_mi * 5)
        trained = RegisteredResult(SimpleNamespace(format="sklearn", estimator=estimator), model.signature, model.candidate)
        register(
            place, ledger, "taxi", "duration", trained,
            fingerprint=str(version) * 64, code="c" * 64, training_table="trip_features", training_version=1,
            run_id=f"run-{version}",
        )  # fmt: skip
    ledger.close()  # writes what is in SQLite's log into the file that is copied
    return place


@pytest.fixture
def home(registered: Home, tmp_path: Path) -> Home:
    """A copy of that home, to decide in."""
    shutil.copytree(registered.path, tmp_path / "home")
    return Home(tmp_path / "home")


def test_stored_models_are_served_and_swapped(home: Home, example: dict[str, Any]) -> None:
    client = create_app(home.path, home.url, refresh_s=0.0).test_client()
    ledger = home.ledger()
    assert client.post(PREDICT, json=example).status_code == 503
    seen = []
    promote(ledger, "taxi", "duration", 1, gates=[{"gate": "g", "passed": True, "figures": {}, "message": "ok"}], who="ada")
    seen.append(client.post(PREDICT, json=example).json)
    promote(ledger, "taxi", "duration", 2, who="ada")
    seen.append(client.post(PREDICT, json=example).json)
    rollback(ledger, "taxi", "duration", who="bob")
    seen.append(client.post(PREDICT, json=example).json)
    assert [one["version"] for one in seen] == [1, 2, 1]
    for answer in seen:
        model = load_version(home, ledger, "taxi", "duration", answer["version"])
        assert answer["prediction"] == model.predict(pd.DataFrame([example])).prediction[0]
    assert seen[0]["prediction"] == seen[2]["prediction"] != seen[1]["prediction"]
    card = client.get("/api/v1/taxi/duration/card").json
    assert (card["decision"]["decision"], card["decision"]["who"]) == ("rolled back", "bob")
    assert card["gates"][0]["gate"] == "beats_baseline"  # what its training's gates said, since a rollback judges nothing
    assert client.post("/taxi/duration/", data={**{n: str(v) for n, v in example.items()}}).status_code == 200


def test_nothing_optional_is_needed(home: Home, example: dict[str, Any]) -> None:
    promote(home.ledger(), "taxi", "duration", 2, who="ada")
    client = create_app(home.path, home.url).test_client()
    needed = {name: value for name, value in example.items() if name not in ("passengers", "mean_speed_past")}
    assert client.post(PREDICT, json=needed).status_code == 200


def test_a_stored_model_that_was_tampered_with_is_not_served(home: Home, example: dict[str, Any]) -> None:
    ledger = home.ledger()
    promote(ledger, "taxi", "duration", 1, who="ada")
    client = create_app(home.path, home.url, refresh_s=0.0).test_client()
    assert client.post(PREDICT, json=example).json["version"] == 1
    (home.models("taxi", "duration") / "2" / "model.skops").write_bytes(b"something else")
    promote(ledger, "taxi", "duration", 2, who="mallory")
    assert client.post(PREDICT, json=example).json["version"] == 1
    assert "Version 2 cannot be loaded" in client.get("/ready").json["reason"]
