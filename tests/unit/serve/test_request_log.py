"""Requests that were answered are logged once, with what was asked and what was predicted, and never at the cost of an answer."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from werkzeug.test import Client

from caudal.ledger.records import declarations
from caudal.messaging.request_files import take_all
from caudal.messaging.request_tables import read_requests
from caudal.serve import request_log
from caudal.serve.fast_lane import FastLane
from caudal.serve.request_log import RequestLog
from caudal.web.server import serve_in_thread

PREDICT = "/api/v1/taxi/duration/predict"
BATCH = f"{PREDICT}/batch"
SOURCE = "asked"


def declare(place: Any, sample: float = 1.0, models: tuple[str, ...] = ("duration",)) -> None:
    """Declare that requests are logged, as the last run of the product has stored it."""
    logs = [{"model": model, "source": f"{SOURCE}_{model}", "sample": sample} for model in models]
    document = {"name": "taxi", "request_logs": logs}
    place.ledger.add(declarations, {"product": "taxi", "run_id": "r", "at": time.time(), "document": document})


def folder(place: Any, model: str = "duration") -> Path:
    return Path(place.home) / "requests" / "taxi" / f"{SOURCE}_{model}"


def logged(place: Any, model: str = "duration") -> list[dict[str, Any]]:
    """Return all rows that lie in the folder of a source."""
    rows = [row for file in take_all(folder(place, model)) for row in read_requests(file)[0].to_pylist()]
    return sorted(rows, key=lambda row: (row["requested_at"], row["request_id"], row["row"]))


@pytest.fixture
def app(served: Any) -> Any:
    """An app of which both models are logged."""
    declare(served, models=("duration", "payment"))
    app = served.app()
    app.extensions["caudal"].refresh()
    app.extensions["request log"].learn()
    return app


def test_a_row_is_what_was_asked_and_predicted(app: Any, served: Any, example: dict[str, Any]) -> None:
    before = dt.datetime.now(dt.UTC)
    answer = app.test_client().post(PREDICT, json={**example, "passengers": None, "mean_speed_past": 99.0}).get_json()
    app.extensions["request log"].flush()
    (row,) = logged(served)
    assert row.pop("requested_at") - before < dt.timedelta(seconds=10)
    assert len(row.pop("request_id")) > 16
    assert row == {
        **example, "passengers": None, "mean_speed_past": 99.0, "row": 0, "product": "taxi", "model": "duration", "version": 2, "caller": None,
        "sample": 1.0, "prediction": answer["prediction"], "predicted_class": None, "warnings": 1, "looked_up": [], "not_found": [],
    }  # fmt: skip


def test_a_classifier_has_its_class_and_probabilities(app: Any, served: Any, example: dict[str, Any]) -> None:
    answer = app.test_client().post("/api/v1/taxi/payment/predict", json=example).get_json()
    app.extensions["request log"].flush()
    (row,) = logged(served, "payment")
    assert (row["prediction"], row["predicted_class"]) == (None, answer["prediction"])
    assert {label: row[f"probability_{label}"] for label in ("card", "cash")} == answer["probabilities"]


def test_rows_of_a_batch_are_rows_and_refused_ones_are_not(app: Any, served: Any, example: dict[str, Any]) -> None:
    client = app.test_client()
    assert client.post(BATCH, json=[example, {**example, "hour": 99}, {**example, "hour": 3}]).status_code == 422
    assert client.post(PREDICT, json={**example, "hour": 99}).status_code == 422
    app.extensions["request log"].flush()
    rows = logged(served)
    assert [(row["row"], row["hour"]) for row in rows] == [(0, 17), (2, 3)]
    assert len({row["request_id"] for row in rows}) == 1


def test_the_form_is_logged_too(app: Any, served: Any, example: dict[str, Any]) -> None:
    form = {
        name: {False: "false", True: "true"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        for name, value in example.items()
    }
    assert app.test_client().post("/taxi/duration/", data=form).status_code == 200
    app.extensions["request log"].flush()
    assert len(logged(served)) == 1


numbers = st.integers(-5, 30) | st.floats(-5, 120) | st.none() | st.text(max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed=st.dictionaries(st.sampled_from(["hour", "passengers", "trip_distance_mi", "mean_speed_past", "zone"]), numbers))
def test_both_lanes_log_the_same(app: Any, served: Any, example: dict[str, Any], changed: dict[str, Any]) -> None:
    lane = app.wsgi_app
    assert isinstance(lane, FastLane)
    rows = []
    for way in (lane, lane.app):
        Client(way).post(PREDICT, json={**example, **changed}, environ_base={"REMOTE_ADDR": "127.0.0.1"})
        app.extensions["request log"].flush()
        rows.append(logged(served))
        shutil.rmtree(folder(served), ignore_errors=True)
    assert len(rows[0]) == len(rows[1]) <= 1
    for row in (*rows[0], *rows[1]):
        del row["requested_at"], row["request_id"]
    assert rows[0] == rows[1]


def test_a_sample_is_of_whole_requests_and_says_its_share(served: Any, example: dict[str, Any]) -> None:
    declare(served, sample=0.25)
    app = served.app()
    app.extensions["caudal"].refresh()
    requests: RequestLog = app.extensions["request log"]
    requests.learn()
    chances = iter([0.1, 0.25, 0.9, 0.2])
    requests._random = lambda: next(chances)
    for _ in range(4):
        assert app.test_client().post(BATCH, json=[example, example]).status_code == 200
    requests.flush()
    rows = logged(served)
    assert [row["row"] for row in rows] == [0, 1, 0, 1]
    assert {row["sample"] for row in rows} == {0.25}


def test_models_without_a_source_are_not_logged(served: Any, example: dict[str, Any]) -> None:
    app = served.app()
    app.extensions["caudal"].refresh()
    app.extensions["request log"].learn()
    assert app.test_client().post(PREDICT, json=example).status_code == 200
    app.extensions["request log"].finish()
    assert not (Path(served.home) / "requests").exists()
    declare(served)
    app.extensions["request log"].learn()
    app.test_client().post(PREDICT, json=example)
    app.extensions["request log"].flush()
    assert len(logged(served)) == 1


def test_a_full_queue_drops_counts_and_tells(
    app: Any, served: Any, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(request_log, "MOST_WAITING", 3)
    client = app.test_client()
    for rows in (2, 2, 1):
        assert client.post(BATCH, json=[example] * rows).status_code == 200
    app.extensions["request log"].flush()
    assert len(logged(served)) == 3
    metrics = client.get("/metrics").get_data(as_text=True)
    assert 'caudal_request_log_rows_total{model="duration",outcome="dropped",product="taxi"} 2.0' in metrics
    assert 'caudal_request_log_rows_total{model="duration",outcome="logged",product="taxi"} 3.0' in metrics
    assert (
        caplog.messages.count("2 rows of requests of taxi/duration are not logged: rows came faster than they could be written")
        == 1
    )


def test_a_disk_that_takes_nothing_costs_rows_and_no_answer(
    app: Any, served: Any, example: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    folder(served).parent.mkdir(parents=True)
    folder(served).write_text("in the way")
    client = app.test_client()
    assert client.post(PREDICT, json=example).status_code == 200
    app.extensions["request log"].flush()
    assert "1 rows of requests of taxi/duration are not logged" in caplog.text
    folder(served).unlink()
    assert client.post(PREDICT, json=example).status_code == 200
    app.extensions["request log"].flush()
    assert len(logged(served)) == 1


def test_a_home_that_is_gone_is_not_made_again(app: Any, served: Any, example: dict[str, Any]) -> None:
    requests: RequestLog = app.extensions["request log"]
    app.test_client().post(PREDICT, json=example)
    requests._home = Path(served.home) / "gone"
    requests.flush()
    assert not folder(served).exists()


def test_what_waits_at_the_end_is_written(app: Any, served: Any, example: dict[str, Any]) -> None:
    requests: RequestLog = app.extensions["request log"]
    stopped = threading.Event()
    writer = threading.Thread(target=requests.work, args=(stopped,))
    with serve_in_thread(app, lane=app.extensions["fast lane"].connection_answer) as url:
        writer.start()
        for hour in range(24):
            body = json.dumps({**example, "hour": hour}).encode()
            with urllib.request.urlopen(
                urllib.request.Request(url + PREDICT, body, {"Content-Type": "application/json"})
            ) as answer:
                assert answer.status == 200
        stopped.set()
    writer.join()
    requests.finish()
    assert [file.suffix for file in folder(served).iterdir()] == [".rows"]
    assert [row["hour"] for row in logged(served)] == list(range(24))


def test_old_and_large_files_are_finished(app: Any, served: Any, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    requests: RequestLog = app.extensions["request log"]
    client = app.test_client()
    client.post(PREDICT, json=example)
    requests.flush()
    assert [file.suffix for file in folder(served).iterdir()] == [".open"]
    monkeypatch.setattr(request_log, "FINISHED_AFTER_S", 0.0)
    requests.flush()
    assert [file.suffix for file in folder(served).iterdir()] == [".rows"]
    monkeypatch.setattr(request_log, "FINISHED_AFTER_S", 60.0)
    monkeypatch.setattr(request_log, "FINISHED_BYTES", 10)
    client.post(PREDICT, json=example)
    requests.flush()
    assert [file.suffix for file in folder(served).iterdir()] == [".rows", ".rows"]


def test_versions_with_other_inputs_are_in_files_of_their_own(app: Any, served: Any, example: dict[str, Any]) -> None:
    app.test_client().post(PREDICT, json=example)
    served.promote("taxi", "duration", 1, replaced=2)
    app.test_client().post(PREDICT, json=example)
    app.extensions["request log"].finish()
    assert [row["version"] for row in logged(served)] == [2, 1]
