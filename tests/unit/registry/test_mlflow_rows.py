"""Rows that are written into MLflow's store without MLflow are those that MLflow writes."""

from __future__ import annotations

import json
import os
import re
import runpy
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import caudal
from caudal.registry import mlflow_rows, track

FOLDS = [{"mae": 1.5, "rmse": 2.0}, {"mae": 1.25, "rmse": None}]
# What no two runs share: ids and times.
OWN = re.compile(r"\b([0-9a-f]{32}|1[0-9]{12})\b")


def log(home: Path, *, name: str = "ridge", fingerprint: str = "f1", version: int = 1) -> str:
    artifact = home / "models" / "shop" / "visitors" / str(version)
    return track.track(
        home, "shop", "visitors", version, fingerprint,
        artifact=artifact, candidates=[track.Logged(name, FOLDS, {"mae": 1.375, "rmse": 2.0})], metrics={"mae": 1.375, "mae_spread": 0.1, "r2": None},
        parameters={"candidate": name, "alpha": 1.0, "text": "x" * 7000}, tags={"caudal.run": "r1"}, signature={"inputs": [{"name": "a"}]},
    )  # fmt: skip


def contents(home: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(home / track.STORE)) as store:
        names = [name for (name,) in store.execute("select name from sqlite_master where type = 'table'")]
        rows = {name: store.execute(f'select * from "{name}"').fetchall() for name in names}
    return {name: sorted(OWN.sub("*", repr(row)) for row in found) for name, found in rows.items() if found}


def test_the_rows_are_those_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ours = log(home)
    assert log(home) == ours  # the same training is logged once
    log(home, fingerprint="f2", version=2)
    written = contents(home)
    assert {"metrics", "latest_metrics", "params", "tags", "model_versions", "model_version_tags"} <= written.keys()

    home.rename(tmp_path / "ours")
    home.mkdir()
    monkeypatch.setattr(mlflow_rows, "can_write", lambda store, names=(): False)
    theirs = log(home)
    assert log(home) == theirs
    log(home, fingerprint="f2", version=2)
    assert contents(home) == written


def test_mlflow_takes_over_a_store_that_it_did_not_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = log(tmp_path)
    monkeypatch.setattr(mlflow_rows, "can_write", lambda store, names=(): False)
    from mlflow.store.db import utils

    monkeypatch.setattr(utils, "_upgrade_db", lambda engine: pytest.fail("migrated"))
    monkeypatch.setattr(utils, "_initialize_tables", lambda engine: pytest.fail("made again"))
    assert log(tmp_path) == first
    client = track._client(tmp_path)
    assert client.get_run(first).data.metrics == {"mae": 1.375, "mae_spread": 0.1, "ridge/mae": 1.25, "ridge/rmse": 2.0}
    assert [version.version for version in client.search_model_versions("name = 'shop.visitors'")] == [1]


def test_a_run_that_was_killed_while_it_was_logged_is_replaced(tmp_path: Path) -> None:
    first = log(tmp_path)
    with closing(sqlite3.connect(tmp_path / track.STORE)) as store:
        store.execute("update runs set status = 'RUNNING'")
        store.execute("delete from model_version_tags")
        store.execute("delete from model_versions")
        store.commit()
    second = log(tmp_path)
    with closing(sqlite3.connect(tmp_path / track.STORE)) as store:
        runs = dict(store.execute("select run_uuid, lifecycle_stage from runs").fetchall())
        versions = store.execute("select version, run_id from model_versions").fetchall()
    assert runs == {first: "deleted", second: "active"}
    assert versions == [(1, second)]


def test_another_schema_and_names_that_mlflow_refuses_are_left_to_it(tmp_path: Path) -> None:
    store = tmp_path / track.STORE
    assert mlflow_rows.can_write(store)
    log(tmp_path)
    assert mlflow_rows.can_write(store, ["ridge/mae", "a b.c-d"])
    assert [name for name in ("a:b", "a,b", "../a", "a//b", "/a", "", ".", "a" * 251) if mlflow_rows.can_write(store, [name])] == []
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("update alembic_version set version_num = 'another'")
        connection.commit()
    assert not mlflow_rows.can_write(store)


def test_mlflow_is_not_imported_for_a_training(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_mlflow_rows; home = pathlib.Path(sys.argv[2]); "
        "from caudal.registry import track; track.warm_up(home).join(); test_mlflow_rows.log(home); "
        "import json; print(json.dumps([name for name in ('mlflow', 'skops') if name in sys.modules]))"
    )
    source = str(Path(caudal.__file__).parents[1])
    printed = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": source}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert json.loads(printed) == ["skops"]


def test_the_schema_is_that_of_the_installed_mlflow() -> None:
    tool = Path(__file__).parents[3] / "tools" / "mlflow_schema.py"
    assert lines(runpy.run_path(str(tool))["schema"]()) == lines(mlflow_rows.SCHEMA.read_text()), "python tools/mlflow_schema.py"


def lines(schema: str) -> list[str]:
    """Return the lines in an order of their own: MLflow's migrations make constraints and indexes in any."""
    return sorted(line.strip(" \t,") for line in schema.splitlines())
