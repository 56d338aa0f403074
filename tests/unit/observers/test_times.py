"""What is usual of a step, where it tends, and that one at work is told of when it takes longer."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, strategies as st

import caudal as cd
from caudal.batch.execute import execute
from caudal.batch.step import Step, StepResult
from caudal.commands.status import home_status
from caudal.commands.times import step_times
from caudal.declarations.settings import Settings
from caudal.errors import NotThere
from caudal.ledger.records import alerts, runs, steps
from caudal.observers import slow_steps
from caudal.observers.registered import registered
from caudal.observers.usual_times import usual_of
from caudal.runtime.progress import NoProgress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_reporting import RunReporting
from caudal.runtime.workspace import Workspace
from caudal.tables.home import Home

seconds = st.lists(st.floats(0.01, 1e4), min_size=5, max_size=30)


class Told(NoProgress):
    """Remembers what was said to be slow."""

    def __init__(self):
        self.slow_steps = []

    def slow(self, step, seconds, expected_s):
        self.slow_steps.append((step, expected_s))


@pytest.fixture
def ws(tmp_path):
    product = cd.Product("shop")
    product.source("sales", cd.files("*.csv"))
    product.alert(cd.webhook("http://127.0.0.1:9/hook"), on=("slow",))
    home = Home(tmp_path / "home")
    record = RunRecord("shop", home.ledger(), "r-now")
    return Workspace.compose(product, home, Settings(home=home.path), record, reporting=RunReporting(Told(), registered()))


def before(ws, took, step="read:sales"):
    for number, one in enumerate(took):
        ws.record.ledger.add(steps, {
            "run_id": f"r{number}", "product": "shop", "step": step, "kind": "read", "name": "sales", "state": "succeeded",
            "started_at": 1000.0 + number, "finished_at": 1000.0 + number + one, "seconds": one, "rows_read": 7,
        })  # fmt: skip


@given(seconds)
def test_what_is_usual_is_never_slow(past):
    found = usual_of(past)
    assert min(past) - 1e-3 <= found.expected_s <= max(past) + 1e-3
    assert found.limit_s >= found.expected_s * 1.5 - 1e-3
    assert found.limit_s >= found.expected_s + 5 - 1e-3


@given(seconds, st.floats(1e5, 1e9))
def test_one_that_took_for_ever_is_not_usual(past, outlier):
    assert usual_of([*past, outlier]).limit_s < outlier


def test_a_trend_is_told_when_it_is_one():
    assert usual_of([10 + n for n in range(20)]).trend == pytest.approx(1 / 19.5, rel=0.01)
    assert usual_of([10, 12, 9, 11, 10, 13, 8, 11, 10, 12]).trend == 0.0
    assert usual_of([20 - n * 0.5 for n in range(20)]).trend < 0


def test_history_and_what_is_usual(ws):
    before(ws, [1.0, 1.1, 0.9, 1.0, 1.2])
    ws.record.ledger.add(
        runs, {"run_id": "r0", "product": "shop", "command": "run", "state": "succeeded", "started_at": 1.0, "finished_at": 9.0}
    )
    told = step_times(ws.settings, "shop")
    assert [one["step"] for one in told["steps"]] == ["read:sales", "run"]
    read, whole = told["steps"]
    assert (read["usual"]["expected_s"], read["last_s"], read["history"][0]["rows"]) == (1.0, 1.2, 7)
    assert (whole["usual"], whole["last_s"]) == (None, 8.0)
    with pytest.raises(NotThere, match="read:sales"):
        step_times(ws.settings, "shop", "read:sale")


def test_a_step_at_work_that_takes_longer_than_usual_is_told_of_while_it_is(ws, monkeypatch):
    monkeypatch.setattr(slow_steps, "SEEN_S", 0.05)
    monkeypatch.setattr("caudal.observers.usual_times._LONGER_S", 0.2)
    before(ws, [0.1] * 6)
    ws.record.ledger.add(
        runs, {"run_id": "r-now", "product": "shop", "command": "run", "state": "running", "started_at": time.time()}
    )
    seen, go_on = [], threading.Event()

    def work(_):
        until = time.monotonic() + 20
        while time.monotonic() < until and not go_on.is_set():
            at_hand = ws.record.ledger.find(runs, run_id="r-now")[0]["at_hand"]
            if at_hand and (not seen or seen[-1] != at_hand):
                seen.append(at_hand)
            if at_hand and at_hand["slow"] and ws.record.ledger.find(alerts):
                seen.append(home_status(ws.settings)["products"][0]["last_run"]["at_hand"])
                go_on.set()
            time.sleep(0.02)
        return StepResult(rows_written=1)

    run_state = execute(ws, [Step("read:sales", "read", "sales", (), work)])
    assert run_state.error is None
    assert go_on.is_set()
    assert [one["slow"] for one in seen][-1] is True
    assert (seen[-1]["step"], seen[-1]["expected_s"]) == ("read:sales", 0.1)
    assert ws.reporting.progress.slow_steps == [("read:sales", 0.1)]
    assert ws.record.ledger.find(runs, run_id="r-now")[0]["at_hand"] is None
    told = ws.record.ledger.find(alerts)
    assert [(one["happening"], one["subject"]) for one in told] == [("slow", "read:sales")]


def test_a_step_that_is_as_quick_as_ever_leaves_no_trace(ws, monkeypatch):
    monkeypatch.setattr(slow_steps, "SEEN_S", 0.05)
    before(ws, [0.2] * 6)
    execute(ws, [Step("read:sales", "read", "sales", (), lambda _: time.sleep(0.2) or StepResult(rows_written=1))])
    assert ws.reporting.progress.slow_steps == []
    assert ws.record.ledger.find(alerts) == []
