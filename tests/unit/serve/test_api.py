"""The API: predictions are the model's own, bad input is told, and nothing makes it fail."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from caudal.registry.row_frames import PredictsFrames

PREDICT = "/api/v1/taxi/duration/predict"


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return [{**row, "passengers": int(row["passengers"])} for row in rows]


def test_a_prediction_is_the_models_own(served: Any, example: dict[str, Any], fitted: Any) -> None:
    answer = served.app().test_client().post(PREDICT, json=example)
    expected = fitted["taxi", "duration", 2].pipeline.predict(pd.DataFrame([example]))[0]
    assert answer.status_code == 200
    assert answer.json == {
        "prediction": expected,
        "unit": "min",
        "name": "trip duration",
        "product": "taxi",
        "model": "duration",
        "version": 2,
        "candidate": "forest",
        "warnings": [],
    }


@pytest.mark.parametrize("model", ["duration", "payment"])
def test_a_prediction_is_explained_where_it_is_asked_for(served: Any, example: dict[str, Any], model: str) -> None:
    client = served.app().test_client()
    row = {**example, "trip_distance_mi": 9.0, "borough": "Queens"}
    plain = client.post(f"/api/v1/taxi/{model}/predict", json=row).get_json()
    answer = client.post(f"/api/v1/taxi/{model}/predict?explain=true", json=row).get_json()
    explained = answer.pop("explanation")
    assert plain == answer
    assert "explanation" not in client.post(f"/api/v1/taxi/{model}/predict?explain=false", json=row).get_json()
    of = answer["prediction"] if model == "duration" else answer["probabilities"][answer["prediction"]]
    assert explained["of"] == ("prediction" if model == "duration" else f"probability_{answer['prediction']}")
    contributions = {part["input"]: part["contribution"] for part in explained["contributions"]}
    assert set(contributions) == set(example)
    assert sum(contributions.values()) == pytest.approx(of - explained["typical"])
    assert explained["contributions"][0]["input"] == "trip_distance_mi"
    assert explained["contributions"][0]["value"] == 9.0
    assert explained["exact"] is True
    wrong = client.post(f"/api/v1/taxi/{model}/predict?explain=perhaps", json=row)
    assert wrong.status_code == 400
    assert "explain is 'perhaps'; it can be true or false." in wrong.get_json()["what"]


def test_a_class_comes_with_its_probabilities(served: Any, example: dict[str, Any], fitted: Any) -> None:
    answer = served.app().test_client().post("/api/v1/taxi/payment/predict", json=example).json
    shares = fitted["taxi", "payment", 1].pipeline.predict_proba(pd.DataFrame([example]))[0]
    assert answer["probabilities"] == {"card": shares[0], "cash": shares[1]}
    assert answer["prediction"] == ("card" if shares[0] > shares[1] else "cash")


def test_a_batch_equals_its_rows_one_by_one(served: Any, new_trips: pd.DataFrame, fitted: Any) -> None:
    client = served.app().test_client()
    rows = rows_of(new_trips)
    batch = [answer["prediction"] for answer in client.post(f"{PREDICT}/batch", json=rows).json["predictions"]]
    single = [client.post(PREDICT, json=row).json["prediction"] for row in rows[:5]]
    assert batch[:5] == single
    np.testing.assert_allclose(batch, fitted["taxi", "duration", 2].pipeline.predict(new_trips), rtol=1e-9)


def test_a_bad_row_is_named_and_the_good_ones_are_predicted(served: Any, example: dict[str, Any]) -> None:
    answer = served.app().test_client().post(f"{PREDICT}/batch", json=[example, {**example, "hour": 24}, 7, example])
    assert answer.status_code == 422
    assert [(error["row"], error["field"]) for error in answer.json["errors"]] == [(1, "hour"), (2, None)]
    predicted = [one and one["prediction"] for one in answer.json["predictions"]]
    assert predicted[1:3] == [None, None]
    assert predicted[0] == predicted[3] > 0


@pytest.mark.parametrize("rows", [0, 1001])
def test_a_batch_has_one_to_a_thousand_rows(served: Any, example: dict[str, Any], rows: int) -> None:
    answer = served.app().test_client().post(f"{PREDICT}/batch", json=[example] * rows)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["allowed"] == "a list of 1 to 1000 rows"


def test_errors_have_field_problem_got_allowed(served: Any, example: dict[str, Any]) -> None:
    answer = served.app().test_client().post(PREDICT, json={**example, "borough": "Quens"})
    assert answer.status_code == 422
    assert answer.json["errors"] == [
        {
            "field": "borough",
            "problem": "The value is not one of those allowed.",
            "got": "Quens",
            "allowed": "one of 'Bronx', 'Brooklyn', 'Manhattan', 'Queens', 'Staten Island'",
            "nearest": "Queens",
        }
    ]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"borough": "\\ud800"}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"9" * 5000, "application/json", 400),
        (b"null", "application/json", 422),
        (b'{"trip_distance_mi": NaN}', "application/json", 422),
        (b'{"hour": 1e400}', "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b" " * (4 * 2**20 + 1), "application/json", 413),
    ],
)
def test_whatever_is_sent_gets_a_document(served: Any, body: bytes, kind: str | None, status: int) -> None:
    answer = served.app().test_client().post(PREDICT, data=body, content_type=kind)
    assert answer.status_code == status
    assert answer.is_json
    assert answer.json["errors"] if status == 422 else answer.json["what"]


def test_an_unknown_model_gets_the_nearest(served: Any) -> None:
    answer = served.app().test_client().get("/api/v1/taxi/duratoin/card")
    assert answer.status_code == 404
    assert answer.json["nearest"] == "taxi/duration"


def test_a_wrong_method_is_told_the_right_one(served: Any) -> None:
    answer = served.app().test_client().get(PREDICT)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.is_json


class Fragile(PredictsFrames):
    """A real predictor behind a fault: it raises on long trips, or on all."""

    def __init__(self, inner: Any, *, on_all: bool) -> None:
        self.inner, self.on_all = inner, on_all
        self.version, self.candidate, self.signature = inner.version, inner.candidate, inner.signature

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self.on_all or (frame.trip_distance_mi > 50).any():
            raise ZeroDivisionError("inside the model")
        predicted: pd.DataFrame = self.inner.predict(frame)
        predicted.loc[frame.trip_distance_mi == 40, "prediction"] = np.inf
        return predicted


def test_rows_that_the_model_itself_fails_on_are_told_apart(served: Any, example: dict[str, Any]) -> None:
    served.fitted["taxi", "duration", 2] = Fragile(served.fitted["taxi", "duration", 2], on_all=False)
    client = served.app().test_client()
    assert client.post(PREDICT, json={**example, "trip_distance_mi": 60}).status_code == 422
    assert client.post(PREDICT, json={**example, "trip_distance_mi": 40}).status_code == 422
    batch = client.post(
        f"{PREDICT}/batch", json=[example, {**example, "trip_distance_mi": 60}, {**example, "trip_distance_mi": 40}]
    )
    assert [error["row"] for error in batch.json["errors"]] == [1, 2]
    assert batch.json["predictions"][0]["prediction"] > 0


def test_a_model_that_fails_on_its_own_example_is_not_put_in_service(place: Any, example: dict[str, Any]) -> None:
    client = place.app().test_client()
    place.promote("taxi", "duration", 1)
    assert client.post(PREDICT, json=example).json["version"] == 1
    place.fitted["taxi", "duration", 2] = Fragile(place.fitted["taxi", "duration", 2], on_all=True)
    place.promote("taxi", "duration", 2)
    assert client.post(PREDICT, json=example).json["version"] == 1
    assert "inside the model" in client.get("/ready").json["reason"]


def test_a_model_that_breaks_while_it_is_served_is_unavailable(served: Any, example: dict[str, Any]) -> None:
    fragile = Fragile(served.fitted["taxi", "duration", 2], on_all=False)
    served.fitted["taxi", "duration", 2] = fragile
    client = served.app().test_client()
    assert client.post(PREDICT, json=example).status_code == 200
    fragile.on_all = True
    answer = client.post(PREDICT, json=example)
    assert answer.status_code == 503
    assert "caudal model rollback duration --product taxi" in answer.json["fix"]
    assert "ZeroDivisionError" not in answer.text


def test_a_fault_of_our_own_shows_no_trace(served: Any, example: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    app = served.app()
    app.extensions["caudal"].get = lambda *_: 1 / 0
    with caplog.at_level(logging.CRITICAL):
        answer = app.test_client().post(f"{PREDICT}/batch", json=[example])
    assert answer.status_code == 500
    assert set(answer.json) == {"error", "what", "nearest", "fix"}
    assert "Traceback" not in answer.text
    assert "ZeroDivisionError" in caplog.text


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
bodies = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4))


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=60), bodies.map(lambda body: json.dumps(body).encode())), st.sampled_from(["", "/batch"]))
def test_nothing_that_is_sent_makes_it_fail(served: Any, body: bytes, operation: str) -> None:
    if not hasattr(served, "client"):
        served.client = served.app().test_client()
    answer = served.client.post(PREDICT + operation, data=body, content_type="application/json")
    assert answer.status_code in (400, 422)
    assert json.loads(answer.data, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    st.dictionaries(st.sampled_from(["trip_distance_mi", "hour", "passengers", "borough", "weekend", "mean_speed_past"]), bodies)
)
def test_a_row_gone_wrong_anywhere_never_makes_it_fail(served: Any, example: dict[str, Any], changed: dict[str, Any]) -> None:
    if not hasattr(served, "client"):
        served.client = served.app().test_client()
    answer = served.client.post(PREDICT, data=json.dumps({**example, **changed}), content_type="application/json")
    assert answer.status_code in (200, 400, 422)
    if answer.status_code == 422:
        assert {error["field"] for error in answer.json["errors"]} <= {*changed, None}


def test_the_card_tells_what_the_ledger_knows(served: Any) -> None:
    card = served.app().test_client().get("/api/v1/taxi/duration/card").json
    assert (card["version"], card["candidate"], card["decision"]["who"]) == (2, "forest", "ada")
    assert card["score"]["score"] == 3.21
    assert card["score"]["spread"] == 0.14
    assert card["baseline"]["candidate"] == "median"
    assert [one["candidate"] for one in card["candidates"]] == ["forest", "boosting", "line", "median"]
    assert card["training"] == {
        "table": "trip_features",
        "table_version": 3,
        "rows": 54_321,
        "from": "2023-01-01T00:00:00",
        "until": "2023-01-28T23:59:59",
        "run": "run-duration-2",
    }
    assert [gate["figures"]["ratio"] for gate in card["decision"]["gates"] if "ratio" in gate["figures"]] == [1.12]


def test_figures_of_the_server_are_counted(served: Any, example: dict[str, Any]) -> None:
    client = served.app().test_client()
    for hour in (1, 2, 99):
        client.post(PREDICT, json={**example, "hour": hour})
    text = client.get("/metrics").text
    route = "/api/v1/<product>/<model>/predict"
    assert f'caudal_requests_total{{route="{route}",status="200"}} 2.0' in text
    assert f'caudal_requests_total{{route="{route}",status="422"}} 1.0' in text
    assert f'caudal_request_seconds_count{{route="{route}"}} 3.0' in text
    assert 'caudal_model_version{model="duration",product="taxi"} 2.0' in text
    assert 'caudal_input_out_of_range_total{input="hour",kind="range",model="duration",product="taxi"} 1.0' in text
    assert text.count("# TYPE") == 6
    assert "_created" not in text


def test_the_answer_to_a_bad_batch_is_described_in_bounds(served: Any, example: dict[str, Any]) -> None:
    client = served.app().test_client()
    faults = {f"x{number}": 0 for number in range(290)}
    body = [*[{**example, **faults}] * 900, example, *["no row"] * 99]
    answer = client.post(f"{PREDICT}/batch", json=body)
    assert answer.status_code == 422
    assert len(answer.data) < 200_000
    told = answer.json
    assert len(told["errors"]) == 100
    assert max(sum(error["row"] == row for error in told["errors"]) for row in range(900)) == 5
    assert len(told["errors"]) + told["more_errors"] == 900 * 290 + 99
    assert [row for row, prediction in enumerate(told["predictions"]) if prediction is not None] == [900]


def test_a_name_without_end_is_told_in_short(served: Any, example: dict[str, Any]) -> None:
    answer = served.app().test_client().post(PREDICT, json={**example, "x" * 1_000_000: 1})
    assert answer.status_code == 422
    assert len(answer.data) < 2_000


def test_a_number_beyond_the_training_rows_is_predicted_with_a_warning(served: Any, example: dict[str, Any], fitted: Any) -> None:
    client = served.app().test_client()
    beyond = {**example, "mean_speed_past": 55.5}
    answer = client.post(PREDICT, json=beyond)
    assert answer.status_code == 200
    assert answer.json["prediction"] == fitted["taxi", "duration", 2].pipeline.predict(pd.DataFrame([beyond]))[0]
    warning = {"field": "mean_speed_past", "warning": "The value lies outside what the model was trained on.", "got": 55.5}
    assert answer.json["warnings"] == [{**warning, "seen": "from 3 to 40"}]
    batch = client.post(f"{PREDICT}/batch", json=[example, beyond, {**example, "mean_speed_past": None}]).json["predictions"]
    assert [len(row["warnings"]) for row in batch] == [0, 1, 0]
    refused = client.post(PREDICT, json={**example, "trip_distance_mi": 100.5})  # a limit that was declared
    assert refused.status_code == 422
    form = client.post("/taxi/duration/", data={name: "" if value is None else str(value) for name, value in beyond.items()})
    assert "Take this with care" in form.text
    assert "Recent mean speed: 55.5, seen from 3 to 40" in form.text
