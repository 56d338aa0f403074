"""The columns of a table or a query: their names, the SQL that selects them, and the Arrow type that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import inspect, text, types

from caudal.declarations.database import Database
from caudal.errors import SourceProblem, nearest

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.types import TypeEngine

DIGITS = 38  # of the widest decimal


@dataclass(frozen=True)
class SourceColumn:
    """One column.

    Parameters
    ----------
    sql : str, the SQL expression that selects it
    type : Arrow type, or None where the database does not declare one, so that the values decide
    sqlalchemy_type : SQLAlchemy type, optional, that converts the driver's values to Python's
    why : str, optional, why it is kept as text
    """

    name: str
    sql: str
    type: pa.DataType | None
    sqlalchemy_type: TypeEngine[Any] | None = None
    why: str | None = None


def source_columns(connection: Connection, source: Database) -> list[SourceColumn]:
    """Return the columns of a source's table or query.

    Raises
    ------
    SourceProblem : there is no such table, or no column of the names in watermark or key
    """
    if source.table is not None:
        _check_table(connection, source.table, source)
    columns_ = _postgres(connection, source) if connection.dialect.name == "postgresql" else _by_inspector(connection, source)
    check_named(source, [column.name for column in columns_])
    return columns_


def check_named(source: Database, names: list[str]) -> None:
    """Check that the declared columns exist.

    Raises
    ------
    SourceProblem : no column has the name of the watermark or of a part of the key
    """
    for role, name in (
        *((("watermark", source.watermark),) if source.watermark else ()),
        *(("key", column) for column in source.key),
    ):
        if name not in names:
            raise SourceProblem(
                f"'{source.what}' at {source.address!r} has no column '{name}', its declared {role}.",
                nearest=nearest(name, names),
                fix=f"It has {', '.join(names)}.",
                column=name,
            )


def relation(connection: Connection, source: Database) -> str:
    """Return the SQL after FROM."""
    if source.table is not None:
        return ".".join(quote_name(connection, part) for part in _parts(source.table) if part)
    return f"({_escape((source.query or '').strip().rstrip(';'))}) AS q"


def quote_name(connection: Connection, name: str) -> str:
    """Return a quoted name for SQLAlchemy's text, where colons begin parameters and percent signs are not doubled."""
    quoted_name = connection.dialect.identifier_preparer.quote(name)
    return _escape(quoted_name.replace("%%", "%") if connection.dialect.paramstyle in ("format", "pyformat") else quoted_name)


def _escape(sql: str) -> str:
    return sql.replace(":", "\\:")


def _parts(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _check_table(connection: Connection, table: str, source: Database) -> None:
    schema, name = _parts(table)
    inspector = inspect(connection)
    if schema is not None and schema not in (schemas := inspector.get_schema_names()):
        raise SourceProblem(
            f"The database {source.address!r} has no schema '{schema}', so no table '{table}'.",
            nearest=nearest(schema, schemas),
            fix=f"It has {', '.join(sorted(schemas)[:20])}.",
            table=table,
        )
    if inspector.has_table(name, schema=schema):
        return
    names = [*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)]
    raise SourceProblem(
        f"The database {source.address!r} has no table '{table}'.",
        nearest=nearest(name, names),
        fix=f"It has {', '.join(sorted(names)[:20])}." if names else "It has no table that this user may see.",
        table=table,
    )


# Names of pg_type.
_READ = {"text", "varchar", "bpchar", "name"}  # the driver returns these as text by itself
_TEXT = {*_READ, "char", "uuid", "json", "jsonb", "xml", "citext"}
_SAME = {
    "bool": "bool", "int2": "int16", "int4": "int32", "int8": "int64", "oid": "int64", "float4": "float32", "float8": "float64",
    "bytea": "binary", "date": "date32",
}  # fmt: skip
_TYPES = """
SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typelem, e.typname AS element, e.typtype AS element_kind
FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
WHERE t.oid = ANY(:oids)
"""


def _postgres(connection: Connection, source: Database) -> list[SourceColumn]:
    """Return the columns as PostgreSQL describes a result, where a domain is its base type."""
    result = connection.execute(text(f"SELECT * FROM {relation(connection, source)} LIMIT 0"))  # noqa: S608 - the user's SQL
    assert result.cursor is not None
    cursor: Any = result.cursor
    described = list(cursor.description or ())
    modifiers = [cursor.pgresult.fmod(i) for i in range(len(described))]
    result.close()
    type_rows = connection.execute(text(_TYPES), {"oids": [column.type_code for column in described]})
    types = {row.oid: row for row in type_rows}
    columns_ = []
    for column, digits in zip(described, modifiers, strict=True):
        type = types[column.type_code]
        name = quote_name(connection, column.name)
        is_list = type.element is not None
        # How PostgreSQL packs the digits of a numeric: precision above, scale below; -1 where none were declared.
        precision, scale = (0, 0) if digits < 4 else ((digits - 4) >> 16, (digits - 4) & 0x7FF)
        type_name, kind = (type.element, type.element_kind) if is_list else (type.typname, type.typtype)
        arrow, reason = known_type(type_name, kind, precision, scale)
        cast = text_cast(arrow, type_name, is_list)
        columns_.append(SourceColumn(column.name, name + _escape(cast), _list_type(arrow) if is_list else arrow, why=reason))
    return columns_


def text_cast(arrow: pa.DataType, type: str, is_list: bool) -> str:
    """Return the cast that makes PostgreSQL return a type as text, where the driver does not do so by itself."""
    if str(arrow) != "string" or type in _READ:
        return ""
    return "::text[]" if is_list else "::text"


def _list_type(arrow: pa.DataType) -> pa.DataType:
    return pa.list_(arrow)


def known_type(name: str, kind: str, precision: int, scale: int) -> tuple[pa.DataType, str | None]:
    """Return the Arrow type of a PostgreSQL type, and why it is text where another type might be expected.

    Parameters
    ----------
    kind : ``e`` for an enum, as ``pg_type`` says
    precision, scale : int, declared digits of a numeric, 0 where none are
    """
    if name in _SAME:
        return getattr(pa, _SAME[name])() if _SAME[name] != "bool" else pa.bool_(), None
    if name == "timestamp":
        return pa.timestamp("us"), None
    if name == "timestamptz":
        return pa.timestamp("us", tz="UTC"), None
    if name == "numeric" and precision and precision <= DIGITS and 0 <= scale <= precision:
        return pa.decimal128(precision, scale), None
    if name == "numeric":
        reason = (
            f"has more than {DIGITS} digits" if precision else "has no declared digits; cast it in a query, e.g. ::numeric(12,2)"
        )
        return pa.string(), f"numeric that {reason}"
    if kind == "e" or name in _TEXT:
        return pa.string(), None
    return pa.string(), f"{name} has no type of a table"


def _by_inspector(connection: Connection, source: Database) -> list[SourceColumn]:
    """Return the columns by SQLAlchemy's inspector; for a query, only their names."""
    if source.table is None:
        result = connection.execute(text(f"SELECT * FROM {relation(connection, source)} WHERE 1 = 0"))  # noqa: S608
        return [SourceColumn(name, quote_name(connection, name), None) for name in result.keys()]  # noqa: SIM118 - a result is no mapping
    schema, name = _parts(source.table)
    return [
        _column_of(column["name"], quote_name(connection, column["name"]), column["type"])
        for column in inspect(connection).get_columns(name, schema=schema)
    ]


def _column_of(name: str, sql: str, type: TypeEngine[Any]) -> SourceColumn:
    plain = [
        (types.Boolean, pa.bool_()), (types.Integer, pa.int64()), (types.Float, pa.float64()), (types.DateTime, pa.timestamp("us")),
        (types.Date, pa.date32()), (types.LargeBinary, pa.binary()), (types.Time, pa.string()), (types.Enum, pa.string()),
        (types.String, pa.string()),
    ]  # fmt: skip
    if isinstance(type, types.Numeric) and not isinstance(type, types.Float):
        if type.precision and type.precision <= DIGITS and 0 <= (type.scale or 0) <= type.precision:
            return SourceColumn(
                name, sql, pa.decimal128(type.precision, type.scale or 0), types.Numeric(type.precision, type.scale or 0)
            )
        return SourceColumn(name, sql, pa.string(), why="numeric without declared digits")
    for sql_type, arrow in plain:
        if isinstance(type, sql_type):
            return SourceColumn(name, sql, arrow, types.String() if isinstance(type, types.Enum | types.Time) else type)
    if isinstance(type, types.NullType):  # SQLite's columns need no type
        return SourceColumn(name, sql, None)
    return SourceColumn(name, sql, pa.string(), why=f"{type} has no type of a table")
