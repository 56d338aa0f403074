"""Load a registered version for prediction. Nothing slow is imported here, because the web app starts with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from caudal.compiled import CompiledModel, read_compiled
from caudal.declarations.signature import RowPredictions, coerce_inputs, prediction_frame
from caudal.engine.session import session
from caudal.errors import NotThere
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import model_versions
from caudal.ledger.rows import ModelVersionRow
from caudal.registry import artifact
from caudal.registry.row_frames import PredictsFrames
from caudal.tables.home import Home

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from pyspark.ml import Transformer
    from pyspark.sql import DataFrame, SparkSession

    from caudal.declarations.estimator import Estimator
    from caudal.declarations.signature import SignatureDocument


@dataclass(frozen=True)
class LoadedModel(PredictsFrames):
    """A version of a scikit-learn estimator, or of another one that was stored by its conventions.

    Parameters
    ----------
    version : its number
    candidate : name of the candidate
    signature : its inputs and outputs
    estimator : the fitted pipeline
    trained_until : ISO time of its newest training row
    row : its row in the ledger
    """

    version: int
    candidate: str
    signature: SignatureDocument
    estimator: Estimator
    trained_until: str | None
    row: ModelVersionRow

    format = "sklearn"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, for classes, ``probability_<class>`` of each row, with the frame's index.

        Raises
        ------
        StepFailed : an input is missing or is not a number
        """
        inputs = coerce_inputs(frame, self.signature["inputs"])
        if inputs.empty:
            return prediction_frame(frame, [])
        classes = getattr(self.estimator, "classes_", None)
        shares = self.estimator.predict_proba(inputs) if classes is not None and hasattr(self.estimator, "predict_proba") else None
        return prediction_frame(frame, self.estimator.predict(inputs), shares, classes)


@dataclass(frozen=True)
class LoadedSparkModel(PredictsFrames):
    """A Spark ML version; the first prediction starts Spark."""

    version: int
    candidate: str
    signature: SignatureDocument
    trained_until: str | None
    row: ModelVersionRow
    folder: Path
    spark: Callable[[], SparkSession]

    format = "spark"

    @cached_property
    def estimator(self) -> Transformer:
        """The fitted PipelineModel."""
        return artifact.read_spark(self.folder, self.row["artifact_sha256"], self.spark, _version_label(self.row))

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, for classes, ``probability_<class>`` of each row, with the frame's index."""
        from caudal.engine.ml import ml_scored

        return ml_scored(self.estimator, self.spark(), frame, self.signature["inputs"], self.signature["output"]["classes"])

    def transform(self, frame: DataFrame) -> DataFrame:
        """Return a Spark frame with the model's predictions."""
        from caudal.engine.ml import ml_columns

        return self.estimator.transform(ml_columns(frame, self.signature["inputs"]))


@dataclass(frozen=True)
class LoadedCompiledModel:
    """A version that predicts without the libraries of its training; its pipeline is loaded when it is needed for the first time.

    Parameters
    ----------
    load : returns the version with its pipeline
    pipeline_from_rows : size of a batch from which the pipeline predicts; None for no size
    """

    version: int
    candidate: str
    signature: SignatureDocument
    compiled: CompiledModel
    load: Callable[[], LoadedModel | LoadedSparkModel]
    pipeline_from_rows: int | None = None

    @cached_property
    def pipeline(self) -> LoadedModel | LoadedSparkModel:
        """The version with its pipeline."""
        return self.load()

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> RowPredictions:
        """Return the prediction of each row, and the probabilities of each class: from the arrays, or by the pipeline where that is much faster for so many rows."""
        if self.pipeline_from_rows is not None and len(rows) >= self.pipeline_from_rows:
            return self.pipeline.predict_rows(rows)
        return self.compiled.predict_rows(rows)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, for classes, ``probability_<class>`` of each row, by the pipeline."""
        return self.pipeline.predict(frame)


def load_for_serving(
    home: Home, ledger: Ledger, product: str, model: str, version: int, *, trust: Sequence[str] = ()
) -> LoadedCompiledModel | LoadedModel | LoadedSparkModel:
    """Return a version as the web app serves it: by its compiled form where it has one, else as ``load_version`` does.

    Raises
    ------
    NotThere : the version does not exist
    EnvironmentProblem : its files are missing or changed, or cannot be read; the error says how
    """

    def with_pipeline() -> LoadedModel | LoadedSparkModel:
        return load_version(home, ledger, product, model, version, trust=trust)

    row = version_row(ledger, product, model, version)
    outcome = row["compiled"]
    if outcome is None or outcome["reason"] is not None:
        return with_pipeline()
    label = _version_label(row)
    compiled = read_compiled(artifact.read_verified_files(home.path / row["artifact"], row["artifact_sha256"], label), label)
    if compiled is None:
        return with_pipeline()
    return LoadedCompiledModel(
        row["version"], row["candidate"], row["signature"], compiled, with_pipeline, outcome["pipeline_from_rows"]
    )


def load_version(
    home: Home,
    ledger: Ledger,
    product: str,
    model: str,
    version: int | None = None,
    *,
    spark: Callable[[], SparkSession] | None = None,
    trust: Sequence[str] = (),
) -> LoadedModel | LoadedSparkModel:
    """Return a version of a model, by default the champion.

    Parameters
    ----------
    spark : returns the Spark session for a Spark ML version; by default a local one is started
    trust : types that a stored model may contain besides the known safe ones; ``"pickle"`` allows pickle

    Raises
    ------
    NotThere : the version does not exist, or there is no champion
    EnvironmentProblem : its files are missing or changed, contain foreign types, or need other libraries
    """
    row = version_row(ledger, product, model, version)
    folder = home.path / row["artifact"]
    if row["format"] == "spark":
        return LoadedSparkModel(
            row["version"], row["candidate"], row["signature"], row["training_until"], row, folder, spark or _session
        )
    estimator = artifact.read_artifact(folder, row["format"], row["artifact_sha256"], trust, _version_label(row))
    return LoadedModel(row["version"], row["candidate"], row["signature"], estimator, row["training_until"], row)


def version_row(ledger: Ledger, product: str, model: str, version: int | None = None) -> ModelVersionRow:
    """Return the ``model_versions`` row of a version, by default the champion's.

    Raises
    ------
    NotThere : the version does not exist; the error lists the existing ones
    """
    if version is None:
        champion = ledger.champion(product, model)
        if champion:
            del champion["decision"]  # type: ignore[misc]  # of a copy: without it, it is the version's row
            return champion
    else:
        rows = ledger.find(model_versions, product=product, model=model, version=version)
        if rows:
            return rows[0]
    existing = [row["version"] for row in ledger.find(model_versions, product=product, model=model)]
    if not existing:
        raise NotThere(
            f"Product '{product}' has no trained version of a model '{model}'.",
            fix=f"Run `caudal run {product}` first.",
            model=model,
        )
    if version is None:
        raise NotThere(
            f"Model '{model}' of product '{product}' has no champion: none of its {len(existing)} versions was promoted.",
            fix=f"See `caudal model show {model} --product {product}`, then promote one: `caudal model promote {model} {existing[-1]} --product {product}`.",
            model=model,
        )
    raise NotThere(
        f"Model '{model}' has no version {version}; it has {', '.join(map(str, existing))}.", model=model, version=version
    )


def _session() -> SparkSession:
    return session()


def _version_label(row: ModelVersionRow) -> str:
    return f"version {row['version']} of model '{row['model']}' of product '{row['product']}'"
