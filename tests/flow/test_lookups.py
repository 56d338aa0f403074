"""What a server looks up is what the features have, on the city's own trips: for past moments, in a view of then, and after a person was erased."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests import here

from caudal.serve import create_app
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home
from caudal.tables.view_places.sqlite import open_view, view_file

pytestmark = [pytest.mark.slow(minutes=3), pytest.mark.timeout(1200)]
PRODUCT = Path(__file__).parents[2] / "products" / "taxi"
MONTH = "green_tripdata_2023-01.parquet"
ROWS = 10_000
VIEW_ENDS = dt.datetime(2023, 1, 20)
CANDIDATES = re.compile(r"candidates=\{.*?\n    \},", re.DOTALL)
GATES = re.compile(r"    gates=\[.*?\n")


def caudal(*arguments: object) -> Any:
    """Run the command line and return its JSON document."""
    command = [sys.executable, "-m", "caudal", *map(str, arguments), "--json"]
    done = here.run(command, capture_output=True, text=True, env={**os.environ, "CAUDAL_MEMORY": "2g"}, timeout=900)
    assert done.returncode == 0, done.stderr + done.stdout[-3000:]
    return json.loads(done.stdout)


def step(document: Any, name: str) -> Any:
    return next(step for step in document["steps"] if step["step"] == name)


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory, shared_data: Path, compiled: Any) -> dict[str, Any]:
    """The taxi product with one small candidate for each model: after 19 days of January, with the view of then, and after all of it."""
    place = tmp_path_factory.mktemp("lookups")
    data, product = place / "data", place / "product"
    data.mkdir()
    product.mkdir()
    text = (PRODUCT / "product.py").read_text()
    text, count = CANDIDATES.subn('candidates={"ridge": Ridge(alpha=10.0)},', text)
    assert count == 2
    text = GATES.sub("", text).replace("lookup=True,", 'lookup=True, history="3650 days",')
    (product / "product.py").write_text(text)
    shutil.copy(shared_data / "green_taxi" / "taxi_zone_lookup.csv", data)
    january = pq.read_table(shared_data / "green_taxi" / MONTH)
    pq.write_table(january.filter(pc.field("lpep_pickup_datetime") < VIEW_ENDS), data / MONTH)
    run = ("run", product, "--data", data, "--home", place / "home")
    first = caudal(*run)
    then = place / "then"
    shutil.copytree(place / "home" / "online", then)
    pq.write_table(january, data / MONTH)
    second = caudal(*run)
    return {"home": Home(place / "home"), "then": then, "first": first, "second": second, "run": run}


def features(home: Home, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = arrow(delta.read_version(home.table("taxi", table))).to_pylist()
    return rows


def evenly(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return [rows[place * len(rows) // count] for place in range(count)]


def test_a_run_keeps_the_views_and_rests_when_nothing_has_changed(taxi: dict[str, Any]) -> None:
    assert step(taxi["second"], "lookup:duration")["state"] == "succeeded"
    again = caudal(*taxi["run"])
    assert step(again, "lookup:duration")["state"] == step(again, "lookup:forecast")["state"] == "skipped"


@pytest.mark.parametrize(
    ("model", "table", "given"),
    [
        ("duration", "trip_start", ("pickup_zone_id", "dropoff_zone_id", "passengers", "pickup_at")),
        ("forecast", "demand", ("pickup_zone_id", "window_start")),
    ],
)
def test_past_moments_are_answered_as_the_features_have_them(
    taxi: dict[str, Any], model: str, table: str, given: tuple[str, ...]
) -> None:
    """10,000 rows go through the API as a dispatcher would send them; each value that was looked up is that of the published features, to the bit."""
    home: Home = taxi["home"]
    client = create_app(home.path, home.url).test_client()
    rows = evenly(sorted(features(home, table), key=lambda row: (str(row[given[-1]]), str(row[given[0]]))), ROWS)
    compared = found = 0
    for start in range(0, ROWS, 1000):
        some = rows[start : start + 1000]
        body = [
            {name: row[name].isoformat() if isinstance(row[name], dt.datetime) else row[name] for name in given} for row in some
        ]
        answer = client.post(f"/api/v1/taxi/{model}/predict/batch", json=body)
        assert answer.status_code == 200, answer.json["errors"][:3]
        for row, predicted in zip(some, answer.json["predictions"], strict=True):
            told = predicted["looked_up"]
            for name in (*told["values"], *told["not_found"]):
                assert told["values"].get(name) == row[name], (row, told)
                compared += 1
            found += len(told["values"])
    assert compared == ROWS * {"duration": 5, "forecast": 6}[model]
    assert found > compared / 2


def test_a_view_of_then_answers_as_the_features_have_it_now(taxi: dict[str, Any]) -> None:
    """The view of 20 January, and the features that were made with all of the month: what was known then is the same."""
    view = open_view(view_file(taxi["then"] / "taxi", "duration"))
    rows = [row for row in features(taxi["home"], "trip_start") if row["pickup_at"] < VIEW_ENDS]
    assert view.described["until_us"] is not None
    assert len(rows) > 10_000
    for row in evenly(rows, ROWS):
        at_us = (row["pickup_at"] - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
        values = view.values(0, [row["pickup_zone_id"], row["dropoff_zone_id"]], at_us) or (None, None)
        assert values == (row["pair_duration_min"], row["pair_miles"]), row


def test_the_form_asks_for_names_and_a_time(taxi: dict[str, Any]) -> None:
    home: Home = taxi["home"]
    client = create_app(home.path, home.url).test_client()
    page = client.get("/taxi/duration/").text
    assert "East Harlem North · Manhattan" in page
    assert 'type="date"' in page
    assert 'name="pickup_at:time"' in page
    sent = {"pickup_zone_id": "East Harlem North · Manhattan", "dropoff_zone_id": "JFK Airport · Queens", "passengers": "1",
            "pickup_at:date": "2023-01-31", "pickup_at:time": "17:45", "pair_miles": ""}  # fmt: skip
    answered = client.post("/taxi/duration/", data=sent)
    assert answered.status_code == 200
    assert "Looked up, in data until" in answered.text
    assert '"pickup_zone_id": "74"' in answered.text.replace("&#34;", '"')
    wrong = client.post("/taxi/duration/", data={**sent, "pickup_zone_id": "East Harlm North", "pickup_at:date": ""})
    assert wrong.status_code == 422
    assert "Did you mean <strong>East Harlem North · Manhattan</strong>" in wrong.text
