"""Versions on trial by the command line: begun, ended, promoted and compared, each with its document."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import here
from tests.unit.serve.conftest import Place, fitted  # noqa: F401  a fixture

from caudal.ledger.measurements import add_measurements
from caudal.ledger.trials import CANARY, CHAMPION, TrialKey, TrialTally, tally_measurement
from caudal.registry import list_versions


@pytest.fixture
def served(tmp_path: Path, fitted: Any) -> Place:  # noqa: F811
    place = Place(tmp_path, fitted)
    place.promote("taxi", "duration", 2)
    return place


def caudal(served: Place, *arguments: str) -> Any:
    """Run a command, whose document is held against its schema."""
    command = [sys.executable, "-m", "caudal", "model", *arguments, "--home", str(served.home), "--json"]
    return json.loads(here.run(command, capture_output=True, text=True, timeout=120).stdout)


def see(served: Place, decision: Any, rows: int = 2000) -> None:
    for role, version in ((CHAMPION, 2), (CANARY, 1)):
        tally = TrialTally(rows=rows, total=8.0 * rows)
        tally.timed(0.001, rows)
        key = TrialKey("taxi", "duration", decision["id"], role, version)
        add_measurements(served.ledger, tally_measurement(key, tally, decision["at"], decision["at"] + 60))


def test_a_trial_from_begin_to_promotion(served: Place) -> None:
    shadow = caudal(served, "shadow", "duration", "1", "--reason", "a try")
    assert (shadow["decision"], shadow["reason"], shadow["trial"]) == ("shadow", "a try", {"share": 0.0, "by": "row"})
    canary = caudal(served, "canary", "duration", "1", "--share", "0.2", "--by", "zone")
    assert canary["trial"] == {"share": 0.2, "by": "input:zone"}
    listed = list_versions(served.ledger, "taxi")
    states = {row["version"]: row["state"] for row in listed if row["model"] == "duration"}
    assert states == {1: "canary", 2: "champion"}
    assert "2,000 rows" not in json.dumps(caudal(served, "promote", "duration", "--from-trial"))
    see(served, canary)
    compared = caudal(served, "compare", "duration")
    assert [version["version"] for version in compared["versions"]] == [2, 1]
    assert [(each["version"], each["role"], each["mean"]) for each in compared["trial"]["seen"]] == [
        (2, "champion", 8.0),
        (1, "canary", 8.0),
    ]
    assert caudal(served, "compare", "duration", "1", "2")["trial"] == compared["trial"]
    promoted = caudal(served, "promote", "duration", "--from-trial")
    assert (promoted["decision"], promoted["version"], promoted["gates"][0]["passed"]) == ("promoted", 1, True)
    assert not caudal(served, "compare", "duration", "2")["trial"]["is_open"]
    decisions = [row["decision"] for row in caudal(served, "history", "duration")]
    assert decisions == ["promoted", "shadow", "canary", "promoted"]


def test_what_is_no_trial_is_said(served: Place) -> None:
    assert caudal(served, "canary", "duration", "1", "--by", "zonne")["nearest"] == "zone"
    assert "No version of model 'duration' is on trial" in caudal(served, "withdraw", "duration")["what"]
    assert "No version of model 'duration' is on trial" in caudal(served, "promote", "duration", "--from-trial")["what"]
    assert "No version is named" in caudal(served, "promote", "duration")["what"]
    assert "was ever tried" in caudal(served, "compare", "duration")["what"]


def test_versions_on_the_terminal(served: Place) -> None:
    decision = caudal(served, "canary", "duration", "1", "--by", "zone")
    see(served, decision)
    command = [sys.executable, "-m", "caudal", "model", "compare", "duration", "--home", str(served.home)]
    text = here.run(command, capture_output=True, text=True, timeout=120).stdout
    assert "version 2 in production" in text
    assert "version 1 as a canary" in text
    assert "2,000" in text
    assert caudal(served, "withdraw", "duration")["decision"] == "withdrawn"
