"""Features that the server finds in PostgreSQL and in Redis: as in the file, at each swap of one view, and what is answered while the place is away."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from typing import Any

import pytest
from tests.redis_server import PASSWORD
from tests.unit.serve.test_lookup import ASKED, BY_ZONE, PREDICT, ask, micros
from tests.unit.tables.test_view_places import REMOTE, own_server

from caudal.tables import remote_views
from caudal.tables.home import Home
from caudal.tables.online import Described, NotKept
from caudal.tables.views import drafted_view, view_place

ROWS = [("Zone 007", micros("2023-01-20T00:00"), 9.5), ("Zone 007", micros("2023-01-28T00:00"), 12.5), ("Zone 009", micros("2023-01-20T00:00"), None)]  # fmt: skip


def write(home: Any, url: str | None, rows: list[tuple[Any, ...]] = ROWS) -> None:
    described: Described = {
        "format": 1, "times": {"pickup_at": True}, "key_types": {"zone": "string"}, "named": [], "fields": {}, "tz": "America/New_York", "groups": [BY_ZONE],
        "calendar": {"hour": ["pickup_at", "hour", None], "weekend": ["pickup_at", "is_weekend", None]}, "since_us": micros("2023-01-01T00:00"),
        "until_us": micros("2023-01-29T00:00"), "built_at": time.time() - 60, "versions": {}, "checked": 0,
    }  # fmt: skip
    with closing(view_place(Home(home, views_url=url))) as place, drafted_view(place, ("taxi", "duration")) as draft:
        draft.add_group(0, BY_ZONE, rows)
        draft.add_names("zone", [("Zone 007", "Astoria"), ("Zone 008", "Jamaica")])
        draft.finish(described)
        draft.publish()


def untimed(answer: Any) -> Any:
    return {**answer, "looked_up": {**answer["looked_up"], "age_s": 0, "built_at": 0}}


@pytest.mark.parametrize("kind", REMOTE)
def test_answers_are_those_of_the_file(kind: str, served: Any, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(kind)
    write(served.home, None)
    write(served.home, url)
    by_file, remote = served.app(), served.app(online=url)
    for zone in ("Zone 007", "Zone 008", "Zone 009"):
        for at in ("2023-01-19T00:00", "2023-01-27T23:59", "2023-01-28T18:30", None):
            assert untimed(ask(remote, zone=zone, pickup_at=at)) == untimed(ask(by_file, zone=zone, pickup_at=at))
    told = ask(remote)["looked_up"]
    assert told["values"]["mean_speed_past"] == 12.5
    assert 59 < told["age_s"] < 120
    state = next(state for state in remote.test_client().get("/ready").json["models"] if state["model"] == "duration")
    assert 59 < state["view"]["age_s"] < 120
    assert state["view_reason"] is None
    batch = remote.test_client().post(f"{PREDICT}/batch", json=[ASKED] * 3)
    assert [row["looked_up"]["values"]["mean_speed_past"] for row in batch.json["predictions"]] == [12.5] * 3


@pytest.mark.parametrize("kind", REMOTE)
def test_a_new_view_is_found_by_each_request_whole(kind: str, served: Any, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(kind)
    write(served.home, url, [(f"Zone {zone:03d}", micros("2023-01-28T00:00"), 1.0) for zone in range(1, 30)])
    app = served.app(online=url)
    assert ask(app)["looked_up"]["values"]["mean_speed_past"] == 1.0
    end = time.monotonic() + 60
    while ask(app)["looked_up"]["values"]["mean_speed_past"] != 1.0:
        assert time.monotonic() < end
    ended, faults, speeds = threading.Event(), [], set()

    def request_batches() -> None:
        client = app.test_client()
        rows = [{**ASKED, "zone": f"Zone {zone:03d}"} for zone in range(1, 30)]
        while not ended.is_set():
            answer = client.post(f"{PREDICT}/batch", json=rows)
            found = {row["looked_up"]["values"].get("mean_speed_past") for row in answer.json.get("predictions", [])}
            speeds.update(found)
            if answer.status_code != 200 or len(found) != 1:
                faults.append((answer.status_code, found))

    threads = [threading.Thread(target=request_batches) for _ in range(2)]
    for thread in threads:
        thread.start()
    for speed in range(2, 12):
        write(served.home, url, [(f"Zone {zone:03d}", micros("2023-01-28T00:00"), float(speed)) for zone in range(1, 30)])
    ended.set()
    for thread in threads:
        thread.join(120)
    assert faults == []
    assert len(speeds) > 1
    assert ask(app)["looked_up"]["values"]["mean_speed_past"] == 11.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", REMOTE)
def test_a_place_that_is_away_is_told_of_and_asked_again(
    kind: str, served: Any, monkeypatch: pytest.MonkeyPatch, example: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote_views, "RETRY_S", 0.2)
    with own_server(kind) as (server, url):
        write(served.home, url)
        app = served.app(online=url)
        assert ask(app)["looked_up"]["values"]["mean_speed_past"] == 12.5
        server.stop()
        client = app.test_client()
        assert ask(app)["looked_up"]["values"]["mean_speed_past"] == 12.5, "what was asked for before is in memory"
        refused = client.post(PREDICT, json={**ASKED, "zone": "Zone 009"})
        assert refused.status_code == 422
        assert [(error["field"], error["problem"]) for error in refused.json["errors"]] == [
            ("mean_speed_past", "The value is missing, and cannot be looked up now: the online view does not answer. Give it, or ask again.")
        ]  # fmt: skip
        assert client.post(PREDICT, json={**ASKED, "zone": "Zone 009", "mean_speed_past": 3.5}).status_code == 200
        assert client.post(PREDICT, json=example).status_code == 200
        ready = client.get("/ready")
        assert ready.status_code == 200
        assert ready.json["ready"]
        assert "do not answer" in ready.json["reason"]
        assert all(ready.json["reason"] == state["view_reason"] for state in ready.json["models"])
        assert PASSWORD not in json.dumps(ready.json) + caplog.text

        late = served.app(online=url)
        assert late.test_client().post(PREDICT, json=example).status_code == 200, "callers give all inputs"
        assert late.test_client().post(PREDICT, json=ASKED).status_code == 422
        server.start()
        time.sleep(0.3)
        if kind == "redis_url":
            write(served.home, url)
        for each in (app, late):
            assert ask(each, zone="Zone 009")["looked_up"]["not_found"] == ["mean_speed_past"]
            assert ask(each)["looked_up"]["values"]["mean_speed_past"] == 12.5
            assert each.test_client().get("/ready").json["reason"] is None


@pytest.mark.parametrize("kind", REMOTE)
def test_who_may_not_wait_is_answered_from_memory_alone(kind: str, served: Any, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(kind)
    write(served.home, url)
    app = served.app(online=url)
    champion = app.extensions["caudal"].get("taxi", "duration")
    with pytest.raises(NotKept):
        champion.row(dict(ASKED), may_wait=False)
    assert champion.row(dict(ASKED)).good
    assert champion.row(dict(ASKED), may_wait=False).values["mean_speed_past"] == 12.5
