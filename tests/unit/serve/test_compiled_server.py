"""A server of compiled models is a process without the libraries of their training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.registry.results import RegisteredResult
from werkzeug.test import Client

import caudal
from caudal.ledger.records import model_versions
from caudal.registry import LoadedCompiledModel, LoadedModel, card, load_for_serving, load_version, promote, register, start_trial
from caudal.serve import create_app
from caudal.serve.before_fork import load_shared
from caudal.stages.train.scikit import ScikitCandidate
from caudal.tables.home import Home

PREDICT = "/api/v1/taxi/duration/predict"
FORBIDDEN = ("sklearn", "pandas", "scipy", "pyspark", "pyarrow", "skops", "mlflow")
PROGRAM = f"""
import sys
from pathlib import Path
from caudal.serve import serve
serve(Path(sys.argv[1]), sys.argv[2], port=0)
print([name for name in {FORBIDDEN!r} if name in sys.modules])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, fitted: Any, new_trips: pd.DataFrame) -> Home:
    """A home with three versions: one that is compiled, one that has no compiled form, and one of before."""
    from sklearn.dummy import DummyRegressor
    from sklearn.ensemble import HistGradientBoostingRegressor

    place = Home(tmp_path_factory.mktemp("compiled") / "home")
    ledger = place.ledger()
    signature = fitted["taxi", "duration", 2].signature
    label = pd.Series(np.asarray(new_trips.trip_distance_mi * 5 + new_trips.hour), index=new_trips.index)
    for version, estimator in enumerate(
        (HistGradientBoostingRegressor(max_iter=20), DummyRegressor(), HistGradientBoostingRegressor()), 1
    ):
        trained = ScikitCandidate(estimator, signature["inputs"], None, 0).fit(new_trips, label)
        register(
            place, ledger, "taxi", "duration", RegisteredResult(trained, signature, "chosen"),
            fingerprint=str(version) * 64, code="c" * 64, training_table="trip_features", training_version=1, run_id=f"run-{version}",
            training=new_trips if version < 3 else None,
        )  # fmt: skip
    promote(ledger, "taxi", "duration", 1, who="ada")
    ledger.close()
    return place


@pytest.mark.slow
def test_a_server_imports_no_library_of_the_training(home: Home, example: dict[str, Any]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home.path), home.url], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(caudal.__file__).parent.parent)},
    )  # fmt: skip
    assert process.stdout
    url = process.stdout.readline().split()[2]
    request = urllib.request.Request(url + PREDICT, json.dumps(example).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        prediction = json.load(answer)["prediction"]
    process.terminate()
    rest, _ = process.communicate(timeout=60)
    assert rest.strip() == "[]"
    expected = load_version(home, home.ledger(), "taxi", "duration", 1)
    assert prediction == expected.predict(pd.DataFrame([example])).prediction[0]


def test_versions_without_a_compiled_form_are_served_by_their_pipelines(home: Home) -> None:
    ledger = home.ledger()
    kinds = [type(load_for_serving(home, ledger, "taxi", "duration", version)) for version in (1, 2, 3)]
    assert kinds == [LoadedCompiledModel, LoadedModel, LoadedModel]
    told = [card(ledger, "taxi", "duration", version)["compiled"] for version in (1, 2, 3)]
    assert told[0] is not None
    assert told[0]["reason"] is None
    assert told[1] == {"reason": "DummyRegressor has no compiled form.", "rows": 0, "pipeline_from_rows": None}
    assert told[2] is None


def test_a_card_says_how_a_version_predicts(home: Home, example: dict[str, Any]) -> None:
    client = create_app(home.path, home.url).test_client()
    assert client.get("/api/v1/taxi/duration/card").json["compiled"]["reason"] is None
    assert b"arrays" in client.get("/taxi/duration/card").data


def test_contributions_are_told_by_the_pipeline(home: Home, example: dict[str, Any]) -> None:
    client = create_app(home.path, home.url).test_client()
    answer = client.post(f"{PREDICT}?explain=true", json=example).json
    assert answer["prediction"] == client.post(PREDICT, json=example).json["prediction"]
    assert answer["explanation"]["contributions"]


def test_a_large_batch_goes_to_the_pipeline_where_that_is_faster(home: Home, example: dict[str, Any]) -> None:
    loaded = load_for_serving(home, home.ledger(), "taxi", "duration", 1)
    assert isinstance(loaded, LoadedCompiledModel)
    asked = []
    pipeline = SimpleNamespace(predict_rows=lambda rows: asked.append(len(rows)))
    by_size = LoadedCompiledModel(1, "chosen", loaded.signature, loaded.compiled, lambda: pipeline, 3)  # type: ignore[arg-type, return-value]
    assert by_size.predict_rows([example] * 2).values == loaded.predict_rows([example] * 2).values
    by_size.predict_rows([example] * 3)
    assert asked == [3]


@pytest.mark.parametrize(("version", "in_loop"), [(4, True), (2, False)])
def test_a_canary_answers_in_the_event_loop_where_it_is_compiled(
    home: Home, tmp_path: Path, example: dict[str, Any], version: int, in_loop: bool
) -> None:
    copy = Home(tmp_path / "home")
    shutil.copytree(home.path, copy.path)
    ledger = copy.ledger()
    (first,) = ledger.find(model_versions, product="taxi", model="duration", version=1)
    ledger.add(model_versions, {**first, "version": 4})
    start_trial(copy, ledger, "taxi", "duration", version, share=0.5, who="ada")
    ledger.close()
    app = create_app(copy.path, copy.url, refresh_s=3600.0)
    champions, lane = app.extensions["caudal"], app.extensions["fast lane"]
    champions.refresh()
    answered: dict[int, set[bool]] = {}
    for index in range(40):
        row = {**example, "trip_distance_mi": index / 10}
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        fast = lane.connection_answer(PREDICT.encode(), headers, json.dumps(row).encode(), "127.0.0.1")
        slow = Client(lane.app).post(PREDICT, json=row)
        answered.setdefault(slow.json["version"], set()).add(fast is not None)
        if fast is not None:
            assert fast.partition(b"\r\n\r\n")[2] == slow.get_data()
    assert answered == {1: {True}, version: {in_loop}}


def test_a_damaged_compiled_form_is_not_served(home: Home, tmp_path: Path) -> None:
    copy = Home(tmp_path / "home")
    shutil.copytree(home.path, copy.path)
    (copy.models("taxi", "duration") / "1" / "compiled.npz").write_bytes(b"something else")
    reason = create_app(copy.path, copy.url).test_client().get("/ready").json["reason"]
    assert "are not those that were registered" in reason


def test_processes_share_the_arrays_that_were_loaded_before_they_were_forked(
    home: Home, tmp_path: Path, example: dict[str, Any]
) -> None:
    copy = Home(tmp_path / "home")
    shutil.copytree(home.path, copy.path)
    shared = load_shared(copy, copy.url, "taxi", "duration")
    ((name, loaded),) = shared.items()
    app = create_app(copy.path, copy.url, refresh_s=0.0, models=shared)
    champions = app.extensions["caudal"]
    champions.refresh()
    served = champions.cached["taxi", "duration"]
    assert served.version == name[2]
    assert served.loaded.compiled is loaded.compiled
    assert app.test_client().post("/api/v1/taxi/duration/predict", json=example).status_code == 200
    pipeline = served.loaded.pipeline  # read by the process itself, when it is needed
    assert pipeline.version == served.version
    assert "pipeline" not in vars(loaded)

    other = {(*name[:3], "0" * 64): loaded}  # another version had this number before the ledger was restored
    champions = create_app(copy.path, copy.url, refresh_s=0.0, models=other).extensions["caudal"]
    champions.refresh()
    assert champions.cached["taxi", "duration"].loaded.compiled is not loaded.compiled


def test_what_cannot_be_loaded_before_processes_are_forked_is_left_to_them(home: Home, tmp_path: Path) -> None:
    copy = Home(tmp_path / "home")
    shutil.copytree(home.path, copy.path)
    for file in copy.path.rglob("compiled.npz"):
        file.write_bytes(b"no arrays")
    assert load_shared(copy, copy.url) == {}
    assert load_shared(Home(tmp_path / "none"), f"sqlite:///{tmp_path / 'none.db'}") == {}
