"""Batch prediction: features in, one prediction per row out, with the versions of the model and the input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from pyspark.sql import Window, functions as F
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

from caudal.declarations.node import Features
from caudal.declarations.signature import PREDICTION
from caudal.engine.capability import Capability
from caudal.engine.choice import can
from caudal.engine.ml import scored_columns
from caudal.errors import StepFailed, nearest

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from caudal.declarations.signature import SignatureDocument

Which = Literal["unlabelled", "all", "latest"]


class LoadedVersion(Protocol):
    """A loaded version of a model."""

    @property
    def version(self) -> int:
        """Return its number."""

    @property
    def signature(self) -> SignatureDocument:
        """Return its inputs and its output."""

    @property
    def format(self) -> str:
        """Return ``sklearn`` or ``spark``."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and perhaps ``probability_<class>``."""


@runtime_checkable
class SparkModel(LoadedVersion, Protocol):
    """A loaded version of Spark ML."""

    def transform(self, frame: DataFrame) -> DataFrame:
        """Return a Spark frame with the model's predictions."""


def predict(model: LoadedVersion, features: Features, frame: pd.DataFrame, *, input_version: int) -> pd.DataFrame:
    """Return the predictions for a pandas frame of features, in its order.

    Returns
    -------
    DataFrame, one row per row of ``frame``: entity and ``as_of`` (where features have one), ``prediction`` (and ``probability_<class>``),
    ``model_version`` and ``input_version`` (int64)
    """
    keys = _keys(features, list(map(str, frame.columns)))
    predictions = model.predict(frame)
    return frame[keys].join(predictions).assign(model_version=model.version, input_version=input_version).reset_index(drop=True)


def predict_on_spark(model: LoadedVersion, features: Features, frame: DataFrame, *, input_version: int) -> DataFrame:
    """Return the predictions for a Spark frame of features: the same columns and values as from ``predict``.

    A scikit-learn model is sent to each worker once and predicts there, batch by batch; a Spark ML model transforms the frame.
    """
    keys = _keys(features, frame.columns)
    predictions = _by_spark(model, frame, keys) if isinstance(model, SparkModel) else _by_workers(model, frame, keys)
    return predictions.withColumns(
        {"model_version": F.lit(model.version).cast("long"), "input_version": F.lit(input_version).cast("long")}
    )


def rows_to_predict(frame: DataFrame, which: Which, features: Features, label: str) -> DataFrame:
    """Return the rows of a Spark frame of features to predict: all, those without a label, or each entity's newest."""
    if which == "unlabelled":
        return frame.where(F.col(label).isNull())
    if which == "latest":
        newest = F.row_number().over(Window.partitionBy(*features.entity).orderBy(F.col(features.as_of).desc()))
        return frame.withColumn("_newest", newest).where("_newest = 1").drop("_newest")
    return frame


def _by_workers(model: LoadedVersion, frame: DataFrame, keys: Sequence[str]) -> DataFrame:
    inputs = [input_["name"] for input_ in model.signature["inputs"]]
    classes = model.signature["output"]["classes"] or []
    has_shares = bool(classes) and hasattr(getattr(model, "estimator", None), "predict_proba")
    input_frame = frame.select(*dict.fromkeys([*keys, *_require_columns(inputs, frame.columns)]))
    prediction_fields = [StructField(PREDICTION, StringType() if classes else DoubleType())]
    prediction_fields += [StructField(f"probability_{name}", DoubleType()) for name in classes if has_shares]
    if can(frame.sparkSession, Capability.SHARED_VARIABLES):
        shared = frame.sparkSession.sparkContext.broadcast(model)  # pickled once, and loaded once per worker process

        def batches(parts: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
            for part in parts:
                yield part[list(keys)].join(shared.value.predict(part))

    else:  # the model travels with the function

        def batches(parts: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
            for part in parts:
                yield part[list(keys)].join(model.predict(part))

    return input_frame.mapInPandas(batches, StructType([*(input_frame.schema[name] for name in keys), *prediction_fields]))


def _by_spark(model: SparkModel, frame: DataFrame, keys: Sequence[str]) -> DataFrame:

    # The model casts its inputs, and a key may be one of them, so the keys are carried under other names.
    carried = frame.withColumns({f"_key_{name}": F.col(name) for name in keys})
    predictions = scored_columns(model.transform(carried), *(f"_key_{name}" for name in keys)).withColumnsRenamed(
        {f"_key_{name}": name for name in keys}
    )
    classes = model.signature["output"]["classes"]
    if not classes:
        return predictions.withColumn(PREDICTION, F.col(PREDICTION).cast("double"))
    named = F.array(*(F.lit(name) for name in classes))[F.col(PREDICTION).cast("int")]
    shares = (
        {f"probability_{name}": F.col("probability")[place] for place, name in enumerate(classes)}
        if "probability" in predictions.columns
        else {}
    )
    return predictions.withColumns({PREDICTION: named, **shares}).drop("probability")


def _keys(features: Features, columns: Sequence[str]) -> list[str]:
    return _require_columns(list(features.key), columns)


def _require_columns(names: list[str], columns: Sequence[str]) -> list[str]:
    for name in names:
        if name not in columns:
            raise StepFailed(f"The rows to predict have no column '{name}'.", nearest=nearest(name, columns), column=name)
    return names
