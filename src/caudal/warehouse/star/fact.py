"""A fact's table: its columns, and its rows with the dimension rows that held when they happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.declarations.star import Dimension, Fact, Star, stem
from caudal.errors import StepFailed, nearest
from caudal.storage.delta import DAY, Version
from caudal.warehouse import ddl
from caudal.warehouse.star.dimension import UNKNOWN
from caudal.warehouse.target import HIDDEN, Column, Target, schema_of
from caudal.warehouse.types import type_of

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed, Identifier


@dataclass(frozen=True)
class Link:
    """A column whose value names a member of a dimension, and the column that points to its row."""

    column: str
    pointer: str
    dimension: Dimension


@dataclass(frozen=True)
class Facts:
    """A fact's table, with what its columns are taken from."""

    declared: Fact
    target: Target
    links: tuple[Link, ...]
    dates: Mapping[str, str]  # pointer to the calendar: the column that tells the day
    own: tuple[str, ...]  # columns that come from the lake


def facts_of(star: Star, fact: Fact, version: Version, description: str | None, comments: Mapping[str, str]) -> Facts:
    """Return a fact's table as it is to be.

    Raises
    ------
    StepFailed : a column that is named is not there, or one that is made is
    """
    schema = schema_of(version)
    present = [name for name in schema.names if name != DAY and name not in HIDDEN]
    for name in (fact.time, *fact.links, *(fact.dates if star.dates else ()), *(fact.measures or ()), *fact.key):
        if name not in present:
            raise StepFailed(
                f"Fact '{fact.name}' names the column '{name}', which '{fact.of}' has not.",
                nearest=nearest(name, present),
                fix=f"It has {', '.join(present)}.",
                column=name,
            )
    by_name = {dimension.name: dimension for dimension in star.dimensions}
    linked = {
        **{
            dimension.key: dimension.name
            for dimension in star.dimensions
            if dimension.key in present and dimension.name not in fact.links.values()
        },
        **fact.links,
    }
    links = tuple(Link(column, f"{stem(column, '_id')}_key", by_name[name]) for column, name in linked.items())
    dates = {f"{stem(column, '_at', '_time')}_{star.dates.surrogate}": column for column in fact.dates} if star.dates else {}
    own = tuple(dict.fromkeys((*fact.key, fact.time, *linked, *dates.values(), *(fact.measures or present))))
    for name in (*(link.pointer for link in links), *dates):
        if name in own:
            raise StepFailed(f"Fact '{fact.name}' makes a column '{name}', and '{fact.of}' has one.", fix="Rename it there.")
    day = DAY if version.partitioned else None
    columns = [
        *(Column(link.pointer, "bigint", _pointed(link, fact)) for link in links),
        *(Column(name, "integer", f"The day of {column}; {UNKNOWN} where there is none.") for name, column in dates.items()),
        *(Column(name, type_of(schema.field(name).type), comments.get(name)) for name in own),
        *([Column(DAY, "date", "The day that the row belongs to.")] if day else []),
    ]
    references = [(link.pointer, link.dimension.name, link.dimension.surrogate) for link in links]
    if star.dates:
        references += [(name, star.dates.name, star.dates.surrogate) for name in dates]
    target = Target(
        star.schema, fact.name, tuple(columns), fact.key, tuple((name,) for name, *_ in references), description, star.grant, day,
        tuple(references),
    )  # fmt: skip
    return Facts(fact, target, links, dates, (*own, *([DAY] if day else [])))


def _pointed(link: Link, fact: Fact) -> str:
    held = f" that held at {fact.time}" if link.dimension.changes == "keep" else ""
    return f"The row of {link.dimension.name}{held}; {UNKNOWN} where there is none."


def moved_in(connection: Connection[Any], facts: Facts, beside: Identifier) -> None:
    """Move rows that were loaded beside into the fact's table, each with the rows of dimensions that it points to."""
    from psycopg.sql import SQL, Identifier

    names = [*(link.pointer for link in facts.links), *facts.dates, *facts.own]
    joins = SQL("").join(_joined(facts, link, n) for n, link in enumerate(facts.links))
    values = [
        *(SQL("coalesce({}, {})").format(Identifier(f"d{n}", link.dimension.surrogate), SQL(str(UNKNOWN))) for n, link in enumerate(facts.links)),
        *(SQL("coalesce(to_char({}, 'YYYYMMDD')::integer, {})").format(Identifier("n", date), SQL(str(UNKNOWN))) for date in facts.dates.values()),
        *(Identifier("n", one) for one in facts.own),
    ]  # fmt: skip
    said = SQL("INSERT INTO {} ({}) SELECT {} FROM {} n{}")
    told = SQL(", ").join(Identifier(name) for name in names)
    connection.execute(said.format(ddl.named(facts.target), told, SQL(", ").join(values), beside, joins))


def pointed_anew(connection: Connection[Any], facts: Facts, touched: Mapping[str, Identifier | None]) -> int:
    """Let facts whose members changed point to the rows that hold now; ``touched`` names by dimension the table of their keys.

    None stands for all members.
    """
    from psycopg.sql import SQL, Identifier

    moved = 0
    for link in facts.links:
        if link.dimension.name not in touched:
            continue
        keys = touched[link.dimension.name]
        among = SQL(" JOIN {} t ON t.key = {}").format(keys, Identifier("n", link.column)) if keys is not None else SQL("")
        said = SQL(
            "UPDATE {table} f SET {pointer} = x.at FROM (SELECT n.ctid AS row, coalesce({surrogate}, {unknown}) AS at FROM {table} n"
            "{touched}{join}) x WHERE f.ctid = x.row AND f.{pointer} <> x.at"
        )
        moved += connection.execute(
            said.format(
                table=ddl.named(facts.target), pointer=Identifier(link.pointer), surrogate=Identifier("d0", link.dimension.surrogate),
                unknown=SQL(str(UNKNOWN)), touched=among, join=_joined(facts, link, 0),
            )
        ).rowcount  # fmt: skip
    return moved


def _joined(facts: Facts, link: Link, number: int) -> Composed:
    """Return the join of rows ``n`` with the dimension's row that held at their time."""
    from psycopg.sql import SQL, Identifier

    of = f"d{number}"
    table = Identifier(facts.target.schema, link.dimension.name)
    said = SQL(" LEFT JOIN {} {} ON {} = {} AND {} <> {}").format(
        table, Identifier(of), Identifier(of, link.dimension.key), Identifier("n", link.column),
        Identifier(of, link.dimension.surrogate), SQL(str(UNKNOWN)),
    )  # fmt: skip
    if link.dimension.changes != "keep":
        return said
    time = Identifier("n", facts.declared.time)
    return said + SQL(" AND {0} >= {1} AND {0} < {2}").format(time, Identifier(of, "valid_from"), Identifier(of, "valid_until"))


def years(connection: Connection[Any], several: Iterable[Facts]) -> set[int]:
    """Return the years that facts fall in."""
    from psycopg.sql import SQL, Identifier

    found: set[int] = set()
    for facts in several:
        for pointer in facts.dates:
            said = SQL("SELECT DISTINCT {0} / 10000 FROM {1} WHERE {0} > 0").format(Identifier(pointer), ddl.named(facts.target))
            found |= {year for (year,) in connection.execute(said)}
    return found
