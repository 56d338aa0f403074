"""Promotion takes effect without a restart, and a version that does not load harms nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import Any

import pytest
from sqlalchemy import text

PREDICT = "/api/v1/taxi/duration/predict"


def test_before_any_promotion_it_says_what_to_do(place: Any, example: dict[str, Any]) -> None:
    client = place.app().test_client()
    answer = client.post(PREDICT, json=example)
    assert answer.status_code == 503
    assert "caudal model promote duration VERSION --product taxi" in answer.json["fix"]
    assert client.get("/ready").status_code == 503
    assert "taxi/duration" in client.get("/ready").json["reason"]
    assert client.get("/health").status_code == 200
    assert "No version is in production yet" in client.get("/").text


def test_promotion_and_rollback_take_effect_at_the_next_request(place: Any, example: dict[str, Any]) -> None:
    client = place.app().test_client()
    seen = []
    for version, decision in ((1, "promoted"), (2, "promoted"), (1, "rolled back")):
        place.promote("taxi", "duration", version, decision=decision)
        seen.append(client.post(PREDICT, json=example).json)
    assert [one["version"] for one in seen] == [1, 2, 1]
    assert seen[0]["prediction"] == seen[2]["prediction"] != seen[1]["prediction"]


def test_a_refusal_changes_nothing(served: Any, example: dict[str, Any]) -> None:
    client = served.app().test_client()
    client.get("/ready")
    loads = served.loads
    served.promote("taxi", "duration", 1, decision="refused")
    assert client.post(PREDICT, json=example).json["version"] == 2
    assert served.loads == loads


def test_the_document_follows_a_promotion(place: Any) -> None:
    client = place.app().test_client()
    assert PREDICT not in client.get("/openapi.json").json["paths"]
    place.promote("taxi", "duration", 1)
    assert PREDICT in client.get("/openapi.json").json["paths"]


def test_the_old_version_goes_on_when_the_new_one_does_not_load(served: Any, example: dict[str, Any]) -> None:
    client = served.app().test_client()
    served.broken.add(("taxi", "duration", 1))
    assert client.post(PREDICT, json=example).json["version"] == 2
    served.promote("taxi", "duration", 1)
    assert client.post(PREDICT, json=example).json["version"] == 2
    ready = client.get("/ready")
    assert ready.status_code == 200
    assert "the stored model is cut off" in ready.json["reason"]
    assert "cut off" in client.get("/").text


def test_a_first_version_that_does_not_load_is_told(place: Any, example: dict[str, Any]) -> None:
    place.broken.add(("taxi", "duration", 1))
    place.promote("taxi", "duration", 1)
    client = place.app().test_client()
    answer = client.post(PREDICT, json=example)
    assert answer.status_code == 503
    assert "the stored model is cut off" in answer.json["what"]
    assert client.get("/ready").status_code == 503


def test_a_version_that_did_not_load_is_tried_again_later_only(place: Any) -> None:
    place.broken.add(("taxi", "duration", 1))
    place.promote("taxi", "duration", 1)
    app = place.app()
    champions = app.extensions["caudal"]
    for _ in range(5):
        champions.refresh()
    assert place.loads == 1
    place.broken.clear()
    champions.retry_s = 0.0
    champions.refresh()
    assert champions.get("taxi", "duration").version == 1
    assert not champions.faults


def test_the_ledger_is_asked_seldom(served: Any, example: dict[str, Any]) -> None:
    client = served.app(refresh_s=60.0).test_client()
    assert client.post(PREDICT, json=example).json["version"] == 2
    served.promote("taxi", "duration", 1)
    assert client.post(PREDICT, json=example).json["version"] == 2


def test_a_ledger_that_breaks_stops_no_prediction(served: Any, example: dict[str, Any]) -> None:
    client = served.app().test_client()
    assert client.post(PREDICT, json=example).status_code == 200
    with served.ledger.engine.begin() as connection:
        connection.execute(text("drop table decisions"))
    assert client.post(PREDICT, json=example).status_code == 200
    assert "ledger" in client.get("/ready").json["reason"]
    assert client.get("/api/v1/taxi/duration/card").status_code == 503
    assert client.get("/taxi/duration/card").status_code == 503


@pytest.mark.parametrize("only", [{"product": "taxi", "model": "payment"}, {"model": "payment"}])
def test_only_what_was_asked_for_is_served(served: Any, only: dict[str, str], example: dict[str, Any]) -> None:
    client = served.app(**only).test_client()
    assert [one["model"] for one in client.get("/api/v1/models").json["models"]] == ["payment"]
    assert client.post(PREDICT, json=example).status_code == 404


def test_requests_go_on_while_a_version_loads(served: Any, example: dict[str, Any]) -> None:
    app = served.app()
    assert app.test_client().post(PREDICT, json=example).json["version"] == 2
    loading, go_on, load = threading.Event(), threading.Event(), served.load
    champions = app.extensions["caudal"]

    def slowly(*name: Any) -> Any:
        loading.set()
        assert go_on.wait(10)
        return load(*name)

    champions.load = slowly
    served.promote("taxi", "duration", 1)
    thread = threading.Thread(target=champions.refresh)
    thread.start()
    try:
        assert loading.wait(10)
        started = time.perf_counter()
        assert app.test_client().post(PREDICT, json=example).json["version"] == 2
        assert time.perf_counter() - started < 5
    finally:
        go_on.set()
        thread.join(10)
    assert app.test_client().post(PREDICT, json=example).json["version"] == 1


def test_each_answer_is_of_one_version_while_versions_change(served: Any, example: dict[str, Any]) -> None:
    """Predictions carry the version that made them, under promotions in between."""
    app = served.app()
    expected: dict[int, float] = {}
    for version in (1, 2):
        served.promote("taxi", "duration", version)
        expected[version] = app.test_client().post(PREDICT, json=example).json["prediction"]
    seen: list[tuple[int, float]] = []
    over = threading.Event()

    def ask() -> None:
        client = app.test_client()
        while not over.is_set():
            answer = client.post(PREDICT, json=example).json
            seen.append((answer["version"], answer["prediction"]))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(6):
        asked = len(seen)
        served.promote("taxi", "duration", 1 + turn % 2)
        until = time.monotonic() + 60
        while not any(version == 1 + turn % 2 for version, _ in seen[asked:]) and time.monotonic() < until:
            time.sleep(0.01)
    over.set()
    for thread in threads:
        thread.join()
    assert {version for version, _ in seen} == {1, 2}
    assert all(prediction == expected[version] for version, prediction in seen)


def backup(place: Any) -> bytes:
    with sqlite3.connect(place.home / "ledger.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (place.home / "ledger.db").read_bytes()


def put_back(place: Any, content: bytes) -> None:
    place.ledger.close()
    for beside in place.home.glob("ledger.db-*"):
        beside.unlink()
    (place.home / "ledger.db").rename(place.home / "gone.db")
    (place.home / "ledger.db").write_bytes(content)


def test_a_home_put_back_from_a_backup_is_followed(place: Any, example: dict[str, Any]) -> None:
    before = backup(place)
    place.promote("taxi", "duration", 1)
    between = backup(place)
    client = place.app().test_client()
    place.promote("taxi", "duration", 2)
    assert client.post(PREDICT, json=example).json["version"] == 2
    put_back(place, between)
    assert client.post(PREDICT, json=example).json["version"] == 1
    place.promote("taxi", "duration", 2)  # the same number as the decision that is gone
    assert client.post(PREDICT, json=example).json["version"] == 2
    put_back(place, before)
    assert client.post(PREDICT, json=example).status_code == 503
    assert "No version is in production yet" in client.get("/ready").json["reason"]


def test_a_decision_that_has_the_number_of_one_that_is_gone_is_another(place: Any, example: dict[str, Any]) -> None:
    before = backup(place)
    place.promote("taxi", "duration", 1)
    client = place.app().test_client()
    assert client.post(PREDICT, json=example).json["version"] == 1
    put_back(place, before)
    place.promote("taxi", "duration", 2)  # nobody has asked since the home was put back
    assert client.post(PREDICT, json=example).json["version"] == 2


def test_a_home_that_is_gone_is_not_ready_and_is_not_made_anew(place: Any, example: dict[str, Any]) -> None:
    content = backup(place)
    place.promote("taxi", "duration", 1)
    client = place.app().test_client()
    assert client.get("/ready").status_code == 200
    place.ledger.close()
    put_back(place, content)
    (place.home / "ledger.db").unlink()
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "is gone" in answer.json["reason"]
    assert client.post(PREDICT, json=example).json["version"] == 1  # what is held goes on being served
    assert not (place.home / "ledger.db").exists()
