"""A daemon's run, which takes in what is there: also a file that the daemon has not come to see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import caudal as cd
from caudal.batch.batch import run
from caudal.daemon import child
from caudal.daemon.events import record_events, settle, settle_stopped_runs, take_events, taken_events
from caudal.daemon.watchers.files import FileWatcher
from caudal.declarations.settings import Settings
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import events, landed
from caudal.tables.home import Home

PRODUCT = """
import caudal as cd
product = cd.Product("p")
product.source("s", cd.files("in/*.csv"), trigger=cd.on_arrival())
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "p" / "in").mkdir(parents=True)
    (tmp_path / "p" / "product.py").write_text(PRODUCT)
    return tmp_path


@pytest.fixture
def daemon(place: Path) -> Iterator[tuple[FileWatcher, Ledger]]:
    """What the daemon of that product looks with, and the ledger that both it and its runs write to."""
    source = cd.Product("p").source("s", cd.files("in/*.csv"), trigger=cd.on_arrival())
    ledger = Home(place / "home").ledger()
    yield FileWatcher("p", source, place / "p", 0.0), ledger
    ledger.close()


def test_what_arrives_between_a_look_and_the_landing_is_an_event_of_the_run(
    place: Path, daemon: tuple[FileWatcher, Ledger], spark: SparkSession
) -> None:
    watcher, ledger = daemon
    (place / "p" / "in" / "seen.csv").write_text("a\n1\n")
    record_events(ledger, watcher.look(ledger).events)
    assert len(take_events(ledger, "p", "daemon", "r1", 1e12)) == 1
    (place / "p" / "in" / "late.csv").write_text("a\n2\n")  # nobody looks before the run lands

    done = run(place / "p", Settings(home=place / "home"), run_id="r1", before_landing=child._record_arrivals)

    assert done.error is None
    assert len(ledger.find(landed)) == 2
    found = ledger.find(events)
    assert {Path(row["subject"]).name for row in found} == {"seen.csv", "late.csv"}
    assert {(row["state"], row["taken_by"], row["run_id"]) for row in found} == {("taken", "daemon", "r1")}
    assert record_events(ledger, watcher.look(ledger).events) == []
    # Whether its daemon lives or another finds it dead, both are settled as one.
    assert settle_stopped_runs(ledger, taken_events(ledger)["daemon"]) == {"r1": "done"}
    assert settle(ledger, "r1", "done") == 0
    assert {row["state"] for row in ledger.find(events)} == {"done"}


def test_the_watcher_and_the_run_call_a_file_the_same(place: Path, daemon: tuple[FileWatcher, Ledger], spark: SparkSession) -> None:
    watcher, ledger = daemon
    (place / "p" / "in" / "one.csv").write_text("a\n1\n")
    record_events(ledger, watcher.look(ledger).events)
    take_events(ledger, "p", "daemon", "r1", 1e12)
    run(place / "p", Settings(home=place / "home"), run_id="r1", before_landing=child._record_arrivals)
    assert len(ledger.find(events)) == 1


def test_a_run_by_hand_notes_nothing(place: Path, spark: SparkSession) -> None:
    (place / "p" / "in" / "one.csv").write_text("a\n1\n")
    assert run(place / "p", Settings(home=place / "home"), before_landing=child._record_arrivals).error is None
    ledger = Home(place / "home").ledger()
    assert ledger.find(events) == []
    ledger.close()
