"""Inputs that a model has not learned from are counted as they are sent, and kept minute by minute; older versions do not know their ranges."""

from __future__ import annotations

import pytest

from caudal.ledger.measurements import measurements
from caudal.report.served import served_document
from caudal.report.terminal.console import console
from caudal.report.terminal.served import print_served
from caudal.serve.champion_cache import ChampionCache
from caudal.serve.input_watch import LearnedInputs
from caudal.serve.minute_log import SentRows, ServingMinuteLog

NOW = 1_793_012_400.0  # a whole minute


def counters(client):
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("caudal_input")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def counter(input_, kind):
    return f'caudal_input_out_of_range_total{{input="{input_}",kind="{kind}",model="duration",product="taxi"}}'


def test_odd_inputs_of_requests_batches_and_the_form_are_counted(served, example):
    client = served.app().test_client()
    address = "/api/v1/taxi/duration/predict"
    assert client.post(address, json=example).status_code == 200
    assert counters(client) == {'caudal_input_rows_total{model="duration",product="taxi"}': 1.0}  # nothing is odd
    assert client.post(address, json=example | {"trip_distance_mi": 5000.0}).status_code == 422  # refused, and counted all the same
    assert client.post(address, json=example | {"passengers": None}).status_code == 200
    assert client.post(f"{address}/batch", json=[example | {"borough": "Atlantis"}, example, 7]).status_code == 422
    client.post("/taxi/duration/", data={name: str(value) for name, value in (example | {"trip_distance_mi": -1}).items()})
    client.post(address, json=[1])
    found = counters(client)
    assert found['caudal_input_rows_total{model="duration",product="taxi"}'] == 6.0
    assert found[counter("trip_distance_mi", "range")] == 2.0
    assert found[counter("passengers", "missing")] == 1.0
    assert found[counter("borough", "category")] == 1.0


def test_minutes_are_kept_and_shown(served, example):
    champions = ChampionCache(served.ledger, served.load)
    champions.refresh()
    at = [NOW]
    log = ServingMinuteLog(champions, lambda: at[0])
    champion = champions.get("taxi", "duration")
    odd = example | {"trip_distance_mi": 5000.0}
    log.count("taxi", "duration", 200, 0.01, SentRows(champion, (odd,)))  # nobody writes yet: counted, not kept
    log.look()
    log.count("taxi", "duration", 200, 0.01, SentRows(champion, (example, odd)))
    log.count("taxi", "duration", 500, 0.03, SentRows(champion, (odd,)))
    log.count("taxi", "invented", 404, 0.01)
    at[0] += 61
    log.look()
    log.look()
    (requests,) = measurements(served.ledger, product="taxi", metric="requests")
    assert (requests.subject, requests.value, requests.window_start, dict(requests.detail)) == (
        "duration", 2.0, NOW, {"errors": 1, "rows": 3, "p95_s": 0.03},
    )  # fmt: skip
    (model,) = served_document(served.ledger, "taxi", at[0])
    assert (model["requests"], model["errors"], model["rows"]) == (2, 1, 3)
    assert model["odd_inputs"] == [{"input": "trip_distance_mi", "kind": "range", "rows": 2, "learned_from": [0.0, 100.0]}]
    assert served_document(served.ledger, "taxi", at[0] + 90_000) == []  # a day later
    with (out := console()).capture() as captured:
        print_served("taxi", [model], out)
    assert "2 requests in the last 24 h, 1 error; 95 % within 30 ms in the slowest minute" in captured.get().replace("\n", " ")
    assert "2 of 3 rows with trip_distance_mi out of 0 to 100" in captured.get()
    assert log.inputs["taxi", "duration"].rows == 4


@pytest.mark.parametrize("value", [None, float("nan"), True, [1], {"a": 1}, "12"])
def test_values_of_any_kind_are_looked_at(value):
    learned = LearnedInputs((("n", 0.0, 1.0),), (("c", frozenset({"a", 3})),), ("o",))
    assert {kind for _, kind in learned.odd({"n": value, "c": value, "o": value})} <= {"range", "category", "missing"}


def test_a_version_that_does_not_know_its_ranges_says_so(served):
    documents = [{"name": "n", "type": "double"}, {"name": "m", "type": "long", "seen": [1, 5]}, {"name": "s", "type": "string"}]
    learned = LearnedInputs.of({"inputs": documents})
    assert learned.ranges == (("m", 1.0, 5.0),)
    assert learned.odd({"n": 1e9, "m": 9, "s": "x"}) == [("m", "range")]
