"""A table's definition in the catalog: create it, inspect it, and bring it in line with the declaration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from caudal.errors import StepFailed
from caudal.warehouses.target import Target, WarehouseColumn, index_name

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow
    from psycopg.sql import Composed

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum)
FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_KEY = """
SELECT c.conname, array(SELECT a.attname FROM unnest(c.conkey) WITH ORDINALITY k(n, place)
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.place)
FROM pg_constraint c WHERE c.conrelid = to_regclass(%s) AND c.contype = 'p'
"""
_INDEXES = "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = to_regclass(%s) AND relname LIKE 'caudal\\_%%' AND NOT indisprimary"
_REFERENCES = "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'f' AND conname LIKE 'caudal\\_%%'"
_VIEWS = """
SELECT DISTINCT v.oid::regclass::text, a.attname
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(%s)
AND v.oid <> d.refobjid AND a.attname = ANY(%s) ORDER BY 1, 2
"""


def identifier(target: Target) -> Identifier:
    """Return the table as an SQL identifier."""
    return Identifier(target.schema, target.table)


def regclass(target: Target) -> str:
    """Return the table's name as ``to_regclass`` reads it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (target.schema, target.table))


def existing_columns(connection: Connection[TupleRow], target: Target) -> dict[str, WarehouseColumn]:
    """Return the table's existing columns; none if the table does not exist."""
    return {name: WarehouseColumn(name, type, comment) for name, type, comment in connection.execute(_COLUMNS, [regclass(target)])}


def analyze_statement(target: Target) -> Composed:
    """Return the statement that updates the planner's statistics at once, instead of when autovacuum runs."""
    return SQL("ANALYZE {}").format(identifier(target))


def create_table(connection: Connection[TupleRow], target: Target, into: Identifier, *, logged: bool = True) -> None:
    """Create a table with the target's columns and nothing else."""
    definitions = SQL(", ").join(_column(column) for column in target.columns)
    connection.execute(SQL("CREATE {} TABLE {} ({})").format(SQL("" if logged else "UNLOGGED"), into, definitions))


def align_table(connection: Connection[TupleRow], target: Target) -> None:
    """Bring key, indexes, comments and grants in line with the declaration; what already matches is left alone."""
    _drop_indexes(connection, target)
    _key(connection, target)
    _indexes(connection, target)
    _comments(connection, target)
    if target.grant:
        _grant(connection, target)


def alter(connection: Connection[TupleRow], target: Target, existing: dict[str, WarehouseColumn]) -> None:
    """Give an emptied table the target's columns."""
    declared = {column.name: column for column in target.columns}
    for name in existing.keys() - declared.keys():
        connection.execute(SQL("ALTER TABLE {} DROP COLUMN {}").format(identifier(target), Identifier(name)))
    for name, column in declared.items():
        if name not in existing:
            connection.execute(SQL("ALTER TABLE {} ADD COLUMN {}").format(identifier(target), _column(column)))
        elif existing[name].type != column.type:
            statement = SQL("ALTER TABLE {0} ALTER COLUMN {1} TYPE {2} USING NULL::{2}")
            connection.execute(statement.format(identifier(target), Identifier(name), SQL(column.type)))


def has_same_columns(target: Target, existing: Mapping[str, WarehouseColumn]) -> bool:
    """Return whether a table has the target's columns."""
    return {column.name: column.type for column in existing.values()} == {column.name: column.type for column in target.columns}


def removed_columns(connection: Connection[TupleRow], target: Target, existing: Mapping[str, WarehouseColumn]) -> list[str]:
    """Return the columns that a table would lose, or whose type would change.

    Raises
    ------
    StepFailed : views depend on such columns
    """
    declared = {column.name: column.type for column in target.columns}
    names = [name for name, column in existing.items() if declared.get(name) != column.type]
    views = [(view, column) for view, column in connection.execute(_VIEWS, [regclass(target), names])]
    if views:
        uses = ", ".join(f"'{view}' uses '{column}'" for view, column in views)
        raise StepFailed(
            f"'{target.place}' is to lose columns, or change their types, that views depend on: {uses}.",
            fix="Drop or change these views, run again, and make them anew.",
            views=[view for view, _ in views],
        )
    return names


def _column(column: WarehouseColumn) -> Composed:
    return SQL("{} {}").format(Identifier(column.name), SQL(column.type))


def _drop_indexes(connection: Connection[TupleRow], target: Target) -> None:
    for (name,) in connection.execute(_INDEXES, [regclass(target)]).fetchall():
        if name not in target.all_indexes:
            connection.execute(SQL("DROP INDEX {}").format(Identifier(target.schema, name)))
    drop_references(connection, target, excluded=_references(target))


def _key(connection: Connection[TupleRow], target: Target) -> None:
    constraint = connection.execute(_KEY, [regclass(target)]).fetchone()
    if constraint is not None and tuple(constraint[1]) == target.key:
        return
    if constraint is not None:
        connection.execute(SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(identifier(target), Identifier(constraint[0])))
        for name in constraint[1]:
            connection.execute(SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL").format(identifier(target), Identifier(name)))
    if target.key:
        columns = SQL(", ").join(Identifier(name) for name in target.key)
        connection.execute(SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(identifier(target), columns))


def _indexes(connection: Connection[TupleRow], target: Target) -> None:
    existing = {name for (name,) in connection.execute(_INDEXES, [regclass(target)])}
    for name, columns in target.all_indexes.items():
        if name not in existing:
            column_list = SQL(", ").join(Identifier(column) for column in columns)
            connection.execute(SQL("CREATE INDEX {} ON {} ({})").format(Identifier(name), identifier(target), column_list))


def add_references(connection: Connection[TupleRow], target: Target) -> None:
    """Add missing foreign keys; they are checked when the transaction ends."""
    existing = {name for (name,) in connection.execute(_REFERENCES, [regclass(target)])}
    for name, (column, table, other) in _references(target).items():
        if name not in existing:
            statement = SQL("ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) DEFERRABLE INITIALLY DEFERRED")
            referenced = Identifier(target.schema, table)
            connection.execute(
                statement.format(identifier(target), Identifier(name), Identifier(column), referenced, Identifier(other))
            )


def drop_references(connection: Connection[TupleRow], target: Target, excluded: Collection[str] = ()) -> None:
    """Drop foreign keys, except some."""
    for (name,) in connection.execute(_REFERENCES, [regclass(target)]).fetchall():
        if name not in excluded:
            connection.execute(SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(identifier(target), Identifier(name)))


def _references(target: Target) -> dict[str, tuple[str, str, str]]:
    return {index_name(target.table, (*reference, "reference")): reference for reference in target.references}


def _comments(connection: Connection[TupleRow], target: Target) -> None:
    (comment,) = connection.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [regclass(target)]).fetchone() or (None,)
    if comment != target.comment:
        connection.execute(SQL("COMMENT ON TABLE {} IS {}").format(identifier(target), Literal(target.comment)))
    existing = existing_columns(connection, target)
    for column in target.columns:
        if existing[column.name].comment != column.comment:
            column_identifier = Identifier(target.schema, target.table, column.name)
            connection.execute(SQL("COMMENT ON COLUMN {} IS {}").format(column_identifier, Literal(column.comment)))


def role(connection: Connection[TupleRow], name: str) -> None:
    """Create a role that may read, unless it exists.

    Raises
    ------
    StepFailed : this user may not create roles; the fix is the statement for an administrator
    """
    if name == "public" or connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
        return
    try:
        connection.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(name)))
    except errors.DuplicateObject:  # another connection has just created it
        return
    except errors.InsufficientPrivilege:
        raise StepFailed(
            f"The warehouse has no role '{name}', and user '{connection.info.user}' may not make it.",
            fix=f'An administrator has to run: CREATE ROLE "{name}" NOLOGIN;',
            role=name,
        ) from None


def _grant(connection: Connection[TupleRow], target: Target) -> None:
    grantee = str(target.grant)
    recipient = SQL("PUBLIC") if grantee == "public" else Identifier(grantee)
    privilege_query = "SELECT has_schema_privilege(%s, %s, 'USAGE')"
    if connection.execute(privilege_query, [grantee, target.schema]).fetchone() != (True,):
        connection.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(target.schema), recipient))
        if connection.execute(privilege_query, [grantee, target.schema]).fetchone() != (True,):
            raise StepFailed(
                f"Role '{grantee}' may not use the schema '{target.schema}', and this user may not grant it.",
                fix=f'An administrator has to run: GRANT USAGE ON SCHEMA "{target.schema}" TO "{grantee}";',
                role=grantee,
            )
    connection.execute(SQL("GRANT SELECT ON {} TO {}").format(identifier(target), recipient))
