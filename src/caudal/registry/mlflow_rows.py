"""Write a training into MLflow's SQLite store without MLflow, whose import takes longer than most trainings.

The tables are those of one revision of MLflow's schema, kept in ``mlflow_schema.sql`` (``python tools/mlflow_schema.py`` writes it). A store of another revision, an
MLflow with other migrations, and names that MLflow refuses are left to MLflow itself (``track.py``).
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

SCHEMA = Path(__file__).with_name("mlflow_schema.sql")
WAIT_S = 60.0  # for another process that writes to the store
WORKSPACE = "default"
_HEADER = re.compile(r"-- revision (?P<revision>\w+), migrations (?P<migrations>\w+)")
_NAME = re.compile(r"[/\w.\- ]{1,250}")  # MLflow's rule for names of metrics and parameters, on every system

Metrics = Sequence[tuple[str, float, int]]
"""Name, value and step of each."""


def migrations_digest() -> str | None:
    """Return a hash of the names of the installed MLflow's migrations, without importing it; None where there is none."""
    found = find_spec("mlflow")
    places = found.submodule_search_locations if found is not None else None
    if not places:
        return None
    names = sorted(path.name for path in Path(places[0], "store", "db_migrations", "versions").glob("*.py"))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def can_write(store: Path, names: Iterable[str] = ()) -> bool:
    """Return whether rows with these names can be written: the store, or the installed MLflow where there is no store yet, has the known schema.

    Raises
    ------
    sqlite3.DatabaseError : the file is no database
    """
    if not all(_is_accepted(name) for name in names):
        return False
    known = _known()
    if not store.exists():
        return migrations_digest() == known["migrations"]
    with closing(_opened(store)) as connection:
        has_revision = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
        ).fetchone()
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchall() if has_revision else []
    return revision == [(known["revision"],)]


def create_store(store: Path) -> None:
    """Create an empty store, as MLflow does, under another name, and rename it: a partial schema could not be repaired."""
    store.parent.mkdir(parents=True, exist_ok=True)
    draft = store.with_name(f".{store.name}-{uuid.uuid4().hex}")
    now = _now_ms()
    try:
        with closing(sqlite3.connect(draft)) as connection:
            connection.executescript(f"BEGIN;\n{SCHEMA.read_text()}\nCOMMIT;")
            connection.execute(
                "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace) "
                "VALUES (0, 'Default', ?, 'active', ?, ?, ?)",
                ((store.parent / "mlruns" / "0").absolute().as_uri(), now, now, WORKSPACE),
            )
            connection.commit()
        draft.rename(store)
    finally:
        draft.unlink(missing_ok=True)


def write_training(
    store: Path,
    experiment: str,
    model: str,
    run_name: str,
    *,
    artifacts: Path,
    artifact: Path,
    same: Mapping[str, str],
    tags: Mapping[str, str],
    parameters: Mapping[str, str],
    metrics: Metrics,
    version_tags: Mapping[str, str],
) -> str:
    """Write a finished run and its model version in one transaction, and return the run's id; an earlier finished run of the same training is kept.

    Parameters
    ----------
    artifacts : folder of the experiment; ``artifact`` is that of the model version
    same : the tags by which a run of the same training is known; ``tags`` are all tags
    """
    with closing(_opened(store)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        experiment_id, location = _experiment(connection, experiment, artifacts)
        run = _finished_run(connection, experiment_id, same)
        if run is None:
            run = _write_run(connection, experiment_id, location, run_name, {**tags, "mlflow.runName": run_name})
            connection.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", [(*item, run) for item in parameters.items()]
            )
            _write_metrics(connection, run, metrics)
        _write_version(connection, model, run, artifact, version_tags)
        connection.commit()
    return run


def _experiment(connection: sqlite3.Connection, name: str, artifacts: Path) -> tuple[int, str]:
    """Return the experiment's id and the address of its files; it is created when there is none."""
    found = connection.execute(
        "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments WHERE name = ? AND workspace = ?",
        (name, WORKSPACE),
    ).fetchone()
    if found is not None:
        if found[2] != "active":
            raise ValueError(f"the experiment {name} is deleted in MLflow's store")
        return int(found[0]), str(found[1])
    now, location = _now_ms(), artifacts.absolute().as_uri()
    added = connection.execute(
        "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace) VALUES (?, ?, 'active', ?, ?, ?)",
        (name, location, now, now, WORKSPACE),
    )
    return int(added.lastrowid or 0), location


def _finished_run(connection: sqlite3.Connection, experiment_id: int, same: Mapping[str, str]) -> str | None:
    """Return the finished run with all of these tags; one that is not finished was killed while it was logged, and is deleted."""
    has_tags = " ".join(
        "AND EXISTS (SELECT 1 FROM tags WHERE tags.run_uuid = runs.run_uuid AND key = ? AND value = ?)" for _ in same
    )
    earlier = connection.execute(
        f"SELECT run_uuid, status FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active' {has_tags} ORDER BY start_time DESC",  # noqa: S608
        (experiment_id, *(part for item in same.items() for part in item)),
    ).fetchone()
    if earlier is None or earlier[1] == "FINISHED":
        return None if earlier is None else str(earlier[0])
    connection.execute("UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = ? WHERE run_uuid = ?", (_now_ms(), earlier[0]))
    return None


def _write_run(connection: sqlite3.Connection, experiment_id: int, location: str, name: str, tags: Mapping[str, str]) -> str:
    run, now = uuid.uuid4().hex, _now_ms()
    connection.execute(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version, "
        "lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'UNKNOWN', '', '', 'unknown', 'FINISHED', ?, ?, '', 'active', ?, ?)",
        (run, name, now, now, f"{location}/{run}/artifacts", experiment_id),
    )
    connection.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", [(*item, run) for item in tags.items()])
    return run


def _write_metrics(connection: sqlite3.Connection, run: str, metrics: Metrics) -> None:
    now = _now_ms()
    connection.executemany(
        "INSERT OR IGNORE INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)",
        [(name, value, now, run, step) for name, value, step in metrics],
    )
    newest: dict[str, tuple[int, float]] = {}
    for name, value, step in metrics:
        newest[name] = max(newest.get(name, (step, value)), (step, value))
    connection.executemany(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
        [(name, value, now, step, run) for name, (step, value) in newest.items()],
    )


def _write_version(connection: sqlite3.Connection, model: str, run: str, artifact: Path, tags: Mapping[str, str]) -> None:
    """Write the next version of a registered model, which is created when there is none; a run has one version."""
    now, address = _now_ms(), artifact.absolute().as_uri()
    connection.execute(
        "INSERT OR IGNORE INTO registered_models (name, creation_time, last_updated_time, workspace) VALUES (?, ?, ?, ?)",
        (model, now, now, WORKSPACE),
    )
    if connection.execute("SELECT 1 FROM model_versions WHERE run_id = ?", (run,)).fetchone() is not None:
        return
    (number,) = connection.execute(
        "SELECT COALESCE(MAX(version), 0) + 1 FROM model_versions WHERE name = ? AND workspace = ?", (model, WORKSPACE)
    ).fetchone()
    connection.execute(
        "UPDATE registered_models SET last_updated_time = ? WHERE name = ? AND workspace = ?", (now, model, WORKSPACE)
    )
    connection.execute(
        "INSERT INTO model_versions (name, version, creation_time, last_updated_time, current_stage, source, run_id, status, storage_location, workspace) "
        "VALUES (?, ?, ?, ?, 'None', ?, ?, 'READY', ?, ?)",
        (model, number, now, now, address, run, address, WORKSPACE),
    )
    connection.executemany(
        "INSERT INTO model_version_tags (key, value, name, version, workspace) VALUES (?, ?, ?, ?, ?)",
        [(*item, model, number, WORKSPACE) for item in tags.items()],
    )


def _known() -> dict[str, str]:
    """Return the revision of the schema that is known, and the hash of the migrations that lead to it."""
    with SCHEMA.open() as schema:
        header = _HEADER.match(schema.readline())
    assert header is not None
    return header.groupdict()


def _is_accepted(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and posixpath.normpath(name) == name != "." and not name.startswith(("/", ".."))


def _opened(store: Path) -> sqlite3.Connection:
    return sqlite3.connect(store, timeout=WAIT_S, isolation_level=None)


def _now_ms() -> int:
    return int(time.time() * 1000)
