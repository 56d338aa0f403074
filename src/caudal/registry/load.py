"""A registered version, ready to predict. Nothing slow is imported here: the web app starts with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from caudal.declarations.signature import answer, coerced
from caudal.errors import NotThere
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import model_versions
from caudal.ledger.rows import ModelVersionRow
from caudal.registry import artifact
from caudal.tables.home import Home

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class LoadedModel:
    """A scikit-learn version.

    Parameters
    ----------
    version : its number
    candidate : name of the candidate it is
    signature : what it takes and gives
    estimator : the fitted pipeline
    trained_until : ISO time of its newest training row
    row : its row in the ledger
    """

    version: int
    candidate: str
    signature: dict[str, Any]
    estimator: Any
    trained_until: str | None
    row: ModelVersionRow

    format = "sklearn"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, for classes, ``probability_<class>`` of each row, with the frame's index.

        Raises
        ------
        StepFailed : an input is missing or is no number
        """
        given = coerced(frame, self.signature["inputs"])
        if given.empty:
            return answer(frame, [])
        classes = getattr(self.estimator, "classes_", None)
        shares = self.estimator.predict_proba(given) if classes is not None and hasattr(self.estimator, "predict_proba") else None
        return answer(frame, self.estimator.predict(given), shares, classes)


@dataclass(frozen=True)
class LoadedSparkModel:
    """A Spark ML version; Spark is started by the first prediction."""

    version: int
    candidate: str
    signature: dict[str, Any]
    trained_until: str | None
    row: ModelVersionRow
    folder: Path
    spark: Callable[[], SparkSession]

    format = "spark"

    @cached_property
    def estimator(self) -> Any:
        """The fitted PipelineModel."""
        return artifact.read_spark(self.folder, self.row["artifact_sha256"], self.spark, _what(self.row))

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, for classes, ``probability_<class>`` of each row, with the frame's index."""
        from caudal.engine.ml import ml_scored

        return ml_scored(self.estimator, self.spark(), frame, self.signature["inputs"], self.signature["output"]["classes"])

    def transform(self, frame: DataFrame) -> DataFrame:
        """Return a Spark frame with what the model says of it."""
        from caudal.engine.ml import ml_columns

        return self.estimator.transform(ml_columns(frame, self.signature["inputs"]))  # type: ignore[no-any-return]


def load(
    home: Home,
    ledger: Ledger,
    product: str,
    model: str,
    version: int | None = None,
    *,
    spark: Callable[[], SparkSession] | None = None,
    trust: Sequence[str] = (),
) -> LoadedModel | LoadedSparkModel:
    """Return a version of a model, the champion unless a number is given.

    Parameters
    ----------
    spark : gives the Spark session to a Spark ML version; a local one is started unless given
    trust : types that a stored model may hold beyond those known to be safe; ``"pickle"`` allows pickle

    Raises
    ------
    NotThere : there is no such version, or no champion
    EnvironmentProblem : its files are gone, changed, hold foreign types, or need other libraries
    """
    row = version_row(ledger, product, model, version)
    folder = home.path / row["artifact"]
    if row["format"] == "spark":
        return LoadedSparkModel(
            row["version"], row["candidate"], dict(row["signature"]), row["training_until"], row, folder, spark or _session
        )
    estimator = artifact.read(folder, row["format"], row["artifact_sha256"], trust, _what(row))
    return LoadedModel(row["version"], row["candidate"], dict(row["signature"]), estimator, row["training_until"], row)


def version_row(ledger: Ledger, product: str, model: str, version: int | None = None) -> ModelVersionRow:
    """Return the ``model_versions`` row of a version, the champion's unless a number is given.

    Raises
    ------
    NotThere : with the versions that there are
    """
    if version is None:
        champion = ledger.champion(product, model)
        if champion:
            del champion["decision"]  # type: ignore[misc]  # of a copy: without it, it is the version's row
            return champion
    else:
        found = ledger.find(model_versions, product=product, model=model, version=version)
        if found:
            return found[0]
    there = [row["version"] for row in ledger.find(model_versions, product=product, model=model)]
    if not there:
        raise NotThere(
            f"Product '{product}' has no trained version of a model '{model}'.",
            fix=f"Run `caudal run {product}` first.",
            model=model,
        )
    if version is None:
        raise NotThere(
            f"Model '{model}' of product '{product}' has no champion: none of its {len(there)} versions was promoted.",
            fix=f"See `caudal model show {model} --product {product}`, then promote one: `caudal model promote {model} {there[-1]} --product {product}`.",
            model=model,
        )
    raise NotThere(f"Model '{model}' has no version {version}; it has {', '.join(map(str, there))}.", model=model, version=version)


def _session() -> SparkSession:
    from caudal.engine.session import session

    return session()


def _what(row: ModelVersionRow) -> str:
    return f"version {row['version']} of model '{row['model']}' of product '{row['product']}'"
