"""The route of events: each update once, from where the browser was."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.sign_in import sign_in

from caudal.console import create_console
from caudal.messaging.feed import Feed
from caudal.web.server import serve_in_thread

EVENTS = "/api/v1/live/eeg/events"


def said(app: Any, query: str = "", until: int = 1, **headers: str) -> list[dict[str, str]]:
    """Return the first events of an answer."""
    answer = app.test_client().get(EVENTS + query, headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    found: list[dict[str, str]] = []
    for piece in answer.response:
        for block in piece.decode().strip().split("\n\n"):
            event = dict(line.split(": ", 1) for line in block.split("\n"))
            if "data" in event:
                found.append(event)
        if len(found) >= until:
            break
    answer.close()
    return found


def numbers(events: list[dict[str, str]]) -> list[int]:
    return [int(event["id"]) for event in events if "id" in event]


def test_a_new_browser_gets_the_history_it_asks_for_and_what_comes(fed: Path) -> None:
    app = create_console(fed)
    assert numbers(said(app, "?history=1.05", until=11)) == list(range(20, 31))
    assert numbers(said(app, "?history=3600", until=30)) == list(range(1, 31))
    threading.Timer(0.3, lambda: Feed(fed / "live" / "eeg").append({"at": 1.5, "batch": 30})).start()
    idle, event = said(app, until=2)
    assert idle["event"] == "idle"  # so that the page knows the server's clock at once
    assert (event["id"], json.loads(event["data"])) == ("31", {"at": 1.5, "batch": 30})


def test_a_browser_that_comes_back_gets_what_it_has_not(fed: Path) -> None:
    app = create_console(fed)
    assert numbers(said(app, "?after=27&history=60", until=3)) == [28, 29, 30]
    assert numbers(said(app, "?history=60", until=2, **{"Last-Event-ID": "28"})) == [29, 30]
    assert numbers(said(app, "?after=3", until=1, **{"Last-Event-ID": "29"})) == [30]  # the header is the newer word


def test_numbers_of_another_feed_begin_again(fed: Path) -> None:
    events = said(create_console(fed), "?after=500&history=0.15", until=3)
    assert events[0] == {"event": "again", "data": "{}"}
    assert numbers(events) == [29, 30]


def test_a_feed_that_begins_again_under_an_open_page_is_told(fed: Path) -> None:
    def anew() -> None:
        shutil.rmtree(fed / "live" / "eeg")
        Feed(fed / "live" / "eeg").append({"at": 5.0, "batch": 0})

    threading.Timer(0.3, anew).start()
    events = said(create_console(fed), "?after=30", until=4)
    assert [event.get("event", event.get("id")) for event in events] == ["idle", "again", "idle", "1"]


def test_silence_is_told_each_second_with_the_servers_clock(fed: Path) -> None:
    begun = time.time()
    first, second = said(create_console(fed), "?after=30", until=2)
    assert first["event"] == second["event"] == "idle"
    told = json.loads(second["data"])
    assert told["number"] == 30
    assert begun + 0.9 < told["now"] < time.time() + 0.1


@pytest.mark.parametrize("query", ["?after=abc", "?after=-4", "?history=abc", "?history=nan"])
def test_what_cannot_be_read_of_the_address_is_as_if_it_were_not_there(fed: Path, query: str) -> None:
    assert said(create_console(fed), query)[0].get("event") == "idle"


@pytest.mark.parametrize("name", ["ee", "..", "%2e%2e", "eeg%2f..%2feeg"])
def test_a_product_that_is_not_there_is_told(fed: Path, name: str) -> None:
    answer = create_console(fed).test_client().get(f"/api/v1/live/{name}/events")
    assert answer.status_code in (200, 404)
    assert answer.mimetype != "text/event-stream"
    if name == "ee":
        assert answer.status_code == 404
        assert answer.json["nearest"] == "eeg"


def test_more_pages_than_seats_are_refused_and_a_seat_is_given_back(fed: Path) -> None:
    app = create_console(fed, viewers=2)
    client = app.test_client()
    held = [client.get(EVENTS, buffered=False) for _ in range(2)]
    for _ in range(3):
        refused = client.get(EVENTS)
        assert refused.status_code == 503
        assert "2 pages" in refused.json["what"]
    held[0].close()
    assert numbers(said(app, "?after=29")) == [30]
    for _ in range(5):
        assert client.head(EVENTS).status_code == 200
    held[0] = client.get(EVENTS)
    assert held[0].status_code == 200
    for one in held:
        one.close()


def test_the_key_is_asked_for(fed: Path) -> None:
    client = create_console(fed, key="the-key-of-it").test_client()
    assert client.get(EVENTS).status_code == 401
    assert client.get("/_dash-layout").status_code == 401
    assert client.get("/assets/live.js").status_code == 401
    assert client.get("/live/eeg", headers={"Accept": "text/html"}).location == "/login?next=/live/eeg"
    assert sign_in(client, "the-key-of-it", "/live/eeg").location == "/live/eeg"
    answer = client.get(EVENTS)
    assert answer.status_code == 200
    answer.close()


def test_a_stopping_server_ends_what_pages_follow(fed: Path) -> None:
    import urllib.request

    app = create_console(fed)
    with serve_in_thread(app, threads=4) as url:
        answer = urllib.request.urlopen(f"{url}{EVENTS}?after=29", timeout=10)
        assert answer.readline() == b"retry: 500\n"
        begun = time.monotonic()
    assert time.monotonic() - begun < 30  # it does not wait for pages to go
    answer.close()
