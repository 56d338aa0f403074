"""The Spark frame of a table: what its function, query or declaration returns for the frames of its inputs. Nothing is computed yet."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import singledispatch
from typing import TYPE_CHECKING

from caudal.declarations.join import Join, checked_shape
from caudal.declarations.node import Table
from caudal.declarations.product import Product
from caudal.declarations.statistics import Statistics
from caudal.declarations.zone import in_zone
from caudal.engine.capability import Capability
from caudal.engine.choice import can, session_engine
from caudal.engine.connect import query_over
from caudal.errors import CaudalError, StepFailed
from caudal.stages.statistics.batch import statistics

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def frame_of(product: Product, spark: SparkSession, table: Table, frames: Mapping[str, DataFrame]) -> DataFrame:
    """Return the frame that the table's function or query returns for its inputs' frames; nothing is computed yet.

    Raises
    ------
    StepFailed : the function raised or returned no frame; the user's line is named
    """
    with in_zone(product.tz):
        return _frame_of(product, spark, table, frames)


def _frame_of(product: Product, spark: SparkSession, table: Table, frames: Mapping[str, DataFrame]) -> DataFrame:
    try:
        return session_engine(spark).typed(rows_of(table, product, spark, frames))
    except CaudalError:
        raise
    except Exception as error:
        raise translate_table_error(error, table) from error


@singledispatch
def rows_of(table: Table, product: Product, spark: SparkSession, frames: Mapping[str, DataFrame]) -> DataFrame:
    """Return the frame of a table's function or query; declarations that caudal computes itself are registered by their class."""
    from caudal.stages.tables.frames import as_frame

    if table.sql is not None:
        return _query(spark, table, frames)
    assert table.function is not None
    return as_frame(table.function(**frames), table.name)


@rows_of.register(Statistics)
def _statistics(table: Statistics, product: Product, spark: SparkSession, frames: Mapping[str, DataFrame]) -> DataFrame:
    return statistics(frames[table.inputs[0]], table)


@rows_of.register(Join)
def _join(table: Join, product: Product, spark: SparkSession, frames: Mapping[str, DataFrame]) -> DataFrame:
    return frame_of_join(product, table, frames)


def translate_table_error(error: Exception, table: Table) -> StepFailed:
    """Return the error of a user's function or of Spark as a failure of the step, with the user's line."""
    file = table.where.file if table.where else None
    lines = [entry.lineno for entry in traceback.extract_tb(error.__traceback__) if entry.filename == file]
    message = str(error).strip().split("\n\nJVM stacktrace")[0].splitlines()
    sentence = next((line.strip() for line in message if line.strip()), type(error).__name__)
    where = f"{table.where.file}:{lines[-1]}" if table.where and lines else str(table.where)
    kind = type(error).__name__
    return StepFailed(
        f"Table '{table.name}' failed: {kind}: {sentence}", where=where, table=table.name, step=f"{table.kind}:{table.name}"
    )


def _query(spark: SparkSession, table: Table, frames: Mapping[str, DataFrame]) -> DataFrame:
    if not can(spark, Capability.TEMPORARY_VIEWS):
        return query_over(spark, str(table.sql), frames)
    for name, frame in frames.items():
        frame.createOrReplaceTempView(name)
    try:
        return spark.sql(str(table.sql))
    finally:
        for name in frames:
            spark.catalog.dropTempView(name)


def frame_of_join(product: Product, declared: Join, frames: Mapping[str, DataFrame], given_us: int | None = None) -> DataFrame:
    """Return the rows of a join as a frame; nothing is computed yet."""
    from caudal.stages.join.batch import joined_rows

    left, right = (frames[name] for name in declared.inputs)
    shape = checked_shape(declared, product.nodes[declared.left], product.nodes[declared.right], right.columns)
    known_bounds = {name: bound for name, bound in declared.known.items() if name in shape.columns}
    return joined_rows(left, right, shape, known_bounds, given_us)
