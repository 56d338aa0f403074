"""Registration: a trained model becomes a numbered version with its files, metrics and environment.

The row in ``model_versions`` is decisive and written last: files first, MLflow next, then the rows in one transaction. A kill
before that leaves no version, and the same training then gets the same number again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, insert

from caudal.declarations.signature import SignatureDocument
from caudal.errors import EnvironmentProblem
from caudal.json_value import JsonObject, Scalar
from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, write_measurements
from caudal.ledger.records import candidates, model_versions
from caudal.ledger.rows import CauseDocument, CompiledDocument, HoldoutDocument, ModelVersionRow
from caudal.registry import artifact
from caudal.registry.environment import model_environment, requirements
from caudal.registry.fits import Fits, write_fits
from caudal.registry.measured import write_scores
from caudal.registry.track import Logged, track
from caudal.tables.home import Home

if TYPE_CHECKING:
    import pandas as pd


class CandidateResult(Protocol):
    """The result of a candidate, as training reports it."""

    name: str
    baseline: bool
    score: float | None
    spread: float | None
    folds: Sequence[Mapping[str, Scalar]]
    seconds: float
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    error: str | None


class FittedModel(Protocol):
    """A fitted model: ``format`` is ``sklearn``, ``mojo`` or ``spark``."""

    @property
    def format(self) -> str:
        """The kind of model."""

    @property
    def estimator(self) -> object:
        """The object to store."""


class TrainedModel(Protocol):
    """The result of a training."""

    @property
    def results(self) -> Sequence[Any]:
        """Each candidate's result (``CandidateResult``)."""

    @property
    def fitted(self) -> FittedModel:
        """The chosen candidate, fitted to all rows."""

    @property
    def gates(self) -> Sequence[object]:
        """Each gate's result (``GateResult``)."""

    @property
    def rules(self) -> Sequence[Any]:
        """Each selection rule with its regret (``RuleRegret``)."""

    @property
    def groups(self) -> Sequence[Any]:
        """The candidates by estimator class (``ModelGroup``)."""

    @property
    def effects(self) -> Sequence[Any]:
        """How much each input matters (``InputEffect``)."""

    @property
    def later(self) -> Any:
        """How the version in production did on later rows (``LaterScore``); None where that is not known."""

    chosen: str
    rule: str
    metric: str
    metrics: dict[str, float | None]
    parameters: JsonObject
    signature: SignatureDocument
    rows: int
    training_from: str | None
    training_until: str | None
    holdout: HoldoutDocument | None


@dataclass(frozen=True)
class Registered:
    """A version in the registry: its ``model_versions`` row; ``new`` is True if this call created it."""

    row: ModelVersionRow
    new: bool
    warning: str | None = None

    @property
    def version(self) -> int:
        """Its number."""
        return int(self.row["version"])


def find(home: Home, ledger: Ledger, product: str, model: str, fingerprint: str) -> ModelVersionRow | None:
    """Return the version of an earlier training with this fingerprint, if its files are intact; training is skipped then."""
    for row in reversed(ledger.find(model_versions, product=product, model=model, fingerprint=fingerprint)):
        try:
            if artifact.model_digest(home.path / row["artifact"]) == row["artifact_sha256"]:
                return row
        except EnvironmentProblem:
            continue
    return None


def register(
    home: Home,
    ledger: Ledger,
    product: str,
    model: str,
    trained: Any,
    *,
    fingerprint: str,
    code: str,
    training_table: str,
    training_version: int,
    run_id: str,
    cause: CauseDocument | None = None,
    fits: Fits | None = None,
    trust: Sequence[str] = (),
    figures: Callable[[ModelVersionRow], Sequence[Measurement]] | None = None,
    training: pd.DataFrame | None = None,
    clock: Callable[[], float] = time.time,
) -> Registered:
    """Store a training's result (``Trained``) as the model's next version; the same fingerprint returns the same version.

    If MLflow fails, the version is registered without ``mlflow_run``, and ``warning`` says why.

    Parameters
    ----------
    fingerprint : of the training step: code, parameters and input versions
    cause : why it was trained
    fits : what the functions of its training tables had fitted
    trust : types that a stored model may contain besides the known safe ones; ``"pickle"`` allows pickle
    figures : returns further measurements of the training, which are written in the transaction of its version
    training : DataFrame, the rows of the training, on which the compiled form is compared with the pipeline; without them nothing is compiled

    Raises
    ------
    EnvironmentProblem : the model contains types that could not be loaded again under these settings
    """
    if existing := find(home, ledger, product, model, fingerprint):
        return Registered(existing, new=False)
    numbers = [row["version"] for row in ledger.find(model_versions, product=product, model=model)]
    version = max(numbers, default=0) + 1
    folder = home.models(product, model) / str(version)
    with artifact.renamed_into(folder) as draft:
        label = _version_label(product, model, version)
        written = artifact.write_artifact(draft, trained.fitted.estimator, trained.fitted.format, trust, label)
        training_environment = model_environment(written.format, written.types)
        _describe(draft, trained, written, training_environment)
        write_fits(draft, fits or {})
        compiled = _compile(draft, trained, written.format, training)
    row: ModelVersionRow = {
        "product": product, "model": model, "version": version, "candidate": trained.chosen, "created_at": clock(), "run_id": run_id,
        "fingerprint": fingerprint, "code": code, "training_table": training_table, "training_version": training_version,
        "training_rows": trained.rows, "training_from": trained.training_from, "training_until": trained.training_until,
        "parameters": trained.parameters, "metrics": trained.metrics, "signature": trained.signature, "environment": training_environment,
        "artifact": folder.relative_to(home.path).as_posix(), "artifact_sha256": artifact.model_digest(folder), "format": written.format,
        "gates": [gate.as_dict() for gate in trained.gates], "rule": trained.rule,
        "holdout": trained.holdout, "cause": cause, "mlflow_run": None, "compiled": compiled,
    }  # fmt: skip
    row["mlflow_run"], warning = _track(home.path, row, trained, folder)
    _enter(ledger, row, trained, figures(row) if figures is not None else ())
    return Registered(row, new=True, warning=warning)


def _compile(folder: Path, trained: Any, format: str, training: pd.DataFrame | None) -> CompiledDocument | None:
    """Write the compiled form of a pipeline next to it, or why there is none; None for what is not a pipeline of scikit-learn's kind."""
    if format != "skops" or training is None or training.empty:
        return None
    # Reading pipelines takes scikit-learn, and the web app, which imports this package, does without.
    from caudal.compiled.compiling import compile_model

    compilation = compile_model(trained.fitted.estimator, trained.fitted.predict, trained.signature["inputs"], training)
    for name, content in compilation.files.items():
        (folder / name).write_bytes(content)
    return {"reason": compilation.reason, "rows": compilation.rows, "pipeline_from_rows": compilation.pipeline_from_rows}


def _track(home: Path, row: ModelVersionRow, trained: TrainedModel, folder: Path) -> tuple[str | None, str | None]:
    try:
        run = track(
            home, row["product"], row["model"], row["version"], row["fingerprint"],
            artifact=folder,
            candidates=[Logged(result.name, result.folds, result.metrics) for result in trained.results],
            metrics=trained.metrics,
            parameters={"candidate": trained.chosen, **trained.parameters},
            tags={
                "caudal.run": row["run_id"], "caudal.code": row["code"], "caudal.format": row["format"],
                "caudal.training_data": f"{row['training_table']}@{row['training_version']}", "caudal.sha256": row["artifact_sha256"],
            },
            signature=trained.signature,
        )  # fmt: skip
    # MLflow is a second record; its failure must not lose the model.
    except Exception as error:  # noqa: BLE001
        return None, f"MLflow did not take version {row['version']} of '{row['model']}': {type(error).__name__}: {error}"
    return run, None


def _enter(ledger: Ledger, row: ModelVersionRow, trained: TrainedModel, figures: Sequence[Measurement]) -> None:
    candidate_rows = [
        {
            "run_id": row["run_id"], "product": row["product"], "model": row["model"], "candidate": result.name, "metric": trained.metric,
            "score": result.score, "spread": result.spread, "folds": [dict(fold) for fold in result.folds], "seconds": result.seconds,
            "chosen": result.name == trained.chosen, "baseline": result.baseline, "error": result.error, "parameters": dict(result.parameters),
        }
        for result in trained.results
    ]  # fmt: skip
    with ledger.engine.begin() as connection:
        of_training = (
            (candidates.c.run_id == row["run_id"]) & (candidates.c.product == row["product"]) & (candidates.c.model == row["model"])
        )
        connection.execute(delete(candidates).where(of_training))
        connection.execute(insert(candidates), candidate_rows)
        connection.execute(insert(model_versions), row)
        write_scores(connection, row, trained)
        write_measurements(connection, figures)


def _describe(folder: Path, trained: TrainedModel, written: artifact.StoredArtifact, training_environment: JsonObject) -> None:
    """Write signature, environment and MLflow's description next to the model, so that the folder documents itself."""
    (folder / "signature.json").write_text(json.dumps(trained.signature, indent=1, allow_nan=False))
    (folder / "environment.json").write_text(json.dumps(training_environment, indent=1))
    (folder / "requirements.txt").write_text(requirements(training_environment))
    if written.format == "skops":
        (folder / "MLmodel").write_text(json.dumps(_mlmodel(written, training_environment), indent=1))  # JSON is YAML too


def _mlmodel(written: artifact.StoredArtifact, training_environment: Mapping[str, Any]) -> dict[str, object]:
    """Return the description by which ``mlflow.sklearn.load_model`` can read the folder."""
    return {
        "flavors": {
            "sklearn": {
                "pickled_model": artifact.SKOPS, "serialization_format": "skops", "skops_trusted_types": list(written.types),
                "sklearn_version": training_environment["libraries"]["scikit-learn"], "code": None,
            },
            "python_function": {
                "loader_module": "mlflow.sklearn", "model_path": artifact.SKOPS, "predict_fn": "predict",
                "python_version": training_environment["python"], "env": {"virtualenv": "requirements.txt"},
            },
        },
    }  # fmt: skip


def _version_label(product: str, model: str, version: int) -> str:
    return f"Version {version} of model '{model}' of product '{product}'"
