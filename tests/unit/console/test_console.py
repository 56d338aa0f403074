"""The pages as the server gives them, and the command."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caudal.console import create_console, platforms, serve_console
from caudal.console.feeds import feed_of, last_of, streamed_products
from caudal.console.pages import streams
from caudal.errors import DeclarationProblem
from caudal.ledger.measurements import Measurement, add_measurements
from caudal.ledger.monitored import COLUMNS, KIND, KeptFigure, measurement_of
from caudal.ledger.records import alerts, declarations, runs
from caudal.messaging.feed import Feed
from caudal.tables.home import Home


def page(app: Any, path: str) -> str:
    """Return what Dash draws for a path, as JSON."""
    sent = {
        "output": "page.children",
        "outputs": {"id": "page", "property": "children"},
        "inputs": [{"id": "address", "property": "pathname", "value": path}],
        "changedPropIds": ["address.pathname"],
    }
    answer = app.test_client().post("/_dash-update-component", json=sent)
    assert answer.status_code == 200
    return json.dumps(answer.json, separators=(",", ":"), ensure_ascii=False)


def test_the_frame_is_that_of_the_web_app(fed: Path) -> None:
    answer = create_console(fed).test_client().get("/live/eeg")
    assert answer.status_code == 200
    for part in ('<html lang="en">', 'class="skip"', "/static/caudal.css", "<noscript>", 'name="viewport"', ">Streams</a>"):
        assert part in answer.text
    assert "Sign out" not in answer.text


def test_nothing_is_loaded_from_elsewhere(fed: Path) -> None:
    client = create_console(fed).test_client()
    shown = client.get("/")
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', shown.text)
    for address in re.findall(r'(?:src|href)="(/[^"]+)"', shown.text):
        assert client.get(address).status_code == 200, address
    policy = shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'self' 'sha256-[^']+';", policy)
    assert "unsafe-eval" not in policy
    for file in (Path(platforms.__file__).parent / "assets").iterdir():
        assert not re.findall(r"https?://", file.read_text()), file


def test_the_live_page_has_its_controls_and_figures(fed: Path) -> None:
    shown = page(create_console(fed), "/live/eeg")
    for part in (
        "product",
        "stream",
        "span",
        "sensors",
        "pause",
        "canvas-signal",
        "figure-p95",
        "figure-late",
        "figure-unreadable",
    ):
        assert f'"id":"{part}"' in shown
    assert '"AF3"' in shown


@pytest.mark.parametrize(
    ("path", "says"), [("/live/ee", "Did you mean 'eeg'?"), ("/live/..", "no stream"), ("/nothing", "no page")]
)
def test_what_is_not_there_is_told(fed: Path, path: str, says: str) -> None:
    assert says in page(create_console(fed), path)


def test_the_list_says_which_streams_run_and_since_when_others_do_not(fed: Path) -> None:
    Feed(fed / "live" / "weather").append({"at": time.time(), "rate": 12.0, "total": 4_000, "sensors": ["wind"]})
    (fed / "live" / "new").mkdir()
    shown = page(create_console(fed), "/")
    assert "stopped since 2023-11-14 22:13:20 UTC" in shown
    assert "1 sensors, 12 readings/s, 4,000 readings in all" in shown
    assert "nothing yet" in shown


def test_a_home_without_streams_says_how_to_start_one(tmp_path: Path) -> None:
    assert streamed_products(tmp_path) == []
    assert "caudal stream FOLDER" in page(create_console(tmp_path), "/")
    assert streams.layout(tmp_path, "/other") is None


def test_the_newest_update_is_the_last_one(fed: Path) -> None:
    last = last_of(feed_of(fed, "eeg"))
    assert last
    assert last["batch"] == 29


def test_platforms_are_compared_by_speed(fed: Path) -> None:
    file = fed / "live" / "eeg" / "platforms.json"
    slow, fast = {"platform": "slow", "readings_per_s": 10.0}, {"platform": "fast", "readings_per_s": 2e6, "p95_s": 0.47}
    file.write_text(json.dumps([slow, fast]))
    assert [one["platform"] for one in platforms.read_platforms(fed, "eeg") or []] == ["fast", "slow"]
    shown = page(create_console(fed), "/live/eeg")
    assert "2,000,000" in shown
    assert "0.47 s" in shown


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '{"platform": "a"}', '[{"platform": "a"}]', "[]"])
def test_without_a_comparison_the_page_says_what_makes_one(fed: Path, text: str | None) -> None:
    if text is not None:
        (fed / "live" / "eeg" / "platforms.json").write_text(text)
    assert f"python -m benchmarks.stream --only peers --home {fed} --product eeg" in page(create_console(fed), "/live/eeg")


def test_a_forged_product_reads_no_other_file(fed: Path) -> None:
    (fed / "platforms.json").write_text('[{"platform": "secret", "readings_per_s": 1}]')
    assert platforms.read_platforms(fed, "..") is None
    assert platforms.read_platforms(fed, "eeg/../..") is None


def test_all_addresses_are_refused_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(DeclarationProblem, match="no key is set"):
        serve_console(tmp_path, host="0.0.0.0", port=0)


def test_a_taken_port_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "caudal", "console", "--home", str(tmp_path), "--port", str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr.strip().count("\n") == 0
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "--port" in ended.stderr


@pytest.mark.slow
def test_the_command_serves_with_a_key_and_ends_when_told(fed: Path, served: Callable[..., Any]) -> None:
    with served(fed, "--key", "the-key-of-it") as url:
        asked = urllib.request.Request(f"{url}/_dash-layout", headers={"X-API-Key": "the-key-of-it"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/_dash-layout", timeout=10)


def test_runs_tell_what_is_at_work_and_who_could_not_be_told(tmp_path: Path) -> None:
    assert "Nothing has run yet" in page(create_console(tmp_path), "/runs")
    assert not (tmp_path / "ledger.db").exists()  # looking makes none
    home, now = Home(tmp_path), time.time()
    ledger = home.ledger()
    ended = {"run_id": "r1", "product": "shop", "command": "run", "state": "failed", "started_at": now - 90, "finished_at": now - 60, "error": {"what": "The table is broken."}}  # fmt: skip
    at_hand = {"step": "table:good", "since": now - 30, "expected_s": 4.0, "slow": True}
    ledger.add(runs, ended)
    ledger.add(
        runs, {"run_id": "r2", "product": "shop", "command": "run", "state": "running", "started_at": now - 40, "at_hand": at_hand}
    )
    ledger.add(alerts, {
        "product": "shop", "happening": "failure", "subject": "table:good", "run_id": "r1", "at": now, "last_at": now, "repeats": 0, "kind": "mail",
        "target": "team@example.org", "place": {}, "document": {}, "state": "failed", "attempts": 2, "next_at": now + 60, "error": "Connection refused",
    })  # fmt: skip
    home.page("shop", "r1").parent.mkdir(parents=True)
    home.page("shop", "r1").write_text("<p>the page of r1</p>")
    app = create_console(tmp_path)
    shown = page(app, "/runs")
    for part in (
        "The table is broken.",
        "table:good for ",
        " is usual",
        '"slow"',
        "Connection refused",
        "team@example.org",
        "/runs/shop/r1",
    ):
        assert part in shown
    assert "/runs/shop/r2" not in shown  # it has no page yet
    assert "the page of r1" in app.test_client().get("/runs/shop/r1").text
    assert app.test_client().get("/runs/shop/r9").status_code == 404
    assert "SQLite" not in app.test_client().get("/runs/shop/..%2f..%2fledger.db").text
    ledger.close()


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b"null", b"7", b'{"output": "nothing.children", "inputs": []}', b'{"output": 1, "inputs": 2}', b"no json"],
)
def test_what_is_no_request_of_a_page_is_refused(fed: Path, body: bytes) -> None:
    client = create_console(fed).test_client()
    answer = client.post("/_dash-update-component", data=body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["x/y.js", "dash/nothing.js", "%2e%2e/x.js"])
def test_a_script_that_is_not_there_is_not_found(fed: Path, path: str) -> None:
    assert create_console(fed).test_client().get(f"/_dash-component-suites/{path}").status_code == 404


def test_monitors_and_service_levels_have_pages(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.ledger().close()
    app = create_console(home.path)
    assert "Nothing is monitored yet" in page(app, "/monitors")
    assert "No service level is declared" in page(app, "/service-levels")
    with contextlib.closing(home.ledger()) as ledger:
        figure = KeptFigure("psi", "hour", {}, 0.0, 86_400.0, 0.25, 500, "alarm", None, 0.1, 300.0, 200.0, 2)
        add_measurements(
            ledger,
            Measurement(
                "taxi", "r1", 1.0, KIND, "duration", COLUMNS, 1.0, detail={"code": "c", "left_out": {"id": "it only grows"}}
            ),
            measurement_of(figure, product="taxi", run_id="r1", at=1.0, monitor="duration", code="c"),
        )
        level = {"subject": "trips", "kind": "table", "simple": False, "fresh_s": 3600.0, "over_s": 2_592_000.0, "target": 0.99}
        ledger.add(runs, {"run_id": "r1", "product": "taxi", "command": "run", "state": "succeeded", "started_at": 1.0})
        ledger.add(
            declarations,
            {"product": "taxi", "at": 1.0, "run_id": "r1", "document": {"tz": "UTC", "service_levels": [level]}},
        )
    shown = page(app, "/monitors")
    for part in ("taxi duration", "psi of hour", "to 0.1", "alarm", "Not watched: id (it only grows)"):
        assert part in shown
    shown = page(app, "/service-levels")
    for part in ("trips", "1 hour, 99 %", "30 days", "no figures"):
        assert part in shown


def test_a_body_of_any_depth_is_refused_and_no_fault(fed: Path) -> None:
    client = create_console(fed).test_client()
    assert client.post("/_dash-update-component", data="[" * 50_000, content_type="application/json").status_code == 400
