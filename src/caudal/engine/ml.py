"""Spark ML models on pandas frames: rows in, predictions out, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from caudal.declarations.signature import PREDICTION, InputDocument, coerce_inputs, prediction_frame
from caudal.errors import StepFailed, nearest
from caudal.json_value import Scalar

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.ml import Transformer
    from pyspark.sql import DataFrame, SparkSession

ROW = "_row"


def ml_frame(spark: SparkSession, frame: pd.DataFrame, inputs: Sequence[InputDocument], **more: pd.Series) -> DataFrame:
    """Return the inputs as a Spark frame: numbers as double, strings as string, missing values as null; further columns by name."""
    # The inputs must be cast by the same function as everywhere else; then NaN becomes the null that Spark ML expects.
    cast = coerce_inputs(frame, inputs).reset_index(drop=True)
    missing: Any = None
    cast = cast.astype(object).where(cast.notna(), missing)
    fields = [StructField(input_["name"], StringType() if input_["type"] == "string" else DoubleType()) for input_ in inputs]
    for name, values in more.items():
        cast[name] = list(values)
        fields.append(StructField(name, DoubleType()))
    cast[ROW] = range(len(cast))
    return spark.createDataFrame(cast, StructType([*fields, StructField(ROW, LongType())]))


def ml_scored(
    model: Transformer, spark: SparkSession, frame: pd.DataFrame, inputs: Sequence[InputDocument], classes: Sequence[Scalar] | None
) -> pd.DataFrame:
    """Return the predictions of a fitted Spark ML model for a pandas frame, with its index.

    Parameters
    ----------
    model : pyspark.ml Transformer that adds ``prediction`` (for classes, their index) and perhaps ``probability``
    """
    if frame.empty:
        return prediction_frame(frame, [])
    scored = model.transform(ml_frame(spark, frame, inputs))
    collected = scored_columns(scored, ROW).toPandas()
    ordered = collected.sort_values(ROW)
    if classes is None:
        return prediction_frame(frame, ordered[PREDICTION].to_numpy("float64"))

    names = np.asarray(list(classes), object)[ordered[PREDICTION].to_numpy("int64")]
    shares = np.vstack(list(ordered["probability"])) if "probability" in ordered else None
    return prediction_frame(frame, names, shares, classes)


def ml_columns(frame: DataFrame, inputs: Sequence[InputDocument]) -> DataFrame:
    """Return a Spark frame with the inputs cast to the model's types; further columns stay.

    Raises
    ------
    StepFailed : an input is missing
    """
    for input_ in inputs:
        if input_["name"] not in frame.columns:
            raise StepFailed(
                f"The model needs the input '{input_['name']}', which the rows do not have.", nearest=nearest(input_["name"], frame.columns),
                column=input_["name"],
            )  # fmt: skip
    kinds = {input_["name"]: "string" if input_["type"] == "string" else "double" for input_ in inputs}
    return frame.withColumns({name: F.col(name).cast(kind) for name, kind in kinds.items()})


def scored_columns(scored: DataFrame, *keys: str) -> DataFrame:
    """Return keys, ``prediction`` and ``probability`` (array of double) of a scored Spark frame."""
    columns = [F.col(name) for name in (*keys, PREDICTION)]
    if "probability" in scored.columns:
        columns.append(vector_to_array(F.col("probability")).alias("probability"))
    return scored.select(*columns)
