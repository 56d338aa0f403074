"""A star schema in a warehouse: facts that point to the rows of dimensions that held when they happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.errors import DeclarationProblem
from caudal.graph.check_publications import closed_columns, columns_of_star, shape_of_star, tables_and_place
from caudal.graph.kinds.publication import PublishedKind


class StarKind(PublishedKind[Star]):
    """A publication of several tables."""

    name = "star"
    declaration = Star
    rank = 91

    def problems(self, product: Product, declaration: Star) -> Iterator[DeclarationProblem]:
        """Yield what is wrong with its facts and dimensions, beside what may be wrong with any publication."""
        yield from tables_and_place(product, declaration)
        yield from shape_of_star(declaration)
        for table, names in closed_columns(product, declaration.tables):
            yield from self.lacking(declaration, table, names)

    def lacking(self, declaration: Star, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
        """Yield the columns that the star asks of a table."""
        yield from columns_of_star(declaration, table, names)


KIND = StarKind()
