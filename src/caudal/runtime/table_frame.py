"""The frame that a table's function, query or declaration gives for the frames of its inputs; nothing is computed yet."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from caudal.declarations.join import Join, settled
from caudal.declarations.node import Table
from caudal.declarations.statistics import Statistics
from caudal.declarations.zone import in_zone
from caudal.errors import CaudalError, StepFailed
from caudal.runtime.workspace import Workspace
from caudal.stages.statistics.batch import statistics

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def frame_of(ws: Workspace, table: Table, frames: Mapping[str, DataFrame]) -> DataFrame:
    """Return what the table's function or query gives for these frames; lazily, nothing is computed yet.

    Raises
    ------
    StepFailed : the function raised or returned no frame; the user's line is named
    """
    with in_zone(ws.product.tz):
        return _frame_of(ws, table, frames)


def _frame_of(ws: Workspace, table: Table, frames: Mapping[str, DataFrame]) -> DataFrame:
    try:
        return rows_of(table, ws, frames)
    except CaudalError:
        raise
    except Exception as error:
        raise translate_table_error(error, table) from error


@singledispatch
def rows_of(table: Table, ws: Workspace, frames: Mapping[str, DataFrame]) -> DataFrame:
    """Return what a table's function or query gives; declarations that caudal computes itself are registered here by their class."""
    from caudal.stages.tables.frames import as_frame

    if table.sql is not None:
        return _query(ws, table, frames)
    assert table.function is not None
    return as_frame(table.function(**frames), table.name)


@rows_of.register
def _statistics(table: Statistics, ws: Workspace, frames: Mapping[str, Any]) -> Any:
    return statistics(frames[table.inputs[0]], table)


@rows_of.register
def _join(table: Join, ws: Workspace, frames: Mapping[str, Any]) -> Any:
    return frame_of_join(ws, table, frames)


def translate_table_error(error: Exception, table: Table) -> StepFailed:
    """Return the error of a user's function or of Spark as a failure of the step, with the user's line."""
    file = table.where.file if table.where else None
    lines = [entry.lineno for entry in traceback.extract_tb(error.__traceback__) if entry.filename == file]
    message = str(error).strip().split("\n\nJVM stacktrace")[0].splitlines()
    said = next((line.strip() for line in message if line.strip()), type(error).__name__)
    where = f"{table.where.file}:{lines[-1]}" if table.where and lines else str(table.where)
    kind = type(error).__name__
    return StepFailed(
        f"Table '{table.name}' failed: {kind}: {said}", where=where, table=table.name, step=f"{table.kind}:{table.name}"
    )


def _query(ws: Workspace, table: Table, frames: Mapping[str, DataFrame]) -> DataFrame:
    for name, frame in frames.items():
        frame.createOrReplaceTempView(name)
    try:
        return ws.spark.sql(str(table.sql))
    finally:
        for name in frames:
            ws.spark.catalog.dropTempView(name)


def frame_of_join(ws: Workspace, declared: Join, frames: Mapping[str, DataFrame], given_us: int | None = None) -> DataFrame:
    """Return the rows of a join; lazily, nothing is computed yet."""
    from caudal.stages.join.batch import batch

    left, right = (frames[name] for name in declared.inputs)
    shape = settled(declared, ws.product.nodes[declared.left], ws.product.nodes[declared.right], right.columns)
    known = {name: told for name, told in declared.known.items() if name in shape.columns}
    return batch(left, right, shape, known, given_us)
