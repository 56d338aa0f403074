"""A source: raw data that lands and is read into a typed table of the same name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from caudal.declarations.database import Database
from caudal.declarations.join import is_stream
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.declarations.requests import Requests
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.node_kind import Backfill, NodeKind, StepKind, Style
from caudal.json_value import JsonObject

LAND = StepKind("land", reads="origins", writes="raw", section="landed", verb="LAND", in_backfill=False, fingerprinted=False)
READ = StepKind("read", reads="raw", writes="table", section="tables", verb="READ", judged=True, in_zone=True)


class SourceKind(NodeKind[Source]):
    """Files, databases, web pages and images; streams have another kind."""

    name = "source"
    label = "source"
    declaration = Source
    rank = 10
    style = Style("●", "#2f6f9f", "#6cb2e4")
    steps = (LAND, READ)
    columns = "raw"
    backfill: ClassVar[Backfill] = "from raw"

    def includes(self, declaration: Source) -> bool:
        """Return whether it is not a stream."""
        return not is_stream(declaration)

    def comment(self, declaration: Source) -> str | None:
        """Return its description, or where its rows come from."""
        return declaration.description or f"Rows of {declaration.connection.kind}, as they came."

    def after(self, declaration: Source) -> tuple[object, ...]:
        """Return the tasks that produce its data."""
        return declaration.after

    def identity(self, declaration: Source) -> list[object]:
        """Return its connection, schema and expectations."""
        expectations = [[expected.kind, expected.parameters()] for expected in declaration.expect]
        return [
            "source", declaration.name, declaration.connection.kind, declaration.connection, declaration.schema, declaration.event_time,
            declaration.partition, expectations, *(["paths below the data folder"] if declaration.connection.kind == "images" else []),
        ]  # fmt: skip

    def document(self, declaration: Source) -> JsonObject:
        """Return where its data comes from, as text; the text of a connection contains no secret."""
        connection = declaration.connection
        place = next(
            (value for name in ("pattern", "topic", "model", "folder") if (value := getattr(connection, name, None))), None
        )
        return {"from": f"{connection.kind}: {place}" if place else str(connection.kind)}

    def problems(self, product: Product, declaration: Source) -> Iterator[DeclarationProblem]:
        """Yield the watermark and key columns of a database that its closed schema lacks, and models whose requests cannot be logged."""
        if isinstance(declaration.connection, Requests):
            yield from _request_problems(product, declaration, declaration.connection)
            return
        schema, database = declaration.schema, declaration.connection
        if not isinstance(database, Database) or schema is None or schema.open:
            return
        names = [field.raw_name for field in schema]
        for role, column in [("watermark", database.watermark), *(("key", column) for column in database.key)]:
            if column is not None and column not in names:
                yield DeclarationProblem(
                    f"Source '{declaration.name}' names '{column}' as its {role}, and its closed schema has no such column.",
                    nearest=nearest(column, names),
                    fix=f"It has {', '.join(names)}.",
                    where=str(declaration.where),
                    table=declaration.name,
                    column=column,
                )


def _request_problems(product: Product, declaration: Source, requests: Requests) -> Iterator[DeclarationProblem]:
    about = {"where": str(declaration.where), "model": requests.model}
    if requests.model not in product.models:
        yield DeclarationProblem(
            f"Source '{declaration.name}' is of the requests of '{requests.model}', which is no model of '{product.name}'.",
            nearest=nearest(requests.model, list(product.models)), **about,
        )  # fmt: skip
    of_model = [
        name
        for name, source in product.sources.items()
        if isinstance(source.connection, Requests) and source.connection.model == requests.model
    ]
    if of_model[0] != declaration.name:
        yield DeclarationProblem(
            f"Sources '{of_model[0]}' and '{declaration.name}' are both of the requests of '{requests.model}'.", fix="Keep one of them.", **about,
        )  # fmt: skip


KIND = SourceKind()
