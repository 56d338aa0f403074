"""Parquet files as frames, on every engine: paths are taken literally, and the given schema decides, with the marks of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.choice import can, session_engine
from caudal.engine.marks import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession
    from pyspark.sql.types import StructType


def literal_reader(spark: SparkSession) -> DataFrameReader:
    """Return a reader that takes file names literally; by default Spark takes ``[ ] { } * ?`` and a backslash for patterns."""
    return spark.read.option("__globPaths__", "false")


def literal_path(spark: SparkSession, path: str) -> str:
    """Return a path as the session's engine takes it literally."""
    engine = session_engine(spark)
    return path if engine.can(Capability.LITERAL_PATHS) else engine.literal_path(path)


def parquet_frame(spark: SparkSession, paths: Sequence[str], schema: StructType, **options: str) -> DataFrame:
    """Return the rows of Parquet files; a column that a file lacks is null.

    Parameters
    ----------
    paths : in the notation of Spark's Hadoop client
    schema : the columns to read, with their metadata
    options : of the reader
    """
    files = literal_reader(spark).options(**options)
    literal_paths = [literal_path(spark, path) for path in paths]
    if can(spark, Capability.JSON_SCHEMA):
        return files.schema(schema).parquet(*literal_paths)
    rows = files.schema(ddl_of(schema)).parquet(*literal_paths)
    for field in schema.fields:
        if field.metadata:
            rows = rows.withMetadata(field.name, dict(field.metadata))
    return rows


def ddl_of(schema: StructType) -> str:
    """Return a schema as Spark's DDL, without the metadata of its columns."""
    return ", ".join(f"{quoted(field.name)} {field.dataType.simpleString()}" for field in schema.fields)
