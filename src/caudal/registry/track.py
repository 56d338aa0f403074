"""The run and the model version in MLflow, in a SQLite file in the home. The only module that imports mlflow.

The rows are written without MLflow (``mlflow_rows.py``) where its schema is the known one: its import takes seconds. MLflow's experiments, runs and registered models can be viewed with ``mlflow ui --backend-store-uri sqlite:///HOME/mlflow.db``.
Production is decided in the ledger (``decide.py``), not by MLflow's aliases.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sqlite3
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, TypeVar

from caudal.engine.cache import cache_dir
from caudal.registry import mlflow_rows
from caudal.storage.mirror import plain_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

STORE = "mlflow.db"
MAX_PARAMS = 100  # MLflow's limit of one batch …
MAX_VALUE = 6000  # … and of a value's characters
MAX_METRICS = 1000

# No telemetry, no calls of git, no output.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOGGING_LEVEL": "ERROR", "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}  # fmt: skip

_ONE_AT_A_TIME = Lock()

T = TypeVar("T")


@dataclass(frozen=True)
class Logged:
    """A candidate's metrics for MLflow; ``folds`` has one mapping of metrics per fold."""

    name: str
    folds: Iterable[Mapping[str, float | None]]
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
    parameters: Mapping[str, object],
    tags: Mapping[str, str],
    signature: Mapping[str, object],
) -> str:
    """Log one training and its model version, and return the id of the MLflow run. The same fingerprint is logged once.

    Metrics: ``<metric>`` of the chosen candidate, and ``<candidate>/<metric>`` with the fold as step.
    """
    mark = {"caudal.product": product, "caudal.model": model, "caudal.version": str(version), "caudal.fingerprint": fingerprint}
    first_tags = {**mark, **tags, "mlflow.source.name": "caudal"}
    last_tags = {"caudal.signature": json.dumps(signature)[:5000], "caudal.artifact": artifact.as_posix()}
    values = _values(candidates, metrics)
    with _ONE_AT_A_TIME:
        store = _store_without_mlflow(home, [*parameters, *(name for name, _, _ in values)])
    if store is not None:
        return mlflow_rows.write_training(
            store, product, f"{product}.{model}", f"{model} {version}",
            artifacts=artifact.parent.parent, artifact=artifact,
            same={name: mark[name] for name in ("caudal.fingerprint", "caudal.model", "caudal.version")},
            tags={**first_tags, **last_tags}, parameters={name: str(value)[:MAX_VALUE] for name, value in parameters.items()},
            metrics=values, version_tags={"caudal.version": str(version)},
        )  # fmt: skip
    _silence_mlflow()
    client = _client(home)
    experiment = _experiment(client, product, artifact.parent.parent)
    condition = (
        f"tags.`caudal.fingerprint` = '{fingerprint}' and tags.`caudal.model` = '{model}' and tags.`caudal.version` = '{version}'"
    )
    earlier = client.search_runs([experiment], condition, max_results=1)
    if earlier and earlier[0].info.status == "FINISHED":
        return _register_version(client, product, model, version, str(earlier[0].info.run_id), artifact)
    if earlier:  # a run that was killed while it was logged
        client.delete_run(earlier[0].info.run_id)
    run = client.create_run(experiment, run_name=f"{model} {version}", tags=first_tags).info.run_id
    now_ms = int(time.time() * 1000)
    for batch in _batches([_param(name, value) for name, value in parameters.items()], MAX_PARAMS):
        client.log_batch(run, params=batch)
    for metric_batch in _batches(_metrics(values, now_ms), MAX_METRICS):
        client.log_batch(run, metrics=metric_batch)
    for name, value in last_tags.items():
        client.set_tag(run, name, value)
    client.set_terminated(run)
    return _register_version(client, product, model, version, run, artifact)


def _store_without_mlflow(home: Path, names: Iterable[str] = ()) -> Path | None:
    """Return the home's store, created when there is none, where rows can be written into it without MLflow; else None."""
    store = home / STORE
    if not mlflow_rows.can_write(store, names):
        return None
    if not store.exists():
        mlflow_rows.create_store(store)
    return store


def warm_up(home: Path) -> Thread:
    """Import what stores a model, and create MLflow's database, in a thread, which is returned: it takes a second, and more where MLflow is needed for it."""

    def import_and_create() -> None:
        # A failure here recurs, and is reported, when a version is registered.
        with suppress(Exception):
            # It looks for names in every module there is: before MLflow brings its thousands, that takes a third of the time.
            import skops.io  # noqa: F401

            with _ONE_AT_A_TIME:
                store = _store_without_mlflow(home)
            if store is None:
                _silence_mlflow()
                _client(home)

    thread = Thread(target=import_and_create, name="mlflow-warm-up", daemon=True)
    thread.start()
    return thread


def _client(home: Path) -> MlflowClient:
    """Return a client of the home's store, which is created under another name and renamed: a partial schema could not be
    repaired."""
    from mlflow import MlflowClient

    home.mkdir(parents=True, exist_ok=True)
    with _ONE_AT_A_TIME:
        if not (home / STORE).exists():
            draft = home / f".{STORE}-{uuid.uuid4().hex}"
            try:
                draft.write_bytes(_empty(MlflowClient).read_bytes())
                with closing(sqlite3.connect(draft)) as store:
                    store.execute("UPDATE experiments SET artifact_location = ?", ((home / "mlruns" / "0").absolute().as_uri(),))
                    store.commit()
                draft.rename(home / STORE)
            finally:
                draft.unlink(missing_ok=True)
    return _at(MlflowClient, home / STORE)


def _empty(kind: type[MlflowClient]) -> Path:
    """Return an empty store, cached per user and MLflow version: creating one takes two seconds, mostly for migrations."""
    from mlflow.version import VERSION

    cached = cache_dir("mlflow") / f"{VERSION}-with-default.db"
    if not cached.exists():
        draft = cached.with_name(f".{cached.name}-{uuid.uuid4().hex}")
        try:
            with _plain_artifact_root():
                _at(kind, draft).search_experiments(max_results=1)
            # MLflow's first experiment names a folder of this process. The next process that opens the store must not create one:
            # MLflow does not quote the name of that process's working directory.
            with closing(sqlite3.connect(draft)) as store:
                store.execute("UPDATE experiments SET artifact_location = 'mlruns/0'")
                store.commit()
            draft.rename(cached)
        finally:
            draft.unlink(missing_ok=True)
    return cached


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
    experiment = client.get_experiment_by_name(product)
    return str(
        experiment.experiment_id
        if experiment
        else client.create_experiment(product, artifact_location=artifacts.absolute().as_uri())
    )


def _register_version(client: MlflowClient, product: str, model: str, version: int, run: str, artifact: Path) -> str:
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


def _param(name: str, value: object) -> Param:
    from mlflow.entities import Param

    return Param(name, str(value)[:MAX_VALUE])


def _values(candidates: Iterable[Logged], metrics: Mapping[str, float | None]) -> list[tuple[str, float, int]]:
    """Return each metric that has a value, with its step: 0 for those of the chosen candidate, the fold for those of a fold."""
    values = [(name, value, 0) for name, value in metrics.items()]
    for candidate in candidates:
        values += [
            (f"{candidate.name}/{name}", fold.get(name), step)
            for step, fold in enumerate(candidate.folds, start=1)
            for name in candidate.means
        ]
    return [(name, value, step) for name, value, step in values if value is not None and math.isfinite(value)]


def _metrics(values: Iterable[tuple[str, float, int]], now_ms: int) -> list[Metric]:
    from mlflow.entities import Metric

    return [Metric(name, value, now_ms, step) for name, value, step in values]


def _batches(rows: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _silence_mlflow() -> None:
    """Keep MLflow and its database migrations from writing to the terminal and using the network."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "mlflow.store.db.utils", "mlflow.tracking", "alembic", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # MLflow uses features that SQLAlchemy 2.1 deprecates. A filter, because catch_warnings is not thread-safe.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mlflow(\.|$)")
