"""``caudal parity``: compare what a stream has published with the rows of the same function over all captured samples."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from caudal.commands.parity_join import compare_join
from caudal.declarations.join import Join
from caudal.declarations.settings import Settings
from caudal.declarations.statistics import Statistics
from caudal.engine.exact import in_any_magnitude
from caudal.errors import NotThere
from caudal.graph.load import load, product_file, with_data
from caudal.graph.registered import declarations_of_kind
from caudal.runtime.lifecycle import new_run_id
from caudal.runtime.opening import checked_product, open_home
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_record import RunRecord
from caudal.runtime.table_frame import frame_of
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables.frames import arrow

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from caudal.report.documents import ParityDocument, TableParity


_SHOWN = 5


def check_parity(folder: Path, settings: Settings) -> ParityDocument:
    """Return, for each table that a stream publishes, the comparison of its rows with those of a run over the captured samples.

    Rows of windows that are still open in the stream, and of samples that came too late for it, cannot be in both; they are counted separately.
    """
    home, file = open_home(settings), product_file(folder)
    settings = with_data(settings, file)
    with contextlib.closing(home.ledger()) as ledger:
        product = checked_product(load(file))
        ws = Workspace.compose(product, home, settings, RunRecord(product.name, ledger, new_run_id()))
        tables = declarations_of_kind(product, "statistics", "join")
        if not tables:
            raise NotThere(
                f"Product '{product.name}' has no table that a stream publishes.",
                fix="Declare one with product.statistics(...) or product.join(...).",
            )
        comparisons = {
            table.name: _compare_table(ws.tables, ws.spark.session, table)
            for table in tables
            if ws.tables.version(table.name) is not None
        }
        if not comparisons:
            raise NotThere(
                f"The streams of product '{product.name}' have published nothing yet.", fix=f"Run: caudal stream {folder}"
            )
    return {
        "product": product.name,
        "equal": all(comparison["equal"] for comparison in comparisons.values()),
        "tables": comparisons,
    }


def _compare_table(tables: ProductTables, spark: SparkSession, table: Statistics | Join) -> TableParity:
    if isinstance(table, Join):
        return compare_join(tables, spark, table)
    streamed = _without_metadata(arrow(delta.read_version(tables.folder(table.name))))
    rows = in_any_magnitude(
        lambda: frame_of(tables.product, spark, table, {table.inputs[0]: tables.frame(spark, table.inputs[0])}).toArrow()
    )
    recomputed = _without_metadata(rows).select(streamed.column_names)
    keys = ["device", "sensor", "window_start"]
    stream_rows, run_rows = (_by_key(side, keys) for side in (streamed, recomputed))
    newest_window = max((key[2] for key in stream_rows), default=None)
    differing = [key for key in stream_rows if key in run_rows and stream_rows[key] != run_rows[key]]
    only_run = [key for key in run_rows if key not in stream_rows and newest_window is not None and key[2] <= newest_window]
    only_stream = [key for key in stream_rows if key not in run_rows]
    return {
        "equal": not (differing or only_run or only_stream), "rows": len(stream_rows), "rows_of_run": len(run_rows), "differing": len(differing),
        "only_run": len(only_run), "only_stream": len(only_stream), "not_closed_yet": len(run_rows) - len(only_run) - (len(stream_rows) - len(only_stream)),
        "twice": len(streamed) - len(stream_rows),
        "examples": [
            {"key": [str(column) for column in key], "stream": str(stream_rows.get(key)), "run": str(run_rows.get(key))}
            for key in (*differing, *only_run, *only_stream)[:_SHOWN]
        ],
    }  # fmt: skip


def _without_metadata(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in table.column_names if name.startswith("_")])


def _by_key(table: pa.Table, keys: list[str]) -> dict[tuple[Any, ...], tuple[object, ...]]:
    columns = table.to_pydict()
    value_columns = [name for name in table.column_names if name not in keys]
    values_by_key = {}
    for index in range(len(table)):
        values = tuple(tuple(value) if isinstance(value := columns[name][index], list) else value for name in value_columns)
        values_by_key[tuple(columns[name][index] for name in keys)] = values
    return values_by_key
