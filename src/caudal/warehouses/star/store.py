"""A dimension's table in the warehouse: read its history, stage its changes, then apply them in one transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from psycopg.sql import SQL, Identifier, Literal

from caudal.declarations.star import Dimension
from caudal.storage.delta import Version
from caudal.warehouses import ddl
from caudal.warehouses.load import copy_table
from caudal.warehouses.star.dimension import CONTENT, UNKNOWN, DimensionChange, DimensionRows, History
from caudal.warehouses.star.history import END, FIRST, Span
from caudal.warehouses.target import Target, WarehouseColumn, schema_of

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

LATE = END.date() - dt.timedelta(days=1)  # a span that ends later has no end, in any time zone


@dataclass(frozen=True)
class StagedChanges:
    """Temporary tables of staged changes; they disappear with the connection."""

    written: Identifier
    moved: Identifier
    removed: Identifier
    touched: Identifier


def read_history(connection: Connection[TupleRow], dimension: Dimension, target: Target) -> History:
    """Return the history of a dimension's members from the warehouse."""
    dated = dimension.changes == "keep"
    names = [dimension.key, CONTENT, *(["valid_from", "valid_until"] if dated else [])]
    statement = SQL("SELECT {} FROM {} WHERE {} <> {} ORDER BY {}")
    column_list = SQL(", ").join(Identifier(name) for name in names)
    history: History = {}
    for key, content, *times in connection.execute(
        statement.format(
            column_list, ddl.identifier(target), Identifier(dimension.surrogate), SQL(str(UNKNOWN)), Identifier(names[-2])
        )
    ):
        start, until = (_plain(time_) for time_ in times) if times else (FIRST, END)
        history.setdefault(key, []).append(Span(start, until, content))
    return history


def stage_changes(
    connection: Connection[TupleRow],
    dimension: Dimension,
    target: Target,
    change: DimensionChange,
    rows: DimensionRows,
    version: Version,
) -> StagedChanges:
    """Stage a dimension's changes in temporary tables."""
    staged = StagedChanges(*(Identifier(f"{role}_{dimension.name}"[:60]) for role in ("written", "moved", "removed", "touched")))
    key = next(column for column in target.columns if column.name == dimension.key)
    _temporary(connection, staged.written, target.columns)
    for table in rows.taken(change):
        copy_table(connection, staged.written, table)
    kind = next((column.type for column in target.columns if column.name == "valid_until"), "timestamp without time zone")
    _temporary(connection, staged.moved, (WarehouseColumn("row", "bigint"), WarehouseColumn("until", kind)))
    if change.moved:
        zoned = pa.timestamp("us", tz="UTC" if next(iter(change.moved.values())).tzinfo else None)
        columns = {"row": pa.array(change.moved.keys(), pa.int64()), "until": pa.array(change.moved.values(), zoned)}
        copy_table(connection, staged.moved, pa.table(columns))
    _temporary(connection, staged.removed, (WarehouseColumn("row", "bigint"),))
    copy_table(connection, staged.removed, pa.table({"row": pa.array(change.removed, pa.int64())}))
    _temporary(connection, staged.touched, (WarehouseColumn("key", key.type),))
    key_type = schema_of(version).field(dimension.key).type
    copy_table(connection, staged.touched, pa.table({"key": pa.array(list(change.touched), key_type)}))
    connection.execute(SQL("ANALYZE {}").format(staged.touched))
    return staged


def apply_changes(connection: Connection[TupleRow], dimension: Dimension, target: Target, staged: StagedChanges) -> None:
    """Apply staged changes, and insert the unknown member if it is missing."""
    table, surrogate = ddl.identifier(target), Identifier(dimension.surrogate)
    delete_statement = SQL("DELETE FROM {0} WHERE {1} IN (SELECT row FROM {2} UNION ALL SELECT {1} FROM {3})")
    connection.execute(delete_statement.format(table, surrogate, staged.removed, staged.written))
    if dimension.changes == "keep":
        statement = SQL("UPDATE {} d SET valid_until = m.until, is_current = m.until >= {} FROM {} m WHERE d.{} = m.row")
        connection.execute(statement.format(table, Literal(LATE), staged.moved, surrogate))
    names = SQL(", ").join(Identifier(name) for name in target.names)
    connection.execute(SQL("INSERT INTO {0} ({1}) SELECT {1} FROM {2}").format(table, names, staged.written))
    unknown: dict[str, object] = {dimension.surrogate: UNKNOWN}
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


def _temporary(connection: Connection[TupleRow], name: Identifier, columns: tuple[WarehouseColumn, ...]) -> None:
    definitions = SQL(", ").join(SQL("{} {}").format(Identifier(column.name), SQL(column.type)) for column in columns)
    connection.execute(SQL("CREATE TEMPORARY TABLE {} ({})").format(name, definitions))


def _plain(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment


def surrogates(connection: Connection[TupleRow], dimension: Dimension, target: Target) -> list[int]:
    """Return the surrogate keys of a dimension's rows."""
    statement = SQL("SELECT {0} FROM {1} WHERE {0} <> {2}").format(
        Identifier(dimension.surrogate), ddl.identifier(target), SQL(str(UNKNOWN))
    )
    return [number for (number,) in connection.execute(statement)]
