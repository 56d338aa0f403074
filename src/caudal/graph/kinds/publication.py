"""A publication: a table that is kept in a warehouse too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.declarations.warehouse import Publication
from caudal.errors import DeclarationProblem
from caudal.graph.check_publications import closed_columns, problems_of_columns, problems_of_tables_and_place
from caudal.graph.node_kind import NodeKind, StepKind, Style

OfTables = TypeVar("OfTables", Publication, Star)
PUBLISH = StepKind("publish", section="warehouse")


class PublishedKind(NodeKind[OfTables]):
    """Publications and stars: their steps follow the steps of the tables that they publish."""

    label = "warehouse"
    style = Style("▤", "#5a5fa8", "#a7abec")
    prefix = "publish:"
    steps = (PUBLISH,)
    pipelines = frozenset({"all", "predict"})
    follows = True

    def inputs(self, product: Product, declaration: OfTables) -> tuple[str, ...]:
        """Return the tables that are published."""
        return tuple(declaration.tables)

    def identity(self, declaration: OfTables) -> list[object]:
        """Return all that is declared."""
        return ["publish", declaration]

    def problems(self, product: Product, declaration: OfTables) -> Iterator[DeclarationProblem]:
        """Yield tables that nothing declares, a place that is used twice, and columns that closed schemas lack."""
        yield from problems_of_tables_and_place(product, declaration)
        for table, names in closed_columns(product, declaration.tables):
            yield from self.column_problems(declaration, table, names)


class PublicationKind(PublishedKind[Publication]):
    """One table of the lake, published as one table of the warehouse."""

    name = "publication"
    declaration = Publication
    rank = 90

    def column_problems(self, declaration: Publication, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
        """Yield the columns that it names and that its table lacks."""
        yield from problems_of_columns(declaration, names)


KIND = PublicationKind()
