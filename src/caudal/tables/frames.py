"""Table versions ↔ Spark frames, by file lists: no log is replayed in the JVM."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from caudal.engine.capability import Capability
from caudal.engine.choice import can
from caudal.engine.files import parquet_frame
from caudal.storage.delta import DAY, Version
from caudal.storage.parquet import dataset
from caudal.storage.place import spark_path
from caudal.storage.storage_errors import translate_storage_errors
from caudal.tables.intact import check_small, name_damaged_file

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

_EXACT_IN_FLOATS = 2**53


def version_frame(
    spark: SparkSession, version: Version, days: Iterable[str | None] | None = None, segments: Iterable[str] | None = None
) -> DataFrame:
    """Return a table version as a Spark frame, without its partition column; limited to some days or raw files, if given."""
    from pyspark.sql.types import StructType

    schema = StructType([field for field in StructType.fromJson(dict(version.schema)).fields if field.name != DAY])
    paths = version.paths(days, segments)
    if not paths:
        return empty_frame(spark, schema)
    check_small(version, paths, small_only=can(spark, Capability.PAGE_CHECKSUMS))
    # The files are named one by one, so Spark must not guess partition columns from their folders.
    return parquet_frame(spark, [spark_path(path) for path in paths], schema, recursiveFileLookup="true")


def empty_frame(spark: SparkSession, schema: Any) -> DataFrame:
    """Return a frame without rows, made without a Python worker; columns keep their metadata."""
    from pyspark.sql import functions as F

    columns = [F.lit(None).cast(field.dataType).alias(field.name, metadata=dict(field.metadata)) for field in schema.fields]
    return spark.range(0).select(*columns)


def arrow(version: Version, columns: Sequence[str] | None = None, days: Iterable[str | None] | None = None) -> pa.Table:
    """Return a table version as an Arrow table, without Spark."""
    from deltalake import Schema

    whole = pa.schema(Schema.from_json(json.dumps(dict(version.schema))).to_arrow())
    names = [name for name in (columns or whole.names) if name != DAY]
    schema = pa.schema([whole.field(name) for name in names])
    paths = version.paths(days)
    if not paths:
        return schema.empty_table()
    check_small(version, paths)
    with translate_storage_errors(version.folder), name_damaged_file(lambda: paths, f"Table '{version.folder.name}'"):
        return dataset(paths, schema).to_table()


def pandas_frame(table: pa.Table, whole: Collection[str] | None = None) -> pd.DataFrame:
    """Return an Arrow table as a pandas frame that holds the same numbers.

    pandas makes floats of whole numbers beside nulls. Columns named in ``whole``, or all in which a float would round one, have the type ``Int64``
    of pandas instead, which knows nulls.
    """
    frame: pd.DataFrame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_integer(column.type) and column.null_count and (_is_rounded(column) if whole is None else name in whole):
            frame[name] = column.to_pandas(integer_object_nulls=True).astype("UInt64" if column.type == pa.uint64() else "Int64")
    return frame


def _is_rounded(column: pa.ChunkedArray) -> bool:
    """Return whether a column may hold a whole number that a float does not hold."""
    ends = pc.min_max(column).as_py()
    return any(end is not None and abs(end) > _EXACT_IN_FLOATS for end in ends.values())
