"""Each kind of damage that ``caudal verify`` looks for, in homes of files and rows alone: what is whole is no fault, and what is not is named by its kind."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.lakes import write

from caudal.commands.verify.verify import verify
from caudal.declarations.settings import Settings
from caudal.ledger.records import landed, model_versions, steps
from caudal.registry.artifact import model_digest
from caudal.tables import version_files
from caudal.tables.home import Home

KEPT = b"what a table has fitted"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home with a table of two versions that has fitted something, a model, MLflow's store, and a row of the ledger for each."""
    home = Home(tmp_path / "home")
    ledger = home.ledger()
    table = home.table("p", "clean")
    write(table, pa.table({"n": [1, 2]}))
    write(table, pa.table({"n": [3]}))
    version_files.write_version_files(table, {"means": KEPT})
    model = home.models("p", "m") / "1"
    model.mkdir(parents=True)
    (model / "model.skops").write_bytes(b"model")
    with closing(sqlite3.connect(home.path / "mlflow.db")) as store:
        store.executescript(
            "CREATE TABLE runs (id INTEGER PRIMARY KEY); CREATE TABLE params (run INTEGER REFERENCES runs(id), value TEXT);"
            "INSERT INTO runs VALUES (1); INSERT INTO params VALUES (1, 'x');"
        )
    ledger.add(steps, {"run_id": "r", "product": "p", "step": "table:clean", "kind": "table", "name": "clean", "state": "succeeded", "output_version": 1})  # fmt: skip
    ledger.add(model_versions, {
        "product": "p", "model": "m", "version": 1, "candidate": "c", "created_at": 1.0, "run_id": "r", "fingerprint": "f", "code": "c",
        "training_table": "t", "training_version": 0, "training_rows": 1, "parameters": {}, "metrics": {}, "signature": {}, "environment": {},
        "artifact": "models/p/m/1", "artifact_sha256": model_digest(model), "format": "skops",
    })  # fmt: skip
    ledger.close()
    return home


def faults(home: Home) -> list[dict[str, Any]]:
    return verify(Settings(home=home.path))["faults"]


def entry(home: Home, number: int) -> Path:
    return Path(str(home.table("p", "clean"))) / "_delta_log" / f"{number:020d}.json"


def kept(home: Home) -> Path:
    return next((Path(str(home.table("p", "clean"))) / version_files.FOLDER).iterdir())


def takes_out_what_none_has_brought(home: Home) -> None:
    actions = [json.loads(line) for line in entry(home, 1).read_text().splitlines()]
    for action in actions:
        if "remove" in action:
            action["remove"]["path"] = "all/never.parquet"
    entry(home, 1).write_text("".join(json.dumps(action) + "\n" for action in actions))


def orphaned_rows(home: Home) -> None:
    with closing(sqlite3.connect(home.path / "mlflow.db")) as store:
        store.execute("DELETE FROM runs")
        store.commit()


def torn_ledger(home: Home) -> None:
    with closing(sqlite3.connect(home.path / "ledger.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'steps_by_name'")
        database.commit()


DAMAGES: dict[str, tuple[Callable[[Home], object], str, str]] = {
    "fitted thing changed": (lambda home: kept(home).write_bytes(KEPT[::-1]), "kept", "has fitted, '.*', is not as it was written"),
    "model gone": (lambda home: shutil.rmtree(home.models("p", "m") / "1"), "model", "version 1 of model 'm' are gone"),
    "model's file more": (lambda home: (home.models("p", "m") / "1" / "more").write_bytes(b"x"), "model", "not those that were registered"),
    "MLflow garbage": (lambda home: (home.path / "mlflow.db").write_bytes(b"none" * 999), "mlflow", "MLflow's store '.*' is damaged: file is not a database"),
    "MLflow orphans": (orphaned_rows, "mlflow", "1 rows name others that are not there"),
    "table gone": (lambda home: shutil.rmtree(home.table("p", "clean")), "table", "'clean' is at version 1, and it is not there"),
    "entry takes out": (takes_out_what_none_has_brought, "log", "takes out 'all/never.parquet', which no entry has brought"),
    "first entry gone": (lambda home: entry(home, 0).unlink(), "log", ".*"),
    "ledger torn": (torn_ledger, "ledger", "The ledger '.*' is damaged"),
}  # fmt: skip


def test_what_is_whole_is_no_fault(home: Home) -> None:
    found = verify(Settings(home=home.path), deep=True)
    assert found["faults"] == []
    assert found["notes"] == []
    assert {name: found["checked"][name] for name in ("tables", "files", "kept", "models", "mlflow", "ledger")} == {
        "tables": 1, "files": 2, "kept": 1, "models": 1, "mlflow": 1, "ledger": 1,
    }  # fmt: skip


@pytest.mark.parametrize("what", DAMAGES)
def test_each_damage_is_named_by_its_kind(home: Home, what: str) -> None:
    damage, kind, said = DAMAGES[what]
    damage(home)
    (fault,) = faults(home)
    assert fault["kind"] == kind
    assert re.search(said, fault["what"]), fault["what"]
    assert fault["mend"]


def test_raw_files_of_no_row_are_a_note_and_those_of_a_row_are_asked_for(home: Home) -> None:
    folder = Path(str(home.lake)) / "raw" / "p" / "raw"
    folder.mkdir(parents=True)
    content = b"n\n1\n"
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / f"{sha256}.csv").write_bytes(content)
    notes = verify(Settings(home=home.path))["notes"]
    assert [note for note in notes if "named by no row of the ledger" in note]
    ledger = home.ledger()
    ledger.add(landed, {"product": "p", "source": "raw", "path": "gone.csv", "sha256": "0" * 64, "bytes": 4, "modified_ns": 0, "landed_at": 0.0, "run_id": "r", "kind": "data"})  # fmt: skip
    ledger.close()
    (fault,) = faults(home)
    assert (fault["kind"], "is gone; it came from 'gone.csv'" in fault["what"]) == ("raw", True)
