"""A publication: a table that is kept in a warehouse too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.declarations.warehouse import Publication
from caudal.errors import DeclarationProblem
from caudal.graph.check_publications import closed_columns, columns, tables_and_place
from caudal.graph.node_kind import NodeKind, StepKind, Style

OfTables = TypeVar("OfTables", Publication, Star)
PUBLISH = StepKind("publish", section="warehouse")


class PublishedKind(NodeKind[OfTables]):
    """What is published follows the tables that a run makes."""

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
        """Yield tables that nothing declares, a place that is taken, and columns that closed schemas have not."""
        yield from tables_and_place(product, declaration)
        for table, names in closed_columns(product, declaration.tables):
            yield from self.lacking(declaration, table, names)


class PublicationKind(PublishedKind[Publication]):
    """One table of the lake as one of the warehouse."""

    name = "publication"
    declaration = Publication
    rank = 90

    def lacking(self, declaration: Publication, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
        """Yield the columns that it names and that its table has not."""
        yield from columns(declaration, names)


KIND = PublicationKind()
