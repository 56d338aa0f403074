"""What is wrong with what is to be published, by the names of columns that are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.declarations.warehouse import Publication, too_long
from caudal.errors import DeclarationProblem, nearest


def publications(product: Product) -> Iterator[DeclarationProblem]:
    """Yield what is wrong without data: tables that nothing declares, two at one place, columns that closed schemas have not."""
    places: dict[str, Publication | Star] = {}
    for publication in product.publications.values():
        for table in publication.tables:
            if table not in product.nodes and table not in product.predictions:
                among = [*product.nodes, *product.predictions]
                yield DeclarationProblem(
                    f"'{publication.name}' publishes '{table}', which nothing declares.",
                    nearest=nearest(table, among),
                    where=str(publication.where),
                )
        same = places.setdefault(publication.place, publication)
        if same is not publication and same.to == publication.to:
            yield DeclarationProblem(
                f"Two tables are to be published as '{publication.place}'.",
                fix="Call one otherwise: name=.",
                where=str(publication.where),
            )
        if isinstance(publication, Star):
            yield from _star(product, publication)
            continue
        node = product.nodes.get(publication.of)
        if node is not None and node.schema is not None and node.schema.names and not node.schema.open:
            yield from columns(publication, node.schema.names)


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


def _star(product: Product, star: Star) -> Iterator[DeclarationProblem]:
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
    for of in star.tables:
        node = product.nodes.get(of)
        if node is not None and node.schema is not None and node.schema.names and not node.schema.open:
            yield from columns_of_star(star, of, node.schema.names)


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
