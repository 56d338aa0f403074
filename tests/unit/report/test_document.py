"""The run's document: what the ledger holds, in the agreed shape, and JSON."""

from __future__ import annotations

import json

import pytest

from caudal.errors import NotThere
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs
from caudal.report.document import run_document

KEYS = {"run_id", "product", "state", "seconds", "landed", "tables", "steps", "models", "predictions", "page", "error"}


def test_every_document_is_json_and_comes_back_as_it_was(ledger: Ledger, scene: str) -> None:
    document = run_document(ledger, scene)
    assert document.keys() >= KEYS
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_run_that_succeeded_says_all_its_figures(ledger: Ledger, run_of: dict[str, str]) -> None:
    document = run_document(ledger, run_of["success"])
    assert document["state"] == "succeeded"
    assert document["error"] is None
    assert document["landed"]["trips_raw"] == {"files": 1, "rows": 68_211, "bytes": 1_427_002}
    trips = document["tables"]["trips"]
    assert (trips["rows_read"], trips["rows_written"], trips["rows_quarantined"], trips["partitions_written"]) == (
        68_209,
        65_912,
        2_297,
        31,
    )
    assert trips["reasons"]["positive(distance_miles)"] == 2043
    assert document["tables"]["zones"]["partitions_written"] is None  # it has no partitions
    assert document["predictions"] == {"duration_predictions": {"rows": 65_912, "model_version": 1, "version": 0}}
    assert [step["step"] for step in document["steps"]][:2] == ["land:trips_raw", "read:trips_raw"]


def test_candidates_come_best_first_with_the_unit_of_what_is_predicted(ledger: Ledger, run_of: dict[str, str]) -> None:
    model = run_document(ledger, run_of["success"])["models"]["duration"]
    assert [one["candidate"] for one in model["candidates"]] == ["boosting", "forest", "linear", "baseline"]
    assert (model["metric"], model["better"], model["unit"]) == ("mae", "lower", "minutes")
    assert (model["decision"], model["version"], model["in_production"]) == ("promoted", 1, 1)
    assert [gate["passed"] for gate in model["gates"]] == [True, True, True]


def test_a_refusal_leaves_the_champion(ledger: Ledger, run_of: dict[str, str]) -> None:
    model = run_document(ledger, run_of["partly"])["models"]["duration"]
    assert (model["decision"], model["version"], model["in_production"]) == ("refused", 2, 1)


def test_skipped_steps_say_why_and_count_nothing(ledger: Ledger, run_of: dict[str, str]) -> None:
    document = run_document(ledger, run_of["partly"])
    why = {step["step"]: step["why"] for step in document["steps"] if step["state"] == "skipped"}
    assert why["land:zones"] == "no new file"
    assert why["predict:duration_predictions"] == "champion and features are as before"
    assert document["landed"]["zones"] == {"files": 0, "rows": 0, "bytes": 0}
    assert document["tables"]["zones"]["rows_written"] == 0
    assert document["tables"]["zones"]["partitions_written"] == 0


def test_a_model_that_was_not_trained_shows_the_training_that_holds(ledger: Ledger, run_of: dict[str, str]) -> None:
    model = run_document(ledger, run_of["failure"])["models"]["duration"]
    assert model["trained_in"] == run_of["partly"]
    assert [one["candidate"] for one in model["candidates"] if one["chosen"]] == ["forest"]
    assert model["decision"] is None
    assert model["in_production"] == 1


def test_a_failure_carries_the_error_and_what_did_not_start(ledger: Ledger, run_of: dict[str, str]) -> None:
    document = run_document(ledger, run_of["failure"])
    assert document["error"]["step"] == "table:trips"
    assert document["error"]["broken"] == 1204
    states = {step["step"]: step["state"] for step in document["steps"]}
    assert states["table:trips"] == "failed"
    assert states["train:duration"] == "waiting"


def test_a_run_that_was_cut_off_took_as_long_as_it_was_heard_of(ledger: Ledger, run_of: dict[str, str]) -> None:
    assert run_document(ledger, run_of["cut_off"])["seconds"] == pytest.approx(0.7)


def test_the_page_is_the_one_that_the_run_remembers(ledger: Ledger, run_of: dict[str, str]) -> None:
    assert run_document(ledger, run_of["success"])["page"] is None
    ledger.change(runs, {"run_id": run_of["success"]}, summary={"page": "runs/taxi/1.html"})
    try:
        assert run_document(ledger, run_of["success"])["page"] == "runs/taxi/1.html"
    finally:
        ledger.change(runs, {"run_id": run_of["success"]}, summary=None)


def test_an_unknown_run_gets_the_nearest(ledger: Ledger, run_of: dict[str, str]) -> None:
    with pytest.raises(NotThere, match=run_of["success"]):
        run_document(ledger, run_of["success"][:-1] + "x")
