"""A star schema in a warehouse: facts that point to the dimension rows that were valid when they happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.errors import DeclarationProblem
from caudal.graph.check_publications import closed_columns, problems_of_star, problems_of_star_columns, problems_of_tables_and_place
from caudal.graph.kinds.publication import PublishedKind


class StarKind(PublishedKind[Star]):
    """A publication of several tables."""

    name = "star"
    declaration = Star
    rank = 91

    def problems(self, product: Product, declaration: Star) -> Iterator[DeclarationProblem]:
        """Yield the problems of its facts and dimensions, and those that any publication may have."""
        yield from problems_of_tables_and_place(product, declaration)
        yield from problems_of_star(declaration)
        for table, names in closed_columns(product, declaration.tables):
            yield from self.column_problems(declaration, table, names)

    def column_problems(self, declaration: Star, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
        """Yield the columns that the star names and that the table lacks."""
        yield from problems_of_star_columns(declaration, table, names)


KIND = StarKind()
