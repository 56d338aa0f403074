"""A table: the result of a function of other tables, or of a query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import ClassVar, TypeVar

from caudal.declarations.node import Table
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.node_kind import Backfill, NodeKind, StepKind, Style
from caudal.json_value import JsonObject

BUILD = StepKind(
    "table", writes="table", section="tables", verb="TABLE", judged=True, in_zone=True, runs_function=True,
)  # fmt: skip
OfTable = TypeVar("OfTable", bound=Table)
_OF_TABLES = frozenset(field.name for field in fields(Table))


class TableKind(NodeKind[OfTable]):
    """The common part of all kinds of tables."""

    name = "table"
    label = "table"
    declaration: ClassVar[type] = Table
    rank = 20
    style = Style("■", "#3b7d4f", "#72c48b")
    steps = (BUILD,)
    columns = "built"
    backfill: ClassVar[Backfill] = "from inputs"

    def needs(self, product: Product, declaration: OfTable) -> tuple[str, ...]:
        """Return the tables that it reads for its rows, and for its expectations."""
        expectation_tables = (name for expectation in declaration.expect for name in expectation.tables)
        return tuple(dict.fromkeys((*declaration.inputs, *expectation_tables)))

    def identity(self, declaration: OfTable) -> list[object]:
        """Return its function or query, its declared columns and options, and the fields that its class adds."""
        expectations = [[expected.kind, expected.parameters()] for expected in declaration.expect]
        return [
            declaration.kind, declaration.name, declaration.inputs, declaration.function or declaration.sql, declaration.schema,
            declaration.event_time, "file" if declaration.by_file else declaration.partition, declaration.lookback_s,
            dict(declaration.known), expectations,
            {field.name: getattr(declaration, field.name) for field in fields(declaration) if field.name not in _OF_TABLES},
        ]  # fmt: skip

    def sql(self, declaration: OfTable) -> str | None:
        """Return its query."""
        return declaration.sql

    def document(self, declaration: OfTable) -> JsonObject:
        """Return its query and how far it looks back."""
        return {"sql": declaration.sql, "lookback_s": declaration.lookback_s}

    def problems(self, product: Product, declaration: OfTable) -> Iterator[DeclarationProblem]:
        """Yield nothing: inputs and columns of tables are checked together (`caudal.graph.check`)."""
        yield from ()


KIND: TableKind[Table] = TableKind()
