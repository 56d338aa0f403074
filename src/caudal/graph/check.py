"""Check a product's declarations without reading data or starting an engine."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.connection import Files
from caudal.declarations.database import Database
from caudal.declarations.expectation import Expectation
from caudal.declarations.images import Images
from caudal.declarations.node import Node
from caudal.declarations.product import Product
from caudal.declarations.schema import Schema
from caudal.declarations.trigger import OnArrival, OnPublish, Timed
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.build import build
from caudal.graph.registered import declared_nodes, node_kinds, tables_of
from caudal.graph.service_levels import problems_of_service_levels

SYSTEM = ("_file", "_day")


def check(product: Product) -> list[DeclarationProblem]:
    """Return every problem found: unknown inputs, cycles, columns, expectations, models and predictions that bind to nothing."""
    return [
        *_empty_product(product),
        *_unknown_inputs(product),
        *_cycles(product),
        *_node_columns(product),
        *_problems_of_kinds(product),
        *_triggers(product),
        *_slas(product),
        *_unknown_governed_names(product),
    ]


def _empty_product(product: Product) -> Iterator[DeclarationProblem]:
    if not product.nodes:
        yield DeclarationProblem(
            f"Product '{product.name}' declares no source and no table.",
            fix="Begin with product.source(...).",
            where=str(product.where),
        )


def _problems_of_kinds(product: Product) -> Iterator[DeclarationProblem]:
    """Yield the problems that each kind of node finds in its declarations, kind by kind."""
    nodes = list(declared_nodes(product))
    for kind in node_kinds():
        for node in nodes:
            if node.kind is kind:
                yield from kind.problems(product, node.declaration)


def _unknown_inputs(product: Product) -> Iterator[DeclarationProblem]:
    tables = product.tables
    for node in product.nodes.values():
        for name in node.inputs:
            if name not in product.nodes:
                close = nearest(name, product.nodes)
                yield DeclarationProblem(
                    f"Table '{node.name}' reads '{name}', which nothing declares.",
                    nearest=close,
                    fix="Rename the parameter, or declare a source or table of that name."
                    if not close
                    else "Rename the parameter.",
                    where=str(node.where),
                    table=node.name,
                    input=name,
                )
        if node.name in tables and not node.inputs:
            yield DeclarationProblem(
                f"Table '{node.name}' reads nothing.",
                fix="Name its inputs as parameters of the function (or in the query).",
                where=str(node.where),
                table=node.name,
            )


def _cycles(product: Product) -> Iterator[DeclarationProblem]:
    yield from build(product).cycles()


def _node_columns(product: Product) -> Iterator[DeclarationProblem]:
    sources = product.sources
    for node in product.nodes.values():
        schema = node.schema
        if schema is not None and node.event_time and node.event_time not in schema and schema.names:
            yield _no_column(node, schema, node.event_time, "takes its event time from")
        if schema is not None and node.event_time and node.event_time in schema:
            column_type = schema[node.event_time].type
            if column_type not in ("timestamp", "timestamp_utc", "date"):
                yield DeclarationProblem(
                    f"'{node.name}' takes its event time from column '{node.event_time}' of type {column_type}.",
                    fix="An event time is a timestamp, timestamp_utc or date.",
                    where=str(node.where),
                    table=node.name,
                )
        if node.partition and not node.event_time:
            yield DeclarationProblem(
                f"'{node.name}' is partitioned by {node.partition} but has no event time.",
                fix='Name the column with the time of a row: event_time="…".',
                where=str(node.where),
                table=node.name,
            )
        if node.name in sources and node.partition == "file":
            yield DeclarationProblem(
                f"Source '{node.name}' has partition=\"file\", but every source is partitioned by file.",
                fix="Leave it out.",
                where=str(node.where),
            )
        elif node.partition not in (None, "day"):
            yield DeclarationProblem(
                f"'{node.name}' has the unknown partition '{node.partition}'.",
                fix='Use partition="day", or partition="file" for a table.',
                where=str(node.where),
            )
        for expectation in node.expect:
            yield from _expectation(product, node, expectation)


def _expectation(product: Product, node: Node, expectation: Expectation) -> Iterator[DeclarationProblem]:
    for column in expectation.columns:
        if node.schema is not None and node.schema.names and column not in node.schema and column not in SYSTEM:
            yield DeclarationProblem(
                f"{expectation.name} binds to nothing: '{node.name}' has no column '{column}'.",
                nearest=nearest(column, node.schema.names),
                fix=f"It has {', '.join(node.schema.names)}.",
                where=str(expectation.where or node.where),
                table=node.name,
                column=column,
            )
    for other in expectation.tables:
        if other not in product.nodes:
            yield DeclarationProblem(
                f"{expectation.name} binds to nothing: there is no table '{other}'.",
                nearest=nearest(other, product.nodes),
                where=str(expectation.where or node.where),
                table=node.name,
            )
    if expectation.max_share is not None and not 0 <= expectation.max_share <= 1:
        yield DeclarationProblem(
            f"{expectation.name} allows a share of {expectation.max_share}.",
            fix="A share lies between 0 and 1.",
            where=str(expectation.where or node.where),
        )


def _triggers(product: Product) -> Iterator[DeclarationProblem]:
    for source in product.sources.values():
        if not isinstance(source.trigger, OnArrival) or isinstance(source.connection, Files | Images):
            continue
        if not isinstance(source.connection, Database):
            yield DeclarationProblem(
                f"Source '{source.name}' cannot run on arrival: {source.connection.kind} sources are not watched.",
                fix='Use a schedule: trigger=cd.every("15 minutes").',
                where=str(source.where),
            )
        elif source.connection.by_jdbc:
            yield DeclarationProblem(
                f"Source '{source.name}' cannot run on arrival: a database with a JDBC driver is read only while a run has Spark.",
                fix='Use a schedule: trigger=cd.every("15 minutes").',
                where=str(source.where),
            )
        elif source.connection.watermark is None:
            yield DeclarationProblem(
                f"Source '{source.name}' cannot run on arrival: no column shows which rows are new.",
                fix='Name a column that grows: watermark=; or use a schedule: trigger=cd.every("15 minutes").',
                where=str(source.where),
            )
    triggers = [*product.schedules, *(source.trigger for source in product.sources.values())]
    for trigger in triggers:
        if isinstance(trigger, OnPublish) and trigger.product == product.name:
            yield DeclarationProblem(
                f"Product '{product.name}' waits for its own table '{trigger.table}'.",
                fix="Name another product's.",
                where=str(trigger.where),
            )
    for prediction in product.predictions.values():
        if prediction.trigger is not None and not isinstance(prediction.trigger, Timed):
            yield DeclarationProblem(
                f"Prediction '{prediction.name}' has a trigger that is not a schedule.",
                fix='Use at=cd.cron("…") or cd.every("…"); new data leads to predictions without a trigger.',
                where=str(prediction.where),
            )


def _no_column(node: Node, schema: Schema, column: str, use: str) -> DeclarationProblem:
    return DeclarationProblem(
        f"'{node.name}' {use} column '{column}', which it does not have.",
        nearest=nearest(column, schema.names),
        fix=f"It has {', '.join(schema.names)}.",
        where=str(node.where),
        table=node.name,
        column=column,
    )


def _slas(product: Product) -> Iterator[DeclarationProblem]:
    for sla in product.slas:
        if sla.table not in product.nodes:
            yield DeclarationProblem(
                f"An SLA names the table '{sla.table}', which nothing declares.",
                nearest=nearest(sla.table, product.nodes),
                fix="Name a source or a table.",
                where=str(sla.where),
            )
    yield from problems_of_service_levels(product)


def _unknown_governed_names(product: Product) -> Iterator[DeclarationProblem]:
    """Yield retentions, subjects, descriptions and consumers that name tables or columns that do not exist."""
    tables = tables_of(product)
    named = [(retention.table, retention.where, "has a retention") for retention in product.retentions if retention.table]
    named += [(table, subject.where, "holds a subject") for subject in product.subjects for table in subject.tables]
    named += [(table, product.where, "is described") for table in product.abouts]
    used = {*product.models, *product.predictions, *product.publications}
    named += [
        (name, consumer.where, f"is used by '{consumer.name}'")
        for consumer in product.consumers
        for name in consumer.of
        if name not in used
    ]
    for table, where, use in named:
        if table not in tables:
            yield DeclarationProblem(
                f"'{table}' {use}, but nothing declares it.",
                nearest=nearest(str(table), (*tables, *used)),
                where=str(where),
            )
    for table, columns in product.abouts.items():
        node = product.nodes.get(table)
        if node is None or node.schema is None or not node.schema.names:
            continue
        for column in columns:
            if column not in node.schema:
                yield _no_column(node, node.schema, column, "has a description of")
