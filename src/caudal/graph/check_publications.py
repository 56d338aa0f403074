"""Check publications and stars by the names of tables and columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.declarations.warehouse import Publication, too_long
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.registered import tables_of


def problems_of_tables_and_place(product: Product, publication: Publication | Star) -> Iterator[DeclarationProblem]:
    """Yield published tables that nothing declares, and a place in the warehouse that two publications share."""
    declared_tables = tables_of(product)
    for table in publication.tables:
        if table not in declared_tables:
            yield DeclarationProblem(
                f"'{publication.name}' publishes '{table}', which nothing declares.",
                nearest=nearest(table, declared_tables),
                where=str(publication.where),
            )
    same = next(other for other in product.publications.values() if other.place == publication.place)
    if same is not publication and same.to == publication.to:
        yield DeclarationProblem(
            f"Two tables are to be published as '{publication.place}'.",
            fix="Call one otherwise: name=.",
            where=str(publication.where),
        )


def closed_columns(product: Product, tables: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the tables whose columns are all declared, each with their names."""
    for table in tables:
        node = product.nodes.get(table)
        if node is not None and node.schema is not None and node.schema.names and not node.schema.open:
            yield table, node.schema.names


def problems_of_columns(publication: Publication, names: Sequence[str]) -> Iterator[DeclarationProblem]:
    """Yield the columns that a publication names and its table, which has the columns ``names``, lacks, and names that are too long."""
    published_columns = [name for name in names if name != "_file"] if publication.columns is None else list(publication.columns)
    named_columns = [
        *(("columns", name, names) for name in publication.columns or ()),
        *(("key", name, published_columns) for name in publication.key),
        *(("indexes", name, [*published_columns, "_day"]) for index in publication.indexes for name in index),
        *(("comments", name, published_columns) for name in publication.comments),
    ]
    for option, name, among in named_columns:
        if name not in among:
            yield DeclarationProblem(
                f"'{publication.place}' names '{name}' in {option}=, and its table has no such column.",
                nearest=nearest(name, among),
                fix=f"It has {', '.join(among)}.",
                where=str(publication.where),
                column=name,
            )
    for name in published_columns:
        if too_long(name):
            yield DeclarationProblem(
                f"Column '{name}' of '{publication.place}' is longer than the 63 bytes that PostgreSQL keeps.",
                fix="Rename it in the table, or leave it out by columns=.",
                where=str(publication.where),
                column=name,
            )


def problems_of_star(star: Star) -> Iterator[DeclarationProblem]:
    """Yield duplicate and invalid table names of a star, a missing fact, and links to dimensions that do not exist."""
    names = star.names
    for name in {name for name in names if names.count(name) > 1}:
        yield DeclarationProblem(
            f"Star '{star.name}' has two tables '{name}'.", fix="Call one otherwise: name=.", where=str(star.where)
        )
    if not star.facts:
        yield DeclarationProblem(f"Star '{star.name}' has no fact.", fix="Give one: fact=cd.fact(...).", where=str(star.where))
    for name in names:
        if not name or too_long(f"{name}_key"):
            yield DeclarationProblem(
                f"'{name}' of star '{star.name}' is no name of a table.", fix="A name has 1 to 59 bytes.", where=str(star.where)
            )
    dimension_names = [dimension.name for dimension in star.dimensions]
    for fact in star.facts:
        for column, name in fact.links.items():
            if name not in dimension_names:
                yield DeclarationProblem(
                    f"Fact '{fact.name}' links '{column}' to the dimension '{name}', which star '{star.name}' has not.",
                    nearest=nearest(name, dimension_names),
                    fix=f"It has {', '.join(dimension_names) or 'none'}.",
                    where=str(star.where),
                )


def problems_of_star_columns(star: Star, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
    """Yield the columns that a star names and that its table lacks."""
    named_columns = [
        name
        for dimension in star.dimensions
        if dimension.of == table
        for name in (dimension.key, dimension.since, *(dimension.columns or ()))
        if name
    ]
    named_columns += [
        name
        for fact in star.facts
        if fact.of == table
        for name in (fact.time, *fact.links, *fact.dates, *(fact.measures or ()), *fact.key)
    ]
    for name in dict.fromkeys(named_columns):
        if name not in names:
            yield DeclarationProblem(
                f"Star '{star.name}' names the column '{name}', which '{table}' has not.",
                nearest=nearest(name, names),
                fix=f"It has {', '.join(names)}.",
                where=str(star.where),
                column=name,
            )
