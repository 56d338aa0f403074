"""What is wrong with what is to be published, by the names of columns that are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.declarations.warehouse import Publication, too_long
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.registered import tables_of


def tables_and_place(product: Product, publication: Publication | Star) -> Iterator[DeclarationProblem]:
    """Yield the tables that nothing declares, and the place that another is to be published at."""
    known = tables_of(product)
    for table in publication.tables:
        if table not in known:
            yield DeclarationProblem(
                f"'{publication.name}' publishes '{table}', which nothing declares.",
                nearest=nearest(table, known),
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


def columns(publication: Publication, names: Sequence[str]) -> Iterator[DeclarationProblem]:
    """Yield what is wrong with a publication of a table that has these columns."""
    kept = [name for name in names if name != "_file"] if publication.columns is None else list(publication.columns)
    asked = [
        *(("columns", name, names) for name in publication.columns or ()),
        *(("key", name, kept) for name in publication.key),
        *(("indexes", name, [*kept, "_day"]) for index in publication.indexes for name in index),
        *(("comments", name, kept) for name in publication.comments),
    ]
    for option, name, among in asked:
        if name not in among:
            yield DeclarationProblem(
                f"'{publication.place}' names '{name}' in {option}=, and its table has no such column.",
                nearest=nearest(name, among),
                fix=f"It has {', '.join(among)}.",
                where=str(publication.where),
                column=name,
            )
    for name in kept:
        if too_long(name):
            yield DeclarationProblem(
                f"Column '{name}' of '{publication.place}' is longer than the 63 bytes that PostgreSQL keeps.",
                fix="Rename it in the table, or leave it out by columns=.",
                where=str(publication.where),
                column=name,
            )


def shape_of_star(star: Star) -> Iterator[DeclarationProblem]:
    """Yield names that a star has twice or cannot have, a fact that is missing, links to dimensions that it has not."""
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
    known = [dimension.name for dimension in star.dimensions]
    for fact in star.facts:
        for column, name in fact.links.items():
            if name not in known:
                yield DeclarationProblem(
                    f"Fact '{fact.name}' links '{column}' to the dimension '{name}', which star '{star.name}' has not.",
                    nearest=nearest(name, known),
                    fix=f"It has {', '.join(known) or 'none'}.",
                    where=str(star.where),
                )


def columns_of_star(star: Star, of: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
    """Yield the columns that a star asks of a table and that are not there."""
    asked = [
        name
        for dimension in star.dimensions
        if dimension.of == of
        for name in (dimension.key, dimension.since, *(dimension.columns or ()))
        if name
    ]
    asked += [
        name
        for fact in star.facts
        if fact.of == of
        for name in (fact.time, *fact.links, *fact.dates, *(fact.measures or ()), *fact.key)
    ]
    for name in dict.fromkeys(asked):
        if name not in names:
            yield DeclarationProblem(
                f"Star '{star.name}' names the column '{name}', which '{of}' has not.",
                nearest=nearest(name, names),
                fix=f"It has {', '.join(names)}.",
                where=str(star.where),
                column=name,
            )
