"""A version whose gates ask for a trial is tried first, and later runs decide by what servers have seen; steps are done without Spark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.batch.test_monitor import days
from tests.unit.batch.test_retraining import DRIFT, Patient

import caudal as cd
from caudal.commands.trials import promote_from_trial
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem
from caudal.ledger.measurements import add_measurements
from caudal.ledger.records import steps
from caudal.ledger.rows import DecisionRow
from caudal.ledger.trials import CHAMPION, SHADOW, TrialKey, TrialTally, open_trial, tally_measurement
from caudal.registry import history, start_trial, withdraw
from caudal.registry.seen import NotPassed


class Tried(Patient):
    """The shop, whose new versions are tried in shadow."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, DRIFT)
        self.declare(retrain=None, gates=(cd.trial(min_rows=100, max_difference=0.5),))

    def learn(self, first: int, count: int) -> str | None:
        """Publish further days, do the steps up to the decision, and return why nothing was decided."""
        self.arrive(days(first, count))
        return self.decide()

    def decide(self) -> str | None:
        """Do the steps up to the decision, and return why nothing was decided."""
        self.work(("train", "promote"))
        row = self.ledger.find(steps, run_id=f"r{self.runs}", kind="promote")[-1]
        return (row["detail"] or {}).get("why") if row["state"] == "skipped" else None

    @property
    def decided(self) -> list[tuple[str, int]]:
        return [(row["decision"], row["version"]) for row in history(self.ledger, "shop", "stay")]

    @property
    def trial(self) -> DecisionRow:
        trial = open_trial(self.ledger, "shop", "stay")
        assert trial is not None
        return trial

    def see(self, rows: int, difference: float) -> None:
        """Enter what servers have seen of the trial."""
        trial = self.trial
        for role, version in ((CHAMPION, 1), (SHADOW, trial["version"])):
            tally = TrialTally(rows=rows, compared=rows, difference=difference * rows)
            key = TrialKey("shop", "stay", trial["id"], role, version)
            add_measurements(self.ledger, tally_measurement(key, tally, self.now, self.now + 60))


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Tried]:
    made = Tried(tmp_path)
    yield made
    made.ledger.close()


def test_a_version_is_promoted_by_what_was_seen(tried: Tried) -> None:
    assert tried.learn(0, 30) is None
    assert tried.decided == [("promoted", 1)]  # there was none beside which it could be tried
    assert tried.learn(30, 5) is None
    assert tried.decided[1:] == [("shadow", 2)]
    assert tried.trial["who"] == "caudal run"
    tried.see(60, 0.1)
    assert tried.decide() == "version 2 is on trial (shadow): 60 of 100 rows seen"
    assert tried.learn(35, 5) == "version 2 is on trial (shadow): 60 of 100 rows seen"  # the next version waits for its turn
    settings = Settings(home=tried.home.path)
    with pytest.raises(NotPassed, match="60 of 100 rows"):
        promote_from_trial(settings, "stay", None, "it is time")
    tried.see(60, 0.1)
    assert tried.decide() is None
    assert tried.decided[2:] == [("promoted", 2), ("shadow", 3)]
    promoted = history(tried.ledger, "shop", "stay")[2]
    assert [(gate["gate"], gate["passed"]) for gate in promoted["gates"]] == [("trial", True)]
    assert "120 rows in shadow" in (promoted["reason"] or "")


def test_a_version_that_differs_too_much_is_refused(tried: Tried) -> None:
    tried.learn(0, 30)
    tried.learn(30, 5)
    tried.see(200, 0.7)
    with pytest.raises(NotPassed, match=r"mean difference 0\.7, at most 0\.5 allowed"):
        promote_from_trial(Settings(home=tried.home.path), "stay", 2, "it is time")
    assert tried.decide() is None
    assert tried.decided == [("promoted", 1), ("shadow", 2), ("withdrawn", 2), ("refused", 2)]
    assert tried.decide() == "version 2 is decided on: refused"


def test_a_trial_that_a_person_has_begun_is_the_persons(tried: Tried) -> None:
    tried.learn(0, 30)
    tried.learn(30, 5)
    withdraw(tried.ledger, "shop", "stay", who="ada")
    start_trial(tried.home, tried.ledger, "shop", "stay", 2, who="ada", clock=lambda: tried.now)
    tried.see(200, 0.1)
    assert tried.decide() == "version 2 is on trial (shadow) by ada"
    decision = promote_from_trial(Settings(home=tried.home.path), "stay", 2, "it is time")
    assert (decision["decision"], decision["replaced"], decision["reason"]) == ("promoted", 1, "it is time")
    assert decision["gates"][-1]["passed"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"share": 1.5}, "share of 1.5"),
        ({"min_rows": 0}, "0 rows"),
        ({"share": 0.1, "max_difference": 1.0}, "need a trial in shadow"),
        ({"max_slowdown": -1.0}, "max_slowdown=-1.0"),
        ({"by": "header:"}, "names no key"),
    ],
)
def test_a_trial_that_shows_nothing_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationProblem, match=told):
        cd.trial(**wrong)
