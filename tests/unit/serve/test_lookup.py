"""Features that the server finds: what it answers, when, and by which lane."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.unit.serve.test_openapi import conforms
from werkzeug.test import Client

from caudal.declarations.online import micros_of, moment_of
from caudal.serve.pages import EXPLAIN
from caudal.serve.times import TimeOf
from caudal.tables.online import Described, ViewGroup
from caudal.tables.view_places.sqlite import open_view, view_file, written_view

PREDICT = "/api/v1/taxi/duration/predict"
BY_ZONE: ViewGroup = {"keys": ["zone"], "time": "pickup_at", "columns": ["mean_speed_past"], "valid_us": None, "exact": True}
ASKED = {"trip_distance_mi": 2.5, "passengers": 1, "borough": "Queens", "zone": "Zone 007", "pickup_at": "2023-01-28T18:30"}


def micros(text: str) -> int:
    return TimeOf(True, "America/New_York").micros(text)


def write_view(home: Path, rows: list[tuple[Any, ...]], group: ViewGroup = BY_ZONE, **other: Any) -> None:
    described: Described = {
        "format": 1, "times": {"pickup_at": True}, "key_types": {"zone": "string"}, "named": [], "fields": {}, "tz": "America/New_York", "groups": [group],
        "calendar": {"hour": ["pickup_at", "hour", None], "weekend": ["pickup_at", "is_weekend", None]}, "since_us": micros("2023-01-01T00:00"),
        "until_us": micros("2023-01-29T00:00"), "built_at": time.time() - 60, "versions": {}, "checked": 0, **other,
    }  # fmt: skip
    with written_view(view_file(home / "online" / "taxi", "duration")) as writer:
        writer.add_group(0, group, rows)
        writer.add_names("zone", [("Zone 007", "Astoria"), ("Zone 008", "Jamaica")])
        writer.finish(described)
        writer.publish()


@pytest.fixture
def looked_up(served: Any) -> Any:
    """A home whose model finds mean speeds by zone."""
    write_view(served.home, [("Zone 007", micros("2023-01-20T00:00"), 9.5), ("Zone 007", micros("2023-01-28T00:00"), 12.5), ("Zone 009", micros("2023-01-20T00:00"), None)])  # fmt: skip
    return served


def ask(app: Any, **changes: Any) -> Any:
    body = {name: value for name, value in {**ASKED, **changes}.items() if value is not ...}
    answer = app.test_client().post(PREDICT, json=body)
    return answer.json


def test_what_is_left_out_is_found_by_key_and_time(looked_up: Any, example: dict[str, Any]) -> None:
    app = looked_up.app()
    answer = ask(app)
    told = answer["looked_up"]
    assert told["values"] == {"hour": 18, "weekend": True, "mean_speed_past": 12.5}
    assert told["not_found"] == []
    assert told["data_until"] == "2023-01-29T00:00:00"
    assert 59 < told["age_s"] < 120
    plain = looked_up.fitted["taxi", "duration", 2].predict_rows(
        [{**example, "hour": 18, "weekend": True, "mean_speed_past": 12.5, "passengers": 1}]
    )
    assert answer["prediction"] == plain.values[0]
    assert ask(app, pickup_at="2023-01-27T23:59:59.999999")["looked_up"]["values"]["mean_speed_past"] == 9.5
    assert ask(app, pickup_at="2023-01-28T05:00Z")["looked_up"]["values"]["mean_speed_past"] == 12.5


def test_what_the_caller_gives_wins_and_needs_no_time(looked_up: Any, example: dict[str, Any]) -> None:
    app = looked_up.app()
    assert ask(app, mean_speed_past=3.5)["looked_up"]["values"] == {"hour": 18, "weekend": True}
    assert ask(app, mean_speed_past=None)["looked_up"] | {"age_s": 0, "built_at": 0} == {
        "values": {"hour": 18, "weekend": True}, "not_found": [], "age_s": 0, "built_at": 0, "data_until": "2023-01-29T00:00:00",
    }  # fmt: skip
    whole = app.test_client().post(PREDICT, json=example).json
    assert whole["looked_up"]["values"] == {}
    assert whole["prediction"] > 0


def test_what_is_not_found_is_said(looked_up: Any) -> None:
    app = looked_up.app()
    for changes in ({"zone": "Zone 008"}, {"zone": "Zone 009"}, {"pickup_at": "2023-01-19T00:00"}):
        told = ask(app, **changes)["looked_up"]
        assert told["not_found"] == ["mean_speed_past"], changes
        assert set(told["values"]) == {"hour", "weekend"}, changes
    assert ask(app, pickup_at=None)["looked_up"]["not_found"] == ["hour", "weekend", "mean_speed_past"]


def test_a_missing_or_wrong_time_is_named(looked_up: Any) -> None:
    app = looked_up.app()
    (fault,) = ask(app, pickup_at=...)["errors"]
    assert fault["field"] == "pickup_at"
    assert fault["problem"] == "The value is missing: hour, weekend, mean_speed_past cannot be found without it."
    for text, sentence in (
        ("2023-02-29T10:00", "There is no such date."),
        ("yesterday", "The value is not a date and a time from 1970 to 2199."),
        (5, "The value is not text."),
    ):
        (fault,) = ask(app, pickup_at=text)["errors"]
        assert fault["problem"] == sentence
        assert fault["got"] == text


def test_values_hold_as_long_as_the_view_says(looked_up: Any) -> None:
    at = micros("2023-01-28T18:30")
    write_view(looked_up.home, [("Zone 007", at, 7.5)], {**BY_ZONE, "valid_us": 0})
    app = looked_up.app()
    assert ask(app)["looked_up"]["values"]["mean_speed_past"] == 7.5
    assert ask(app, pickup_at="2023-01-28T18:30:00.000001")["looked_up"]["not_found"] == ["mean_speed_past"]


def test_a_running_server_takes_a_new_view_as_a_whole(looked_up: Any) -> None:
    app = looked_up.app()
    assert ask(app)["looked_up"]["values"]["mean_speed_past"] == 12.5
    old = open_view(view_file(looked_up.home / "online" / "taxi", "duration"))
    write_view(looked_up.home, [("Zone 007", 0, 20.5)], built_at=time.time())
    assert ask(app)["looked_up"]["values"]["mean_speed_past"] == 20.5
    seen: list[object] = []
    other = threading.Thread(target=lambda: seen.append(old.values(0, ["Zone 007"], micros("2023-01-28T18:30"))))
    other.start()
    other.join()
    assert seen == [(12.5,)], "who still reads the old one, in whatever thread, sees the whole of it"
    (state,) = [state for state in app.test_client().get("/ready").json["models"] if state["model"] == "duration"]
    assert state["view"]["age_s"] < 30
    assert state["view"]["data_until"] == "2023-01-29T00:00:00"


def test_a_damaged_view_changes_nothing(looked_up: Any) -> None:
    app = looked_up.app()
    file = view_file(looked_up.home / "online" / "taxi", "duration")
    ask(app)
    damaged = file.with_suffix(".new")
    damaged.write_bytes(b"no database")
    damaged.replace(file)
    assert ask(app)["looked_up"]["values"]["mean_speed_past"] == 12.5
    file.unlink()
    assert {fault["field"] for fault in ask(app)["errors"]} == {"pickup_at", "hour", "weekend"}, "without a view callers give all"


def test_rows_of_a_batch_are_found_each(looked_up: Any) -> None:
    rows = [ASKED, {**ASKED, "zone": "Zone 008"}, {name: value for name, value in ASKED.items() if name != "pickup_at"}]
    answer = looked_up.app().test_client().post(f"{PREDICT}/batch", json=rows)
    first, second, third = answer.json["predictions"]
    assert first["looked_up"]["not_found"] == []
    assert second["looked_up"]["not_found"] == ["mean_speed_past"]
    assert third is None
    assert [error["row"] for error in answer.json["errors"]] == [2]


def test_inputs_are_watched_as_the_model_takes_them(looked_up: Any) -> None:
    app = looked_up.app()
    ask(app)
    odd = app.extensions["minute log"].inputs["taxi", "duration"]
    assert odd.rows == 1
    assert not odd.odd, "what was found is not missing"


changes = st.dictionaries(
    st.sampled_from(["pickup_at", "zone", "hour", "mean_speed_past", "more"]),
    st.none() | st.just("2023-01-28T18:30") | st.sampled_from(["Zone 008", "Zone 009", "2023-02-30T10:00", 5, 7.5, True, ""]),
    max_size=3,
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed=changes, left_out=st.sets(st.sampled_from(["pickup_at", "zone", "passengers"]), max_size=1))
def test_both_lanes_find_the_same(looked_up: Any, changed: dict[str, Any], left_out: set[str]) -> None:
    lane = looked_up.app().wsgi_app
    body = json.dumps({name: value for name, value in {**ASKED, **changed}.items() if name not in left_out})
    request: dict[str, Any] = {"path": PREDICT, "data": body, "content_type": "application/json", "headers": {"Host": "localhost"}}
    fast, slow = Client(lane).post(**request), Client(lane.app).post(**request)
    documents = [fast.json, slow.json]
    for document in documents:
        document.get("looked_up", {}).pop("age_s", None)
    assert fast.status_code == slow.status_code
    assert documents[0] == documents[1]


def test_the_document_says_what_is_asked_for(looked_up: Any) -> None:
    document = looked_up.app().test_client().get("/openapi.json").json
    row = document["components"]["schemas"]["taxi-duration-Inputs"]
    assert row["required"] == ["trip_distance_mi", "borough", "zone"]
    assert row["properties"]["pickup_at"]["anyOf"][0]["type"] == "string"
    assert row["anyOf"] == [{"required": ["pickup_at"]}, {"required": ["hour", "weekend", "mean_speed_past"]}]
    assert "looked_up" in document["components"]["schemas"]["taxi-duration-Prediction"]["properties"]


def test_the_example_of_a_key_that_is_no_input_is_one_that_is_found(served: Any) -> None:
    group: ViewGroup = {**BY_ZONE, "keys": ["station"]}
    rows = [
        ("8", micros("2023-01-28T00:00"), 12.5),
        ("17", micros("2023-01-29T00:00"), 9.5),
        ("9", micros("2023-01-20T00:00"), 7.0),
    ]
    write_view(served.home, rows, group, key_types={"station": "long"})
    app = served.app()
    (example,) = app.test_client().get("/openapi.json").json["components"]["schemas"]["taxi-duration-Inputs"]["examples"]
    assert example["station"] == 17
    answer = app.test_client().post(PREDICT, json=example).json
    assert answer["looked_up"]["values"]["mean_speed_past"] == 9.5
    assert answer["looked_up"]["not_found"] == []


@pytest.mark.slow
def test_every_operation_keeps_its_promises_with_lookups(looked_up: Any) -> None:
    assert conforms(looked_up.app(refresh_s=5.0), 15) > 100


def test_the_form_asks_for_names_a_date_and_a_time(looked_up: Any) -> None:
    client = looked_up.app().test_client()
    page = client.get("/taxi/duration/").text
    assert 'value="Astoria"' in page
    assert 'value="2023-01-29"' in page
    assert 'name="pickup_at:time"' in page
    sent = {
        **{name: str(value) for name, value in ASKED.items() if name != "pickup_at"},
        "zone": "Astoria",
        "pickup_at:date": "2023-01-28",
        "pickup_at:time": "18:30",
    }
    answered = client.post("/taxi/duration/", data={**sent, "mean_speed_past": "", "weekend": ""})
    assert answered.status_code == 200
    assert "Recent mean speed" in answered.text
    assert "12.5" in answered.text
    explained = client.post("/taxi/duration/", data={**sent, EXPLAIN: "yes"}).text.partition("What made it so")[2]
    assert "12.5 mi/h" in explained
    assert ">yes <" in explained  # and not True
    assert "looked up" in explained
    assert "Did you mean <strong>Jamaica</strong>" in client.post("/taxi/duration/", data={**sent, "zone": "Jamaika"}).text


@pytest.mark.parametrize(
    ("local", "text", "instant"),
    [
        (False, "2023-11-05T01:30", "2023-11-05T05:30:00"),  # shown twice: the earlier
        (False, "2023-11-05T01:30-05:00", "2023-11-05T06:30:00"),
        (False, "2023-07-01T12:00", "2023-07-01T16:00:00"),
        (True, "2023-07-01T16:00Z", "2023-07-01T12:00:00"),
        (True, "2023-03-12T02:30", "2023-03-12T02:30:00"),
    ],
)
def test_times_are_those_of_the_product(local: bool, text: str, instant: str) -> None:
    assert moment_of(TimeOf(local, "America/New_York").micros(text)).isoformat() == instant


def test_a_time_that_clocks_skip_is_refused() -> None:
    with pytest.raises(ValueError, match="The clocks skip this time"):
        TimeOf(False, "America/New_York").micros("2023-03-12T02:30")


def test_a_view_begins_with_what_held_then(tmp_path: Path) -> None:
    file = view_file(tmp_path, "duration")
    with written_view(file) as writer:
        writer.add_group(
            0, BY_ZONE, [("a", 10, 1.0), ("a", 20, 2.0), ("a", 40, 4.0), ("b", 5, 5.0), (None, 5, 6.0), ("c", 50, 7.0)]
        )
        writer.begin_at(0, BY_ZONE, 30)
        assert writer.count(0) == 4
        described: Any = {"format": 1, "groups": [BY_ZONE], "calendar": {}}
        view = writer.finish(described)
    assert not list(tmp_path.iterdir()), "nothing is left of a draft that was not published"
    assert micros_of(moment_of(30)) == 30
    assert view.described["groups"] == [BY_ZONE]


def test_looking_up_needs_no_engine_and_no_frames() -> None:
    code = "import sys, caudal.serve.fast_lane, caudal.serve.lookup; print({'pandas', 'pyspark', 'sklearn', 'pyarrow', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
