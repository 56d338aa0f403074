"""Observers are found by their folder; those of other packages are told too, and cannot harm a run."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any, ClassVar

import pytest

import caudal.observers
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.observers import registered as registration
from caudal.runtime.lifecycle import begin, end
from caudal.runtime.observer import ObservedRun, RunObserver
from caudal.runtime.progress import NoProgress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_reporting import RunReporting
from caudal.runtime.workspace import Workspace
from caudal.tables.home import Home


class Recorder(RunObserver):
    heard: ClassVar[list[tuple[str, str]]] = []

    def run_began(self, run: ObservedRun) -> None:
        self.heard.append(("began", run.record.run_id))

    def run_ended(self, run: ObservedRun, document: Mapping[str, Any]) -> None:
        self.heard.append((document["state"], document["run_id"]))
        raise RuntimeError("its server is away")


class Noted(NoProgress):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def noted(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.fixture
def from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("recorder", f"{__name__}:Recorder", registration.GROUP)
    entry.__dict__["load"] = lambda: Recorder
    monkeypatch.setattr(registration, "entry_points", lambda group: EntryPoints([entry]).select(group=group))
    registration.registered.cache_clear()
    yield
    registration.registered.cache_clear()


def test_every_module_of_the_folder_has_an_observer_or_serves_one() -> None:
    registration.registered.cache_clear()
    names = {module.name for module in pkgutil.iter_modules(caudal.observers.__path__)}
    with_one = {name for name in names if hasattr(import_module(f"caudal.observers.{name}"), "OBSERVER")}
    assert with_one == {"alerts", "declared", "openlineage", "page", "slow_steps"}
    assert names - with_one == {"registered", "usual_times"}
    assert len(registration.registered()) == len(with_one)


def test_an_observer_of_another_package_is_told_and_cannot_fail_a_run(from_outside: None, tmp_path: Path) -> None:
    home = Home(tmp_path, None)
    progress = Noted()
    ws = Workspace.compose(
        Product("shop"),
        home,
        Settings(home=tmp_path),
        RunRecord("shop", home.ledger(), "r1"),
        reporting=RunReporting(progress, registration.registered()[-1:]),
    )
    begin(ws, "run")
    document = end(ws, None)
    assert document["state"] == "succeeded"
    assert Recorder.heard == [("began", "r1"), ("succeeded", "r1")]
    assert progress.sentences == ["The observer 'recorder' failed in run_ended: RuntimeError: its server is away"]
