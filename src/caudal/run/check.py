"""``caudal check``: the declaration by itself, then analysed by Spark on frames of no rows, then the features tried for foresight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.errors import CaudalError, DeclarationProblem, nearest
from caudal.graph.check import check as check_declaration
from caudal.graph.check_publications import columns, columns_of_star
from caudal.graph.load import load
from caudal.run.plan import in_order
from caudal.run.run import opened
from caudal.run.workspace import Workspace
from caudal.spec.images import Images
from caudal.spec.node import Features, Source, Table
from caudal.spec.product import Product
from caudal.spec.schema import Schema
from caudal.spec.settings import Settings
from caudal.spec.star import Star

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def check(folder: Path, settings: Settings, *, static: bool = False) -> list[CaudalError]:
    """Return every problem of a product. No data is read: Spark sees frames of no rows and, for features, made-up rows."""
    product = load(folder)
    problems: list[CaudalError] = list(check_declaration(product))
    if static or problems:
        return problems
    return analysed(product, settings)


def analysed(product: Product, settings: Settings) -> list[CaudalError]:
    """Return what Spark's analyser finds wrong with functions, queries and expectations, and features that see the future."""
    from caudal.lake.frames import empty
    from caudal.run.steps.build import made

    home = opened(settings)
    ws = Workspace(product, home, ledger=None, settings=settings, run_id="check", brief=True)  # type: ignore[arg-type]
    frames: dict[str, DataFrame] = {}
    problems: list[CaudalError] = []
    for name in in_order(product):
        node = product.nodes[name]
        if isinstance(node, Source):
            if node.schema is not None and node.schema.names:
                frames[name] = ws.marked(empty(ws.spark, _source_type(node.schema)), node)
            continue
        if any(one not in frames for one in node.inputs):  # an input without a declared schema: nothing can be told
            continue
        try:
            frame = made(ws, node, {one: frames[one] for one in node.inputs})
        except CaudalError as error:
            problems.append(DeclarationProblem(error.what, where=error.where, fix=error.fix, nearest=error.nearest, table=name))
            continue
        found = list(_columns(node, frame))
        problems += found
        if found:
            continue
        # Made-up bytes are no images, and what an image shows is not known sooner or later.
        if isinstance(node, Features) and not _of_images(product, name):
            problems += _foresight(ws, node, frames)
        frames[name] = ws.marked(empty(ws.spark, frame.schema), node)
    for one in product.publications.values():
        for of in one.tables:
            if of in frames:
                names = frames[of].columns
                problems += columns_of_star(one, of, names) if isinstance(one, Star) else columns(one, names)
    return problems


def _of_images(product: Product, name: str) -> bool:
    node = product.nodes[name]
    if isinstance(node, Source):
        return isinstance(node.connection, Images)
    return any(_of_images(product, one) for one in node.inputs)


def _source_type(schema: Schema) -> Any:
    """Return the Spark type of a source's table."""
    from pyspark.sql.types import StructType

    from caudal.stages.ingest.cast import spark_type

    return StructType.fromDDL(", ".join([*(f"`{one.name}` {spark_type(one.type)}" for one in schema), "_file string"]))


def _columns(node: Table, frame: DataFrame) -> Any:
    wanted = [(column, f"{one.name} binds to nothing", one.where) for one in node.expect for column in one.columns]
    if node.event_time:
        wanted.append((node.event_time, "its declared event time is missing", node.where))
    if isinstance(node, Features):
        wanted += [(column, "declared as key, time, label or kept", node.where) for column in node.not_inputs]
    for column, what, where in wanted:
        if column not in frame.columns and column not in ("_file", "_day"):
            yield DeclarationProblem(
                f"Table '{node.name}' has no column '{column}': {what}.",
                nearest=nearest(column, frame.columns),
                fix=f"It has {', '.join(frame.columns)}.",
                where=str(where or node.where),
                table=node.name,
                column=column,
            )


def _foresight(ws: Workspace, node: Features, frames: dict[str, Any]) -> list[CaudalError]:
    from caudal.stages.features.future import InputShape, sees_future

    assert node.function is not None
    shapes = {}
    for name in node.inputs:
        declared = ws.product.nodes[name]
        known = dict(declared.known) if isinstance(declared, Table) else {}
        shapes[name] = InputShape(schema=frames[name].schema, event_time=declared.event_time, known=known)
    try:
        leak = sees_future(
            node.function, shapes, as_of=node.as_of, entity=node.entity, ignore=(*node.labels, *node.keep), spark=ws.spark, seed=0
        )
    except CaudalError as error:  # the function fails on made-up rows: told as any other fault of the declaration
        return [error]
    if leak is None:
        return []
    return [
        DeclarationProblem(
            f"Features '{node.name}' see the future: {leak.message}",
            fix=leak.fix,
            where=str(node.where),
            table=node.name,
            column=leak.column,
        )
    ]
