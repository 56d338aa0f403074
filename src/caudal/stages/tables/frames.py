"""Turn the result of a table function into a Spark frame."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from caudal.errors import StepFailed

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.pandas import DataFrame as PandasOnSpark

Frame = TypeVar("Frame", "PandasOnSpark[Any]", "pd.DataFrame")
LARGEST_PANDAS_ROWS = 1_000_000


def as_frame(result: object, name: str) -> DataFrame:
    """Return the result of the function of table ``name`` as a Spark frame.

    A pandas-on-Spark frame or a pandas frame is converted; a named index (the result of ``groupby``) becomes columns, an unnamed
    one is dropped. Times without a zone are local wall time (TIMESTAMP_NTZ).

    Raises
    ------
    StepFailed : the function returned nothing, or something that is not a frame
    """
    if isinstance(result, DataFrame):
        return result
    # Neither library is imported for this check: if it was never imported, its frames cannot have been returned.
    on_spark, pandas = sys.modules.get("pyspark.pandas"), sys.modules.get("pandas")
    if on_spark is not None and isinstance(result, on_spark.Series):
        result = result.to_frame()
    if on_spark is not None and isinstance(result, on_spark.DataFrame):
        return _convert_pandas_on_spark(result)
    if pandas is not None and isinstance(result, pandas.Series):
        result = result.to_frame()
    if pandas is not None and isinstance(result, pandas.DataFrame):
        return _convert_pandas(_flatten(result), name)
    if result is None:
        raise StepFailed(f"The function of table '{name}' returned nothing: did you forget return?", table=name)
    kind = f"{type(result).__module__}.{type(result).__qualname__}".removeprefix("builtins.")
    hint = (
        "Call .agg(…) on it."
        if type(result).__name__ in ("Windows", "GroupedData")
        else "Return a Spark, pandas-on-Spark or pandas frame."
    )
    raise StepFailed(f"The function of table '{name}' returned a {kind}, which is no frame.", fix=hint, table=name)


def _convert_pandas_on_spark(frame: PandasOnSpark[Any]) -> DataFrame:
    from pyspark.pandas.utils import PandasAPIOnSparkAdviceWarning

    with warnings.catch_warnings():
        # It advises against losing the index; a named one is a column by now, an unnamed one is a row number.
        warnings.simplefilter("ignore", PandasAPIOnSparkAdviceWarning)
        return _flatten(frame).to_spark()


def _flatten(frame: Frame) -> Frame:
    """Return a pandas-like frame whose named index levels are columns and whose columns have plain string names."""
    if frame.columns.nlevels > 1:
        frame = frame.copy()
        frame.columns = ["_".join(str(part) for part in label if str(part)) for label in frame.columns]
    index_names = [level for level in frame.index.names if level is not None]
    if not index_names:
        return frame
    new_columns = [
        level for level in index_names if level not in frame.columns
    ]  # an index level that is also a column is not repeated
    if not new_columns:
        return frame
    flat = frame.reset_index(level=new_columns)
    assert flat is not None  # pandas-on-Spark says that None is given, which is where it works in place
    return flat


def _convert_pandas(frame: pd.DataFrame, name: str) -> DataFrame:
    if len(frame) > LARGEST_PANDAS_ROWS:
        raise StepFailed(
            f"The function of table '{name}' returned a pandas frame of {len(frame):,} rows; {LARGEST_PANDAS_ROWS:,} are allowed.",
            fix="Stay on Spark: frame.pandas_api() has the same methods.",
            table=name,
        )
    frame = frame.rename(columns=str)
    try:
        schema = from_arrow_schema(pa.Schema.from_pandas(frame, preserve_index=False), prefer_timestamp_ntz=True)
    except (pa.ArrowException, TypeError) as error:
        raise StepFailed(
            f"The pandas frame of table '{name}' holds values that no column can hold: {error}.",
            fix="Give its columns one type each.",
            table=name,
        ) from error
    return SparkSession.builder.getOrCreate().createDataFrame(frame, schema=schema)
