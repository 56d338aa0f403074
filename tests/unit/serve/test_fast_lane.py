"""Both lanes give the same answer to every request, and count it once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from werkzeug.test import Client

from caudal.serve.fast_lane import ROUTE, FastLane
from caudal.web.connections import LONGEST_LANE_BODY

PREDICT = "/api/v1/taxi/duration/predict"
KEY = "not-to-be-guessed"
COUNTED = f'caudal_requests_total{{route="{ROUTE}",status="200"}}'

scalars = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=5)
changes = st.dictionaries(
    st.sampled_from(["trip_distance_mi", "hour", "passengers", "borough", "zone", "weekend", "mean_speed_past", "more"]),
    scalars,
    max_size=3,
)
left_out = st.sets(st.sampled_from(["passengers", "mean_speed_past", "hour"]), max_size=2)
content_types = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json; charset=latin-1",
        "text/plain",
        "application/x+json",
        "",
    ]
)
paths = st.sampled_from(
    [
        PREDICT,
        PREDICT,
        PREDICT,
        "/api/v1/taxi/payment/predict",
        f"{PREDICT}?explain=false",
        f"{PREDICT}?x",
        "/api/v1/taxi/none/predict",
        f"{PREDICT}/",
    ]
)
headers = st.dictionaries(
    st.sampled_from(["Authorization", "X-API-Key", "Host", "Cookie", "Origin", "Accept"]),
    st.sampled_from([f"Bearer {KEY}", f"bearer  {KEY}", KEY, "Bearer wrong", "wrong", "127.0.0.1:8000", "elsewhere.example", "caudal=x", "*/*"]),
    max_size=3,
)  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn, example: dict[str, Any]) -> bytes:
    """Return a body: a row that is valid or nearly so, any JSON, or any bytes."""
    kind = draw(st.sampled_from(["row", "row", "row", "json", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=40))
    if kind == "json":
        return json.dumps(draw(st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5))).encode()
    row = {**example, **draw(changes)}
    return json.dumps({name: value for name, value in row.items() if name not in draw(left_out)}).encode()


@pytest.fixture
def lanes(served: Any) -> Any:
    """An app's lane without and with a key."""

    def lane(key: str | None) -> FastLane:
        app = served.app(key=key)
        assert isinstance(app.wsgi_app, FastLane)
        return app.wsgi_app

    return {key: lane(key) for key in (None, KEY)}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_both_lanes_give_the_same_answers(lanes: dict[str | None, FastLane], example: dict[str, Any], data: st.DataObject) -> None:
    lane = lanes[data.draw(st.sampled_from([None, KEY]))]
    request: dict[str, Any] = {
        "path": data.draw(paths), "data": data.draw(bodies(example)), "content_type": data.draw(content_types),
        "headers": {"Host": "localhost", **data.draw(headers)}, "environ_base": {"REMOTE_ADDR": f"10.0.0.{data.draw(st.integers(1, 250))}"},
    }  # fmt: skip
    lane._access.wrong_keys._tries.clear()  # each lane is asked as if for the first time
    fast = Client(lane).post(**request)
    lane._access.wrong_keys._tries.clear()
    slow = Client(lane.app).post(**request)
    assert (fast.status_code, fast.get_data()) == (slow.status_code, slow.get_data())
    assert sorted(fast.headers) == sorted(slow.headers)
    lane._access.wrong_keys._tries.clear()
    sent = {**request["headers"], "Content-Type": request["content_type"]}
    in_connection = lane.connection_answer(
        request["path"].encode(),
        [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        request["data"],
        "10.0.0.1",
    )
    if in_connection is not None:
        head, _, content = in_connection.partition(b"\r\n\r\n")
        assert (200, content) == (slow.status_code, slow.get_data())
        assert sorted(line.partition(b": ")[0].decode() for line in head.split(b"\r\n")) == sorted(
            name.lower() for name in dict(slow.headers)
        )


def test_inputs_may_stand_in_any_order(served: Any, example: dict[str, Any]) -> None:
    row = served.app().extensions["caudal"].get("taxi", "duration").row(dict(reversed(example.items())))
    assert row.values == {**row.values, **example}
    assert list(row.values) == list(served.app().extensions["caudal"].get("taxi", "duration").signature.by_name)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_plain_request_never_reaches_the_app(lanes: dict[str | None, FastLane], example: dict[str, Any], key: str | None) -> None:
    lane = lanes[key]

    def app(environ: Any, start_response: Any) -> Any:
        raise AssertionError("the app was asked")

    lane.app = app
    answer = Client(lane).post(PREDICT, json=example, headers={"X-API-Key": key} if key else {})
    assert answer.status_code == 200
    with pytest.raises(AssertionError, match="the app was asked"):
        Client(lane).post(PREDICT, json={**example, "hour": 24}, headers={"X-API-Key": key} if key else {})


def test_a_request_is_counted_once_by_either_lane(served: Any, example: dict[str, Any]) -> None:
    app = served.app()
    client = app.test_client()
    for row, status in ((example, 200), ({**example, "hour": 99}, 422), (example, 200)):
        assert client.post(PREDICT, json=row).status_code == status
    text = client.get("/metrics").text
    assert f"{COUNTED} 2.0" in text
    assert f'caudal_requests_total{{route="{ROUTE}",status="422"}} 1.0' in text
    assert f'caudal_request_seconds_count{{route="{ROUTE}"}} 3.0' in text
    assert 'caudal_input_rows_total{model="duration",product="taxi"} 3.0' in text


def test_odd_inputs_are_tallied_in_the_fast_lane(served: Any, example: dict[str, Any]) -> None:
    client = served.app().test_client()
    assert client.post(PREDICT, json={**example, "mean_speed_past": 300.0}).json["warnings"]
    assert 'input="mean_speed_past",kind="range",model="duration",product="taxi"} 1.0' in client.get("/metrics").text


def test_wrong_keys_make_an_address_wait_in_both_lanes(lanes: dict[str | None, FastLane], example: dict[str, Any]) -> None:
    client = Client(lanes[KEY])
    for _ in range(6):
        assert client.post(PREDICT, json=example, headers={"X-API-Key": "wrong"}).status_code == 401
    waiting = client.post(PREDICT, json=example, headers={"X-API-Key": KEY})
    assert waiting.status_code == 429
    assert int(waiting.headers["Retry-After"]) >= 1


def test_a_long_body_is_the_apps(served: Any, example: dict[str, Any]) -> None:
    client = served.app().test_client()
    spaced = json.dumps(example).encode() + b" " * LONGEST_LANE_BODY
    assert client.post(PREDICT, data=spaced, content_type="application/json").status_code == 200


def test_a_promotion_reaches_the_fast_lane(served: Any, example: dict[str, Any]) -> None:
    client = served.app().test_client()
    assert client.post(PREDICT, json=example).json["version"] == 2
    served.promote("taxi", "duration", 1, replaced=2, decision="rolled back")
    assert client.post(PREDICT, json=example).json["version"] == 1
