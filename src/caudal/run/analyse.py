"""A product as Spark's analyser sees it: functions, queries and expectations on frames of no rows, and features tried for foresight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from caudal.errors import CaudalError, DeclarationProblem, nearest
from caudal.graph.check_models import columns_of_models
from caudal.graph.check_publications import columns, columns_of_star
from caudal.lake.frames import empty
from caudal.run.check import Note, is_declared
from caudal.run.headers import schema_of_files
from caudal.run.plan import in_order
from caudal.run.run import opened
from caudal.run.steps.build import made
from caudal.run.workspace import Workspace
from caudal.spec.images import Images
from caudal.spec.known import known_of
from caudal.spec.location import Location
from caudal.spec.node import Features, Node, Source, Table
from caudal.spec.product import Product
from caudal.spec.schema import Schema
from caudal.spec.settings import Settings
from caudal.spec.star import Star

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def analysed(product: Product, settings: Settings, note: Note = lambda _: None) -> list[CaudalError]:
    """Return what Spark's analyser finds wrong with functions, queries and expectations, and features that see the future."""
    home = opened(settings)
    ws = Workspace(product, home, ledger=None, settings=settings, run_id="check", brief=True)  # type: ignore[arg-type]
    frames: dict[str, DataFrame] = {}
    problems: list[CaudalError] = []
    unknown: list[str] = []
    for name in in_order(product):
        node = product.nodes[name]
        if isinstance(node, Source):
            schema = _schema(ws, node, note)
            if schema is None:
                unknown.append(name)
                continue
            frames[name] = ws.marked(empty(ws.spark, _source_type(schema)), node)
            problems += _columns(node, frames[name])
            continue
        if any(one not in frames for one in node.inputs):  # an input whose columns nobody knows: nothing can be told
            continue
        try:
            frame = made(ws, node, {one: frames[one] for one in node.inputs})
        except CaudalError as error:
            problems.append(DeclarationProblem(error.what, where=error.where, fix=error.fix, nearest=error.nearest, table=name))
            continue
        lacking = list(_columns(node, frame))
        if isinstance(node, Features):
            lacking += columns_of_models(product, node, frame.columns)
        problems += lacking
        if lacking:
            continue
        # Made-up bytes are no images, and what an image shows is not known sooner or later. Without as_of there is no later.
        if isinstance(node, Features) and node.as_of and not _of_images(product, name):
            problems += _foresight(ws, node, frames)
        frames[name] = ws.marked(empty(ws.spark, frame.schema), node)
    for one in product.publications.values():
        for of in one.tables:
            if of in frames:
                names = frames[of].columns
                problems += columns_of_star(one, of, names) if isinstance(one, Star) else columns(one, names)
    problems += _governed(product, frames)
    if unknown:
        note(
            f"The columns of {', '.join(unknown)} are known when data arrive; what reads {'it' if len(unknown) == 1 else 'them'} was not analysed."
        )
    return problems


def _schema(ws: Workspace, source: Source, note: Note) -> Schema | None:
    """Return a source's columns: those declared, else those of its newest file."""
    if not is_declared(source) and (read := schema_of_files(ws.spark, source, ws.settings.data, ws.product.tz)) is not None:
        note(f"Columns of '{source.name}' read from {read[1]}.")
        return read[0]
    return source.schema if source.schema is not None and source.schema.names else None


def _governed(product: Product, frames: Mapping[str, DataFrame]) -> Iterator[DeclarationProblem]:
    """Yield columns that are described, or name a subject, and that their tables do not have."""
    asked: list[tuple[str, str, Location | None, str]] = []
    asked += [(table, column, product.where, "is described") for table, columns in product.abouts.items() for column in columns]
    asked += [(table, one.column, one.where, "names a subject") for one in product.subjects for table in one.tables]
    for table, column, where, what in asked:
        if table in frames and column not in frames[table].columns:
            yield DeclarationProblem(
                f"Column '{column}' of '{table}' {what}, and the table has no such column.",
                nearest=nearest(column, frames[table].columns),
                fix=f"It has {', '.join(frames[table].columns)}.",
                where=str(where),
                table=table,
                column=column,
            )


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


def _columns(node: Node, frame: DataFrame) -> Iterator[DeclarationProblem]:
    wanted = [(column, f"{one.name} binds to nothing", one.where) for one in node.expect for column in one.columns]
    if node.event_time:
        wanted.append((node.event_time, "its declared event time is missing", node.where))
    if isinstance(node, Features):
        wanted += [(column, "declared as key, time, label or kept", node.where) for column in node.not_inputs]
    if isinstance(node, Table):
        yield from _known(node, frame)
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


def _known(node: Table, frame: DataFrame) -> Iterator[DeclarationProblem]:
    """Yield what known= says that is no column, no bound and no delay."""
    for column, declared in node.known.items():
        if column not in frame.columns:
            yield DeclarationProblem(
                f"Table '{node.name}' has no column '{column}', which known= speaks of.",
                nearest=nearest(column, frame.columns),
                fix=f"It has {', '.join(frame.columns)}.",
                where=str(node.where),
                table=node.name,
                column=column,
            )
        try:
            known_of(declared, frame.columns)
        except DeclarationProblem as error:
            yield DeclarationProblem(
                f"Table '{node.name}': {error.what}", nearest=error.nearest, fix=error.fix, where=str(node.where), table=node.name
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
        error.where = error.where or str(node.where)
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
