"""``caudal preview``: a table's function on a sample of its newest inputs, judged; nothing is published."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from caudal.batch.on_engine import reason_to_leave, spark_instead
from caudal.batch.publish import judge_and_write, storable
from caudal.declarations.build_context import build_context
from caudal.declarations.node import Source, Table
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.engine.choice import engines
from caudal.engine.classic import CLASSIC
from caudal.engine.protocol import QueryEngine
from caudal.errors import NotThere, StepFailed, nearest
from caudal.extras import has_spark
from caudal.graph.load import load, product_file, with_data
from caudal.ledger.json_ready import json_ready, text_or_number
from caudal.runtime.opening import checked_product, open_home
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.progress import NoProgress, Progress
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.table_frame import frame_of
from caudal.stages.enforce.declared import TableExpectation
from caudal.stages.enforce.judging.outcome import CheckResult
from caudal.stages.enforce.judging.profile import parquet
from caudal.storage import delta
from caudal.storage.place import Place, readable, remove
from caudal.tables.version_files import read_version_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame, SparkSession

    from caudal.report.documents.preview import PreviewDocument

WHOLE = 10
"""An input of at most so many times the asked rows is read whole: a table that others are joined with is of no use in parts."""


@dataclass(frozen=True)
class Preview:
    """The rows that a table's function gives for a sample.

    Parameters
    ----------
    rows : the good rows, with the table's columns
    quarantined : the rows that would be set aside, with ``_reasons`` and ``_raw``
    checks : the result of each expectation of rows; those of a table as a whole say nothing of a sample
    inputs : how many rows of each input were read
    engine : what computed the rows
    """

    table: str
    rows: pa.Table
    quarantined: pa.Table
    checks: tuple[CheckResult, ...]
    inputs: Mapping[str, int]
    engine: str


def preview_table(folder: Path, table: str, settings: Settings, rows: int = 1000, progress: Progress | None = None) -> Preview:
    """Return the judged rows of a table's function for a sample of its inputs' newest rows.

    Parameters
    ----------
    rows : about how many rows of each input are read: its newest days, as many as are needed; small inputs are read whole

    Raises
    ------
    NotThere : the product has no table of that name that a function, a query or a declaration makes
    StepFailed : an input has not been published, or the function failed
    """
    file = product_file(folder)
    engines(settings.engine, master=settings.master, conf=settings.spark)[0].start_ahead(
        settings.cores
    )  # beside the imports of the product
    return preview_of(checked_product(load(file)), table, with_data(settings, file), rows, progress)


def preview_of(product: Product, table: str, settings: Settings, rows: int = 1000, progress: Progress | None = None) -> Preview:
    """Return the preview of a table of a product that is loaded; see `preview_table`."""
    node = _table(product, table)
    tables = ProductTables(product, open_home(settings))
    for name in node.inputs:
        if tables.version(name) is None:
            raise StepFailed(
                f"Table '{table}' reads '{name}', which has not been published.",
                fix="Run the product once: caudal run.",
                table=table,
            )
    spark = RunSpark(product, settings, tables.home.lake, progress or NoProgress(), lambda: True)
    *others, last = spark.engines
    for engine in others:
        try:
            return _preview_on(engine, spark, tables, node, rows)
        except Exception as error:
            if (reason := reason_to_leave(error)) is None:
                raise
            spark.drop_dead(engine)
            if last is CLASSIC and not has_spark():
                raise spark_instead(f"The preview of '{table}'", engine, error, reason) from error
            spark.progress.noted(f"'{table}' is computed on {last.title}: {reason}")
    return _preview_on(last, spark, tables, node, rows)


def preview_document(preview: Preview) -> PreviewDocument:
    """Return the document that ``caudal preview --json`` prints."""
    return {
        "table": preview.table,
        "engine": preview.engine,
        "inputs": dict(preview.inputs),
        "rows": [json_ready(row, text_or_number) for row in preview.rows.to_pylist()],
        "quarantined": [json_ready(row, text_or_number) for row in preview.quarantined.to_pylist()],
        "checks": [
            {"expectation": check.expectation, "action": check.action, "broken": check.broken, "message": check.message}
            for check in preview.checks
        ],
    }


def _table(product: Product, name: str) -> Table:
    node = product.nodes.get(name)
    if isinstance(node, Table) and not isinstance(node, Source):
        return node
    names = [other.name for other in product.nodes.values() if isinstance(other, Table)]
    raise NotThere(
        f"Product '{product.name}' has no table '{name}' that it makes from others.",
        nearest=nearest(name, names),
        fix=f"It has {', '.join(names) or 'none'}.",
    )


def _preview_on(engine: QueryEngine, spark: RunSpark, tables: ProductTables, node: Table, rows: int) -> Preview:
    stage = tables.home.scratch(tables.product.name) / f"preview-{uuid.uuid4().hex}"
    fitted = read_version_files(tables.folder(node.name), tables.version(node.name))
    try:
        with spark.on(engine), build_context(fitted, "keep" if fitted else "anew"):
            session = spark.session
            samples = {name: _newest_rows(tables, session, name, rows) for name in node.inputs}
            frames = {name: frame.alias(name) for name, (frame, _) in samples.items()}
            frame = frame_of(tables.product, session, node, frames)
            judged, _ = judge_and_write(spark, tables, node, storable(frame, node, tables.product.tz), stage)
            outcome = judged.outcome(written=stage)
        of_tables = {expectation.name for expectation in judged.expectations if isinstance(expectation, TableExpectation)}
        columns = [name for name in judged.frame.columns if not name.startswith("_")]
        return Preview(
            node.name,
            _rows(stage / "_verdict=good", columns),
            _rows(stage / "_verdict=quarantined", [*columns, "_reasons", "_raw"]),
            tuple(check for check in outcome.checks if check.expectation not in of_tables),
            {name: count for name, (_, count) in samples.items()},
            engine.title,
        )
    finally:
        with contextlib.suppress(FileNotFoundError):
            remove(stage)


def _newest_rows(tables: ProductTables, spark: SparkSession, name: str, rows: int) -> tuple[DataFrame, int]:
    """Return the newest days of an input that have so many rows, or all of it where that is little; and the number of rows."""
    version = delta.read_version(tables.folder(name))
    if version.rows <= WHOLE * rows:
        return tables.frame(spark, name), version.rows
    days: set[str | None] | None = None
    count = version.rows
    if version.partitioned:
        by_day: dict[str | None, int] = {}
        for file in version.files:
            by_day[file.day] = by_day.get(file.day, 0) + file.rows
        days, count = set(), 0
        for day in sorted(by_day, key=lambda day: day or "", reverse=True):
            if count >= rows:
                break
            days.add(day)
            count += by_day[day]
    frame = tables.frame(spark, name, days)
    return (frame, count) if count <= WHOLE * rows else (frame.limit(rows), rows)


def _rows(folder: Place, columns: list[str]) -> pa.Table:
    """Return the rows of the written files; none where there are no files."""
    parts = (
        [pq.read_table(readable(file), columns=columns, partitioning=None) for file in parquet(folder)] if folder.is_dir() else []
    )
    return pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({name: pa.array([]) for name in columns})
