"""What is wrong with a declaration, told without reading data or starting an engine."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.connection import CHANNELLED, Files
from caudal.declarations.database import Database
from caudal.declarations.duration import text
from caudal.declarations.expectation import Expectation
from caudal.declarations.images import Images
from caudal.declarations.join import Join, problems
from caudal.declarations.node import Features, Node, Source, Table
from caudal.declarations.product import Product
from caudal.declarations.schema import Schema
from caudal.declarations.statistics import Statistics
from caudal.declarations.trigger import OnArrival, OnPublish, Timed
from caudal.declarations.zone import cut_alike
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.check_models import models
from caudal.graph.check_publications import publications

SYSTEM = ("_file", "_day")


def check(product: Product) -> list[DeclarationProblem]:
    """Return every problem found: unknown inputs, cycles, columns, expectations, models and predictions that bind to nothing."""
    return [
        *_nothing(product),
        *_inputs(product),
        *_cycles(product),
        *_columns(product),
        *_databases(product),
        *_joins(product),
        *_features(product),
        *models(product),
        *_predictions(product),
        *publications(product),
        *_triggers(product),
        *_promises(product),
        *_governance(product),
        *_windows(product),
    ]


def _nothing(product: Product) -> Iterator[DeclarationProblem]:
    if not product.nodes:
        yield DeclarationProblem(
            f"Product '{product.name}' declares no source and no table.",
            fix="Begin with product.source(...).",
            where=str(product.where),
        )


def _windows(product: Product) -> Iterator[DeclarationProblem]:
    """Windows of streams are cut from 1970 UTC, by the stream and by a run; a width for which that is not the zone's clock is refused."""
    for node in product.nodes.values():
        if isinstance(node, Statistics) and not node.gap_us and node.every_s >= 60 and not cut_alike(product.tz, node.every_s):
            yield DeclarationProblem(
                f"Statistics '{node.name}' have windows every {text(node.every_s)}, which are cut by UTC and not by the clocks of {product.tz}.",
                fix=f'Take a shorter step, and make local windows of the captured samples: cd.tumble({node.inputs[0]}, "{text(node.width_s)}").',
                where=str(node.where),
                table=node.name,
            )


def _inputs(product: Product) -> Iterator[DeclarationProblem]:
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
        if isinstance(node, Table) and not node.inputs:
            yield DeclarationProblem(
                f"Table '{node.name}' reads nothing.",
                fix="Name its inputs as parameters of the function (or in the query).",
                where=str(node.where),
                table=node.name,
            )


def _cycles(product: Product) -> Iterator[DeclarationProblem]:
    done: set[str] = set()
    for start in product.nodes:
        path: list[str] = []

        def visit(name: str, path: list[str] = path) -> list[str] | None:
            if name in path:
                return [*path[path.index(name) :], name]
            if name in done or name not in product.nodes:
                return None
            path.append(name)
            for input_ in product.nodes[name].inputs:
                if found := visit(input_):
                    return found
            path.pop()
            done.add(name)
            return None

        if circle := visit(start):
            done.update(circle)
            yield DeclarationProblem(
                f"The tables go round in a circle: {' ← '.join(circle)}.",
                fix=f"Take '{circle[1]}' out of the inputs of '{circle[0]}'.",
                where=str(product.nodes[circle[0]].where),
                tables=circle,
            )


def _columns(product: Product) -> Iterator[DeclarationProblem]:
    for node in product.nodes.values():
        schema = node.schema
        if schema is not None and node.event_time and node.event_time not in schema and schema.names:
            yield _no_column(node, schema, node.event_time, "is to take its event time from")
        if schema is not None and node.event_time and node.event_time in schema:
            found = schema[node.event_time].type
            if found not in ("timestamp", "timestamp_utc", "date"):
                yield DeclarationProblem(
                    f"'{node.name}' takes its event time from column '{node.event_time}' of type {found}.",
                    fix="An event time is a timestamp, timestamp_utc or date.",
                    where=str(node.where),
                    table=node.name,
                )
        if node.partition and not node.event_time:
            yield DeclarationProblem(
                f"'{node.name}' is partitioned by {node.partition} but has no event time.",
                fix='Say which column tells when a row happened: event_time="…".',
                where=str(node.where),
                table=node.name,
            )
        if isinstance(node, Source) and node.partition == "file":
            yield DeclarationProblem(
                f"Source '{node.name}' is to be partitioned by 'file', which every source is.",
                fix="Leave it out.",
                where=str(node.where),
            )
        elif node.partition not in (None, "day"):
            yield DeclarationProblem(
                f"'{node.name}' is to be partitioned by '{node.partition}'.",
                fix='Use partition="day", or partition="file" for a table.',
                where=str(node.where),
            )
        for expectation in node.expect:
            yield from _expectation(product, node, expectation)


def _expectation(product: Product, node: Node, one: Expectation) -> Iterator[DeclarationProblem]:
    for column in one.columns:
        if node.schema is not None and node.schema.names and column not in node.schema and column not in SYSTEM:
            yield DeclarationProblem(
                f"{one.name} binds to nothing: '{node.name}' has no column '{column}'.",
                nearest=nearest(column, node.schema.names),
                fix=f"It has {', '.join(node.schema.names)}.",
                where=str(one.where or node.where),
                table=node.name,
                column=column,
            )
    for other in one.tables:
        if other not in product.nodes:
            yield DeclarationProblem(
                f"{one.name} binds to nothing: there is no table '{other}'.",
                nearest=nearest(other, product.nodes),
                where=str(one.where or node.where),
                table=node.name,
            )
    if one.max_share is not None and not 0 <= one.max_share <= 1:
        yield DeclarationProblem(
            f"{one.name} allows a share of {one.max_share}.",
            fix="A share lies between 0 and 1.",
            where=str(one.where or node.where),
        )


def _databases(product: Product) -> Iterator[DeclarationProblem]:
    for node in product.nodes.values():
        if not isinstance(node, Source) or not isinstance(node.connection, Database) or node.schema is None or node.schema.open:
            continue
        names = [field.raw_name for field in node.schema]
        asked = node.connection
        for role, column in [("watermark", asked.watermark), *(("key", column) for column in asked.key)]:
            if column is not None and column not in names:
                yield DeclarationProblem(
                    f"Source '{node.name}' names '{column}' as its {role}, and its closed schema has no such column.",
                    nearest=nearest(column, names),
                    fix=f"It has {', '.join(names)}.",
                    where=str(node.where),
                    table=node.name,
                    column=column,
                )


def _joins(product: Product) -> Iterator[DeclarationProblem]:
    for node in product.nodes.values():
        if not isinstance(node, Join) or any(name not in product.nodes for name in node.inputs):
            continue
        left, right = (product.nodes[name] for name in node.inputs)
        names = None if right.schema is None or not right.schema.names else right.schema.names
        for problem in problems(node, left, right, names):
            yield DeclarationProblem(
                problem.what,
                nearest=problem.nearest,
                fix=problem.fix,
                where=str(node.where),
                table=node.name,
                column=problem.column,
            )


def _features(product: Product) -> Iterator[DeclarationProblem]:
    for node in product.nodes.values():
        if isinstance(node, Features) and not node.as_of:
            of_stream = next((name for name in _upstream(product, node.name) if _is_stream(product, name)), None)
            if node.partition or of_stream:
                yield DeclarationProblem(
                    f"Features '{node.name}' have no as_of, and "
                    + (f"are made of the stream '{of_stream}'." if of_stream else "are to be partitioned by day."),
                    fix='Say which column tells when a row was known: @product.features(as_of="…").',
                    where=str(node.where),
                    table=node.name,
                )
        if not isinstance(node, Features) or node.schema is None:
            continue
        for column in node.not_inputs:
            if column not in node.schema:
                yield _no_column(node, node.schema, column, "declares as key, time or label")


def _upstream(product: Product, name: str) -> list[str]:
    """Return a table and all that it is made of, each once."""
    names: dict[str, None] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in product.nodes and name not in names:
            names[name] = None
            waiting += product.nodes[name].inputs
    return list(names)


def _is_stream(product: Product, name: str) -> bool:
    node = product.nodes[name]
    return isinstance(node, Source) and isinstance(node.connection, CHANNELLED)


def _predictions(product: Product) -> Iterator[DeclarationProblem]:
    for prediction in product.predictions.values():
        if prediction.model not in product.models:
            yield DeclarationProblem(
                f"Prediction '{prediction.name}' is by model '{prediction.model}', which nothing declares.",
                nearest=nearest(prediction.model, product.models),
                where=str(prediction.where),
            )
        if prediction.rows not in ("all", "unlabelled", "latest"):
            yield DeclarationProblem(
                f"Prediction '{prediction.name}' is of rows='{prediction.rows}'.",
                nearest=nearest(prediction.rows, ("all", "unlabelled", "latest")),
                fix="Use all, unlabelled or latest.",
                where=str(prediction.where),
            )
        model = product.models.get(prediction.model)
        features = product.nodes.get(model.features) if model else None
        if prediction.rows == "latest" and isinstance(features, Features) and not features.as_of:
            yield DeclarationProblem(
                f"Prediction '{prediction.name}' is of the latest row of each entity, and features '{features.name}' have no as_of.",
                fix="Use rows='all' or rows='unlabelled'; without a time there is one row per entity.",
                where=str(prediction.where),
            )
    for name, serving in product.servings.items():
        if name not in product.models:
            yield DeclarationProblem(
                f"Model '{name}' is to be served, but nothing declares it.",
                nearest=nearest(name, product.models),
                where=str(serving.where),
            )


def _triggers(product: Product) -> Iterator[DeclarationProblem]:
    for source in product.sources.values():
        if not isinstance(source.trigger, OnArrival) or isinstance(source.connection, Files | Images):
            continue
        if not isinstance(source.connection, Database):
            yield DeclarationProblem(
                f"Source '{source.name}' is to run on arrival, but nothing tells of arrivals at {source.connection.kind}.",
                fix='Ask by the clock: trigger=cd.every("15 minutes").',
                where=str(source.where),
            )
        elif source.connection.by_jdbc:
            yield DeclarationProblem(
                f"Source '{source.name}' is to run on arrival, but a database that is asked by JDBC is asked only while a run has Spark.",
                fix='Ask by the clock: trigger=cd.every("15 minutes").',
                where=str(source.where),
            )
        elif source.connection.watermark is None:
            yield DeclarationProblem(
                f"Source '{source.name}' is to run on arrival, but no column tells of new rows.",
                fix='Name the one that grows: watermark=; or ask by the clock: trigger=cd.every("15 minutes").',
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
                f"Prediction '{prediction.name}' is not by the clock.",
                fix='Use at=cd.cron("…") or cd.every("…"); new data predicts by itself.',
                where=str(prediction.where),
            )


def _no_column(node: Source | Table, schema: Schema, column: str, what: str) -> DeclarationProblem:
    return DeclarationProblem(
        f"'{node.name}' has no column '{column}', which it {what}.",
        nearest=nearest(column, schema.names),
        fix=f"It has {', '.join(schema.names)}.",
        where=str(node.where),
        table=node.name,
        column=column,
    )


def _promises(product: Product) -> Iterator[DeclarationProblem]:
    for sla in product.slas:
        if sla.table not in product.nodes:
            yield DeclarationProblem(
                f"'{sla.table}' is promised within a time, and nothing declares it.",
                nearest=nearest(sla.table, product.nodes),
                fix="Name a source or a table.",
                where=str(sla.where),
            )


def _governance(product: Product) -> Iterator[DeclarationProblem]:
    """What is said about tables and columns must be about some that are there."""
    named = [(retention.table, retention.where, "is to be kept for a time") for retention in product.retentions if retention.table]
    named += [(table, subject.where, "holds a subject") for subject in product.subjects for table in subject.tables]
    named += [(table, product.where, "is described") for table in product.abouts]
    for table, where, what in named:
        if table not in product.nodes and table not in product.predictions:
            yield DeclarationProblem(
                f"'{table}' {what}, and nothing declares it.",
                nearest=nearest(str(table), (*product.nodes, *product.predictions)),
                where=str(where),
            )
    for table, columns in product.abouts.items():
        node = product.nodes.get(table)
        if node is None or node.schema is None or not node.schema.names:
            continue
        for column in columns:
            if column not in node.schema:
                yield _no_column(node, node.schema, column, "is told about")
