"""The server's latency and errors reach the ledger minute by minute, for models with an SLA alone, and the levels are gauges."""

from __future__ import annotations

import time

import pytest

import caudal as cd
from caudal.ledger.measurements import measurements
from caudal.ledger.records import declarations
from caudal.observers.declared import store_declaration
from caudal.serve.champion_cache import ChampionCache
from caudal.serve.minute_log import ServiceLevelGauges, ServingMinuteLog
from caudal.service_levels.agreed import agreement_documents

NOW = 1_793_012_400.0  # a whole minute


def agree(served, **level):
    """Store what a run of the product would: an SLA of one of its models."""
    product = cd.Product("taxi")
    product.serve("duration", sla=cd.sla(**level))
    served.ledger.add(declarations, {
        "product": "taxi", "run_id": "r", "at": NOW, "document": {"name": "taxi", "tz": "UTC", "service_levels": agreement_documents(product)},
    })  # fmt: skip
    return product


@pytest.fixture
def champions(served):
    champions = ChampionCache(served.ledger, served.load)
    champions.refresh()
    return champions


def rows(served, metric):
    found = measurements(served.ledger, product="taxi", metric=metric)
    return [(row.subject, row.window_start - NOW, row.value, row.count) for row in reversed(found)]


def test_each_minute_has_its_figures_also_those_without_requests(served, champions):
    agree(served, p95="50 ms", available=0.999)
    at = [NOW + 10]
    log = ServingMinuteLog(champions, lambda: at[0])
    log.look()
    for seconds in (0.01, 0.02, 0.03, 0.3):
        log.count("taxi", "duration", 500 if seconds == 0.3 else 200, seconds)
    log.count("taxi", "payment", 500, 9.0)  # has no SLA
    log.count("taxi", "invented", 404, 9.0)
    for at[0] in (NOW + 50, NOW + 60.1, NOW + 180.1):
        log.look()
    assert rows(served, "availability") == [("duration", 0, 0.75, 4), ("duration", 60, 1.0, 0), ("duration", 120, 1.0, 0)]
    assert rows(served, "p95_s") == [("duration", 0, 0.3, 4)]


@pytest.mark.parametrize("begun", [True, False])
def test_requests_count_from_the_first_one_where_somebody_writes_them(served, champions, begun):
    log = ServingMinuteLog(champions, lambda: NOW + 10)
    if begun:
        log.begin()  # as servers do, before a model is in memory
    log.count("taxi", "duration", 200, 0.01)
    log.look()
    log.count("taxi", "duration", 200, 0.01)
    log.finish()
    assert sum(count for _, _, _, count in rows(served, "requests")) == 1 + begun


def test_a_model_that_cannot_be_loaded_is_not_available(served):
    agree(served, available=0.999)
    served.broken.add(("taxi", "duration", 2))
    champions = ChampionCache(served.ledger, served.load)
    champions.refresh()
    at = [NOW]
    log = ServingMinuteLog(champions, lambda: at[0])
    log.look()
    at[0] += 61
    log.look()
    assert rows(served, "availability") == [("duration", 0, 0.0, 0)]


def test_figures_wait_while_the_ledger_is_away(served, champions, monkeypatch):
    agree(served, available=0.999)
    at = [NOW]
    log = ServingMinuteLog(champions, lambda: at[0])
    log.look()
    file = served.home / "ledger.db"
    at[0] += 61
    file.rename(served.home / "away.db")
    log.look()
    (served.home / "away.db").rename(file)
    assert rows(served, "availability") == []
    at[0] += 60
    log.look()
    assert [offset for _, offset, _, _ in rows(served, "availability")] == [0, 60]


def test_the_levels_are_gauges(served, champions):
    agree(served, p95="50 ms", available=0.9, over="1 hour")
    at = [NOW]
    log = ServingMinuteLog(champions, lambda: at[0])
    assert list(ServiceLevelGauges(log).collect()) == []
    log.look()
    for minute in range(12):
        log.count("taxi", "duration", 503 if minute < 3 else 200, 0.01)
        at[0] += 60
        log.look()
    gauges = {
        (sample.name, sample.labels["objective"], sample.labels.get("window")): sample.value
        for family in ServiceLevelGauges(log).collect()
        for sample in family.samples
    }
    assert gauges["caudal_sla_level", "p95", None] == 1.0
    assert gauges["caudal_sla_level", "available", None] == pytest.approx(8 / 11)  # the last minute is judged with the next
    assert gauges["caudal_sla_budget_left", "available", None] == pytest.approx(1 - 3 / 6)
    assert gauges["caudal_sla_burn_rate", "available", "fast"] == pytest.approx(3 / 11 / 0.1)


def test_requests_for_predictions_count_and_others_do_not(served, example):
    agree(served, available=0.999)
    app = served.app()
    app.extensions["caudal"].refresh()
    log = app.extensions["minute log"]
    log.look()
    client = app.test_client()
    assert client.post("/api/v1/taxi/duration/predict", json=example).status_code == 200
    assert client.get("/api/v1/taxi/duration/card").status_code == 200
    assert client.post("/api/v1/taxi/duration/predict", json={}).status_code == 422  # the caller's error
    before = time.time()
    log.finish()
    found = measurements(served.ledger, product="taxi", metric="availability")
    assert (sum(row.count for row in found), {row.value for row in found}) == (2, {1.0})
    assert found[0].window_end > before
    assert "caudal_sla" not in client.get("/metrics").text
    log.look()
    store_declaration(cd.Product("taxi"), served.ledger, "r2", NOW)  # the SLA is given up
    log.look()
    assert log.states == []
