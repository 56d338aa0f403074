"""The run and the model version in MLflow, in a SQLite file below the home. The only place that imports mlflow.

MLflow's experiments, runs and registered models can be looked at with ``mlflow ui --backend-store-uri sqlite:///HOME/mlflow.db``.
Production is decided in the ledger (``decide.py``), not by MLflow's aliases.
"""

from __future__ import annotations

import logging
import math
import os
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from caudal.engine.cache import cache_dir
from caudal.storage.mirror import plain_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORE = "mlflow.db"
MAX_PARAMS = 100  # MLflow takes so many in one batch …
MAX_VALUE = 6000  # … of so many characters
MAX_METRICS = 1000

# Nothing is sent anywhere, and nothing is asked of git or printed.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOGGING_LEVEL": "ERROR", "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}  # fmt: skip

_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True)
class Logged:
    """A candidate's figures for MLflow: ``folds`` one mapping of metrics per fold."""

    name: str
    folds: Iterable[Mapping[str, Any]]
    means: Mapping[str, float | None]


def track(
    home: Path,
    product: str,
    model: str,
    version: int,
    fingerprint: str,
    *,
    artifact: Path,
    candidates: Iterable[Logged],
    metrics: Mapping[str, float | None],
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    signature: Mapping[str, Any],
) -> str:
    """Log one training and its model version, and return the id of the MLflow run. The same fingerprint is logged once.

    Metrics: ``<metric>`` of the chosen candidate, and ``<candidate>/<metric>`` with the fold as step.
    """
    import json
    import time

    _hush()
    client = _client(home)
    experiment = _experiment(client, product, artifact.parent.parent)
    mark = {"caudal.product": product, "caudal.model": model, "caudal.version": str(version), "caudal.fingerprint": fingerprint}
    asked = (
        f"tags.`caudal.fingerprint` = '{fingerprint}' and tags.`caudal.model` = '{model}' and tags.`caudal.version` = '{version}'"
    )
    before = client.search_runs([experiment], asked, max_results=1)
    if before and before[0].info.status == "FINISHED":
        return _registered(client, product, model, version, str(before[0].info.run_id), artifact)
    if before:  # a run that was killed while it was logged
        client.delete_run(before[0].info.run_id)
    run = client.create_run(
        experiment, run_name=f"{model} {version}", tags={**mark, **tags, "mlflow.source.name": "caudal"}
    ).info.run_id
    now_ms = int(time.time() * 1000)
    for some in _batches([_param(name, value) for name, value in parameters.items()], MAX_PARAMS):
        client.log_batch(run, params=some)
    for some in _batches(_metrics(candidates, metrics, now_ms), MAX_METRICS):
        client.log_batch(run, metrics=some)
    client.set_tag(run, "caudal.signature", json.dumps(signature)[:5000])
    client.set_tag(run, "caudal.artifact", artifact.as_posix())
    client.set_terminated(run)
    return _registered(client, product, model, version, run, artifact)


def warm_up(home: Path) -> Thread:
    """Start importing MLflow and making its database beside other work, and return the thread: together they take seconds."""

    def warmed() -> None:
        # What fails here fails again, and is told, when a version is registered.
        with suppress(Exception):
            _hush()
            _client(home)

    thread = Thread(target=warmed, name="mlflow-warm-up", daemon=True)
    thread.start()
    return thread


def _client(home: Path) -> MlflowClient:
    """Return a client of the store below the home, which is made aside and renamed: half a schema could not be mended."""
    import sqlite3

    from mlflow import MlflowClient

    home.mkdir(parents=True, exist_ok=True)
    with _ONE_AT_A_TIME:
        if not (home / STORE).exists():
            build_context = home / f".{STORE}-{uuid.uuid4().hex}"
            try:
                build_context.write_bytes(_empty(MlflowClient).read_bytes())
                with closing(sqlite3.connect(build_context)) as store:
                    store.execute("UPDATE experiments SET artifact_location = ?", ((home / "mlruns" / "0").absolute().as_uri(),))
                    store.commit()
                build_context.rename(home / STORE)
            finally:
                build_context.unlink(missing_ok=True)
    return _at(MlflowClient, home / STORE)


def _empty(kind: type[MlflowClient]) -> Path:
    """Return a store with nothing in it, which this user has of each version of MLflow: to make one takes two seconds, mostly of migrations."""
    import sqlite3

    from mlflow.version import VERSION

    kept = cache_dir("mlflow") / f"{VERSION}-with-default.db"
    if not kept.exists():
        build_context = kept.with_name(f".{kept.name}-{uuid.uuid4().hex}")
        try:
            with _plain_artifact_root():
                _at(kind, build_context).search_experiments(max_results=1)
            # The experiment that MLflow makes first names a folder of this process. None is to be made by the next who opens the store:
            # MLflow does not quote the name of the folder in which that process runs.
            with closing(sqlite3.connect(build_context)) as store:
                store.execute("UPDATE experiments SET artifact_location = 'mlruns/0'")
                store.commit()
            build_context.rename(kept)
        finally:
            build_context.unlink(missing_ok=True)
    return kept


@contextmanager
def _plain_artifact_root() -> Iterator[None]:
    name = "_MLFLOW_SERVER_ARTIFACT_ROOT"
    before = os.environ.get(name)
    os.environ[name] = "/mlruns"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _at(kind: type[MlflowClient], file: Path) -> MlflowClient:
    url = f"sqlite:///{plain_folder(file.absolute().parent) / file.name}"
    return kind(tracking_uri=url, registry_uri=url)


def _experiment(client: MlflowClient, product: str, artifacts: Path) -> str:
    found = client.get_experiment_by_name(product)
    return str(found.experiment_id if found else client.create_experiment(product, artifact_location=artifacts.absolute().as_uri()))


def _registered(client: MlflowClient, product: str, model: str, version: int, run: str, artifact: Path) -> str:
    from mlflow.exceptions import MlflowException

    name = f"{product}.{model}"
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    if not client.search_model_versions(f"run_id = '{run}'"):
        client.create_model_version(name, source=artifact.absolute().as_uri(), run_id=run, tags={"caudal.version": str(version)})
    return run


def _param(name: str, value: object) -> Any:
    from mlflow.entities import Param

    return Param(name, str(value)[:MAX_VALUE])


def _metrics(candidates: Iterable[Logged], metrics: Mapping[str, float | None], now_ms: int) -> list[Any]:
    from mlflow.entities import Metric

    told = [(name, value, 0) for name, value in metrics.items()]
    for candidate in candidates:
        told += [
            (f"{candidate.name}/{name}", fold.get(name), step)
            for step, fold in enumerate(candidate.folds, start=1)
            for name in candidate.means
        ]
    return [Metric(name, value, now_ms, step) for name, value, step in told if value is not None and math.isfinite(value)]


def _batches(rows: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _hush() -> None:
    """Keep MLflow and the migrations of its database from the terminal and from the network."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "mlflow.store.db.utils", "mlflow.tracking", "alembic", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # MLflow uses what SQLAlchemy 2.1 is about to drop. A filter, for catch_warnings is not safe in a thread of its own.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mlflow(\.|$)")
