"""A dimension's table in the warehouse: its history read, its changes laid beside, then made in one transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.declarations.star import Dimension
from caudal.storage.delta import Version
from caudal.warehouse import ddl
from caudal.warehouse.load import moved
from caudal.warehouse.star.dimension import CONTENT, UNKNOWN, Change, History, Rows
from caudal.warehouse.star.history import END, FIRST, Span
from caudal.warehouse.target import Column, Target, schema_of

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Identifier

LATE = END.date() - dt.timedelta(days=1)  # what ends later has no end, in whatever time zone that is told


@dataclass(frozen=True)
class Beside:
    """Temporary tables of what is to change: they are gone with the connection."""

    put: Identifier
    moved: Identifier
    gone: Identifier
    touched: Identifier


def read(connection: Connection[Any], dimension: Dimension, target: Target) -> History:
    """Return the history of a dimension's members as the warehouse has it."""
    from psycopg.sql import SQL, Identifier

    dated = dimension.changes == "keep"
    names = [dimension.key, CONTENT, *(["valid_from", "valid_until"] if dated else [])]
    said = SQL("SELECT {} FROM {} WHERE {} <> {} ORDER BY {}")
    told = SQL(", ").join(Identifier(name) for name in names)
    known: History = {}
    for key, content, *times in connection.execute(
        said.format(told, ddl.named(target), Identifier(dimension.surrogate), SQL(str(UNKNOWN)), Identifier(names[-2]))
    ):
        start, until = (_plain(time_) for time_ in times) if times else (FIRST, END)
        known.setdefault(key, []).append(Span(start, until, content))
    return known


def lay(connection: Connection[Any], dimension: Dimension, target: Target, change: Change, rows: Rows, version: Version) -> Beside:
    """Lay a dimension's changes beside it."""
    import pyarrow as pa
    from psycopg.sql import SQL, Identifier

    beside = Beside(*(Identifier(f"{what}_{dimension.name}"[:60]) for what in ("put", "moved", "gone", "touched")))
    key = next(column for column in target.columns if column.name == dimension.key)
    _temporary(connection, beside.put, target.columns)
    for table in rows.taken(change):
        moved(connection, beside.put, table)
    kind = next((column.type for column in target.columns if column.name == "valid_until"), "timestamp without time zone")
    _temporary(connection, beside.moved, (Column("row", "bigint"), Column("until", kind)))
    if change.moved:
        zoned = pa.timestamp("us", tz="UTC" if next(iter(change.moved.values())).tzinfo else None)
        told = {"row": pa.array(change.moved.keys(), pa.int64()), "until": pa.array(change.moved.values(), zoned)}
        moved(connection, beside.moved, pa.table(told))
    _temporary(connection, beside.gone, (Column("row", "bigint"),))
    moved(connection, beside.gone, pa.table({"row": pa.array(change.gone, pa.int64())}))
    _temporary(connection, beside.touched, (Column("key", key.type),))
    named = schema_of(version).field(dimension.key).type
    moved(connection, beside.touched, pa.table({"key": pa.array(list(change.touched), named)}))
    connection.execute(SQL("ANALYZE {}").format(beside.touched))
    return beside


def change(connection: Connection[Any], dimension: Dimension, target: Target, beside: Beside) -> None:
    """Make the changes that lie beside, and have the member that stands for what is not there."""
    from psycopg.sql import SQL, Identifier, Literal

    table, surrogate = ddl.named(target), Identifier(dimension.surrogate)
    either = SQL("DELETE FROM {0} WHERE {1} IN (SELECT row FROM {2} UNION ALL SELECT {1} FROM {3})")
    connection.execute(either.format(table, surrogate, beside.gone, beside.put))
    if dimension.changes == "keep":
        said = SQL("UPDATE {} d SET valid_until = m.until, is_current = m.until >= {} FROM {} m WHERE d.{} = m.row")
        connection.execute(said.format(table, Literal(LATE), beside.moved, surrogate))
    names = SQL(", ").join(Identifier(name) for name in target.names)
    connection.execute(SQL("INSERT INTO {0} ({1}) SELECT {1} FROM {2}").format(table, names, beside.put))
    unknown: dict[str, Any] = {dimension.surrogate: UNKNOWN}
    if dimension.changes == "keep":
        unknown |= {"valid_from": FIRST, "valid_until": END, "is_current": True}
    connection.execute(
        SQL("INSERT INTO {0} ({1}) SELECT {2} WHERE NOT EXISTS (SELECT FROM {0} WHERE {3} = {4})").format(
            table,
            SQL(", ").join(map(Identifier, unknown)),
            SQL(", ").join(map(Literal, unknown.values())),
            surrogate,
            Literal(UNKNOWN),
        )
    )


def _temporary(connection: Connection[Any], name: Identifier, columns: tuple[Column, ...]) -> None:
    from psycopg.sql import SQL, Identifier

    told = SQL(", ").join(SQL("{} {}").format(Identifier(column.name), SQL(column.type)) for column in columns)
    connection.execute(SQL("CREATE TEMPORARY TABLE {} ({})").format(name, told))


def _plain(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment


def surrogates(connection: Connection[Any], dimension: Dimension, target: Target) -> list[int]:
    """Return the surrogate keys of a dimension's rows."""
    from psycopg.sql import SQL, Identifier

    said = SQL("SELECT {0} FROM {1} WHERE {0} <> {2}").format(Identifier(dimension.surrogate), ddl.named(target), SQL(str(UNKNOWN)))
    return [number for (number,) in connection.execute(said)]
