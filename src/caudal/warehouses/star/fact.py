"""A fact's table: its columns, and its rows with the dimension rows that were valid at their time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier

from caudal.declarations.star import Dimension, Fact, Star, column_stem
from caudal.errors import StepFailed, nearest
from caudal.storage.delta import DAY, Version
from caudal.warehouses import ddl
from caudal.warehouses.star.dimension import UNKNOWN
from caudal.warehouses.target import HIDDEN, Target, WarehouseColumn, schema_of
from caudal.warehouses.types import type_of

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow
    from psycopg.sql import Composed


@dataclass(frozen=True)
class Link:
    """A column that names a dimension's member, and the column that refers to the member's row."""

    column: str
    pointer: str
    dimension: Dimension


@dataclass(frozen=True)
class Facts:
    """A fact's table, and where its columns come from."""

    declared: Fact
    target: Target
    links: tuple[Link, ...]
    dates: Mapping[str, str]  # column that refers to the calendar: column with the day's time
    lake_columns: tuple[str, ...]  # columns that come from the lake


def facts_of(star: Star, fact: Fact, version: Version, description: str | None, comments: Mapping[str, str]) -> Facts:
    """Return a fact's declared table.

    Raises
    ------
    StepFailed : a named column does not exist, or a generated one does already
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
    links = tuple(Link(column, f"{column_stem(column, '_id')}_key", by_name[name]) for column, name in linked.items())
    dates = {f"{column_stem(column, '_at', '_time')}_{star.dates.surrogate}": column for column in fact.dates} if star.dates else {}
    lake_columns = tuple(dict.fromkeys((*fact.key, fact.time, *linked, *dates.values(), *(fact.measures or present))))
    for name in (*(link.pointer for link in links), *dates):
        if name in lake_columns:
            raise StepFailed(f"Fact '{fact.name}' makes a column '{name}', and '{fact.of}' has one.", fix="Rename it there.")
    day = DAY if version.partitioned else None
    columns = [
        *(WarehouseColumn(link.pointer, "bigint", _pointer_comment(link, fact)) for link in links),
        *(
            WarehouseColumn(name, "integer", f"The day of {column}; {UNKNOWN} where there is none.")
            for name, column in dates.items()
        ),
        *(WarehouseColumn(name, type_of(schema.field(name).type), comments.get(name)) for name in lake_columns),
        *([WarehouseColumn(DAY, "date", "The day that the row belongs to.")] if day else []),
    ]
    references = [(link.pointer, link.dimension.name, link.dimension.surrogate) for link in links]
    if star.dates:
        references += [(name, star.dates.name, star.dates.surrogate) for name in dates]
    target = Target(
        star.schema, fact.name, tuple(columns), fact.key, tuple((name,) for name, *_ in references), description, star.grant, day,
        tuple(references),
    )  # fmt: skip
    return Facts(fact, target, links, dates, (*lake_columns, *([DAY] if day else [])))


def _pointer_comment(link: Link, fact: Fact) -> str:
    validity = f" that held at {fact.time}" if link.dimension.changes == "keep" else ""
    return f"The row of {link.dimension.name}{validity}; {UNKNOWN} where there is none."


def insert_staged_rows(connection: Connection[TupleRow], facts: Facts, staged: Identifier) -> None:
    """Move staged rows into the fact's table, each with references to its dimension rows."""
    names = [*(link.pointer for link in facts.links), *facts.dates, *facts.lake_columns]
    joins = SQL("").join(_join_clause(facts, link, n) for n, link in enumerate(facts.links))
    values = [
        *(SQL("coalesce({}, {})").format(Identifier(f"d{n}", link.dimension.surrogate), SQL(str(UNKNOWN))) for n, link in enumerate(facts.links)),
        *(SQL("coalesce(to_char({}, 'YYYYMMDD')::integer, {})").format(Identifier("n", date), SQL(str(UNKNOWN))) for date in facts.dates.values()),
        *(Identifier("n", name) for name in facts.lake_columns),
    ]  # fmt: skip
    statement = SQL("INSERT INTO {} ({}) SELECT {} FROM {} n{}")
    column_list = SQL(", ").join(Identifier(name) for name in names)
    connection.execute(statement.format(ddl.identifier(facts.target), column_list, SQL(", ").join(values), staged, joins))


def update_references(connection: Connection[TupleRow], facts: Facts, touched: Mapping[str, Identifier | None]) -> int:
    """Update facts of changed members to refer to the rows that are valid now; ``touched`` names the table of their keys, by
    dimension.

    None means all members.
    """
    moved = 0
    for link in facts.links:
        if link.dimension.name not in touched:
            continue
        keys = touched[link.dimension.name]
        touched_join = SQL(" JOIN {} t ON t.key = {}").format(keys, Identifier("n", link.column)) if keys is not None else SQL("")
        statement = SQL(
            "UPDATE {table} f SET {pointer} = x.at FROM (SELECT n.ctid AS row, coalesce({surrogate}, {unknown}) AS at FROM {table} n"
            "{touched}{join}) x WHERE f.ctid = x.row AND f.{pointer} <> x.at"
        )
        moved += connection.execute(
            statement.format(
                table=ddl.identifier(facts.target), pointer=Identifier(link.pointer), surrogate=Identifier("d0", link.dimension.surrogate),
                unknown=SQL(str(UNKNOWN)), touched=touched_join, join=_join_clause(facts, link, 0),
            )
        ).rowcount  # fmt: skip
    return moved


def _join_clause(facts: Facts, link: Link, number: int) -> Composed:
    """Return the join of rows ``n`` with the dimension's row that was valid at their time."""
    alias = f"d{number}"
    table = Identifier(facts.target.schema, link.dimension.name)
    join = SQL(" LEFT JOIN {} {} ON {} = {} AND {} <> {}").format(
        table, Identifier(alias), Identifier(alias, link.dimension.key), Identifier("n", link.column),
        Identifier(alias, link.dimension.surrogate), SQL(str(UNKNOWN)),
    )  # fmt: skip
    if link.dimension.changes != "keep":
        return join
    time = Identifier("n", facts.declared.time)
    return join + SQL(" AND {0} >= {1} AND {0} < {2}").format(
        time, Identifier(alias, "valid_from"), Identifier(alias, "valid_until")
    )


def years(connection: Connection[TupleRow], all_facts: Iterable[Facts]) -> set[int]:
    """Return the years of all facts."""
    result: set[int] = set()
    for facts in all_facts:
        for pointer in facts.dates:
            statement = SQL("SELECT DISTINCT {0} / 10000 FROM {1} WHERE {0} > 0").format(
                Identifier(pointer), ddl.identifier(facts.target)
            )
            result |= {year for (year,) in connection.execute(statement)}
    return result
