"""The columns of a table or a query: what they are called, how they are asked for, and the Arrow type that keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.declarations.database import Database
from caudal.errors import SourceProblem, nearest

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection

DIGITS = 38  # of the widest decimal


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    asked : str, the SQL that asks for it
    type : Arrow type, or None where the database does not tell and the values have to
    told : SQLAlchemy type, optional, that turns the driver's values into Python's
    why : str, optional, why it is kept as text
    """

    name: str
    asked: str
    type: pa.DataType | None
    told: Any = None
    why: str | None = None


def columns(connection: Connection, source: Database) -> list[Column]:
    """Return the columns of what a source asks for.

    Raises
    ------
    SourceProblem : there is no such table, or no column that watermark or key name
    """
    if source.table is not None:
        _present(connection, source.table, source)
    found = _postgres(connection, source) if connection.dialect.name == "postgresql" else _any(connection, source)
    check_named(source, [one.name for one in found])
    return found


def check_named(source: Database, names: list[str]) -> None:
    """Hold what is declared of columns against those that there are.

    Raises
    ------
    SourceProblem : no column is called as watermark or key say
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
    """Return what stands after FROM."""
    if source.table is not None:
        return ".".join(quoted(connection, part) for part in _parts(source.table) if part)
    return f"({_plain((source.query or '').strip().rstrip(';'))}) AS q"


def quoted(connection: Connection, name: str) -> str:
    """Return a name as it stands in SQLAlchemy's text, where colons begin parameters and a percent sign is one."""
    said = connection.dialect.identifier_preparer.quote(name)
    return _plain(said.replace("%%", "%") if connection.dialect.paramstyle in ("format", "pyformat") else said)


def _plain(sql: str) -> str:
    return sql.replace(":", "\\:")


def _parts(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _present(connection: Connection, table: str, source: Database) -> None:
    from sqlalchemy import inspect

    schema, name = _parts(table)
    look = inspect(connection)
    if schema is not None and schema not in (schemas := look.get_schema_names()):
        raise SourceProblem(
            f"The database {source.address!r} has no schema '{schema}', so no table '{table}'.",
            nearest=nearest(schema, schemas),
            fix=f"It has {', '.join(sorted(schemas)[:20])}.",
            table=table,
        )
    if look.has_table(name, schema=schema):
        return
    among = [*look.get_table_names(schema=schema), *look.get_view_names(schema=schema)]
    raise SourceProblem(
        f"The database {source.address!r} has no table '{table}'.",
        nearest=nearest(name, among),
        fix=f"It has {', '.join(sorted(among)[:20])}." if among else "It has no table that this user may see.",
        table=table,
    )


# Names of pg_type.
_READ = {"text", "varchar", "bpchar", "name"}  # that the driver gives as text by itself
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


def _postgres(connection: Connection, source: Database) -> list[Column]:
    """Return the columns as PostgreSQL describes a result: a domain is its base type there."""
    from sqlalchemy import text

    result = connection.execute(text(f"SELECT * FROM {relation(connection, source)} LIMIT 0"))  # noqa: S608 - the user's own words
    assert result.cursor is not None
    cursor: Any = result.cursor
    described = list(cursor.description or ())
    modifiers = [cursor.pgresult.fmod(i) for i in range(len(described))]
    result.close()
    told = connection.execute(text(_TYPES), {"oids": [one.type_code for one in described]})
    types = {row.oid: row for row in told}
    found = []
    for one, digits in zip(described, modifiers, strict=True):
        type = types[one.type_code]
        name = quoted(connection, one.name)
        listed = type.element is not None
        # How PostgreSQL packs the digits of a numeric: precision above, scale below; -1 where none were declared.
        precision, scale = (0, 0) if digits < 4 else ((digits - 4) >> 16, (digits - 4) & 0x7FF)
        own, kind = (type.element, type.element_kind) if listed else (type.typname, type.typtype)
        arrow, why = known_type(own, kind, precision, scale)
        cast = text_cast(arrow, own, listed)
        found.append(Column(one.name, name + _plain(cast), _listed(arrow) if listed else arrow, why=why))
    return found


def text_cast(arrow: pa.DataType, type: str, listed: bool) -> str:
    """Return the cast by which PostgreSQL gives a type as text, where the driver does not do so by itself."""
    if str(arrow) != "string" or type in _READ:
        return ""
    return "::text[]" if listed else "::text"


def _listed(arrow: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.list_(arrow)


def known_type(name: str, kind: str, precision: int, scale: int) -> tuple[pa.DataType, str | None]:
    """Return the Arrow type of a type of PostgreSQL, and why it is text where it could be thought to be more.

    Parameters
    ----------
    kind : ``e`` for an enum, as ``pg_type`` says
    precision, scale : int, declared digits of a numeric, 0 where none are
    """
    import pyarrow as pa

    if name in _SAME:
        return getattr(pa, _SAME[name])() if _SAME[name] != "bool" else pa.bool_(), None
    if name == "timestamp":
        return pa.timestamp("us"), None
    if name == "timestamptz":
        return pa.timestamp("us", tz="UTC"), None
    if name == "numeric" and precision and precision <= DIGITS and 0 <= scale <= precision:
        return pa.decimal128(precision, scale), None
    if name == "numeric":
        said = f"has more than {DIGITS} digits" if precision else "has no declared digits; cast it in a query, e.g. ::numeric(12,2)"
        return pa.string(), f"numeric that {said}"
    if kind == "e" or name in _TEXT:
        return pa.string(), None
    return pa.string(), f"{name} has no type of a table"


def _any(connection: Connection, source: Database) -> list[Column]:
    """Return the columns as SQLAlchemy's inspector tells them; of a query, their names."""
    from sqlalchemy import inspect, text

    if source.table is None:
        result = connection.execute(text(f"SELECT * FROM {relation(connection, source)} WHERE 1 = 0"))  # noqa: S608
        return [Column(name, quoted(connection, name), None) for name in result.keys()]  # noqa: SIM118 - a result is no mapping
    schema, name = _parts(source.table)
    return [
        _told(column["name"], quoted(connection, column["name"]), column["type"])
        for column in inspect(connection).get_columns(name, schema=schema)
    ]


def _told(name: str, asked: str, type: Any) -> Column:
    import pyarrow as pa
    from sqlalchemy import types

    plain = [
        (types.Boolean, pa.bool_()), (types.Integer, pa.int64()), (types.Float, pa.float64()), (types.DateTime, pa.timestamp("us")),
        (types.Date, pa.date32()), (types.LargeBinary, pa.binary()), (types.Time, pa.string()), (types.Enum, pa.string()),
        (types.String, pa.string()),
    ]  # fmt: skip
    if isinstance(type, types.Numeric) and not isinstance(type, types.Float):
        if type.precision and type.precision <= DIGITS and 0 <= (type.scale or 0) <= type.precision:
            return Column(
                name, asked, pa.decimal128(type.precision, type.scale or 0), types.Numeric(type.precision, type.scale or 0)
            )
        return Column(name, asked, pa.string(), why="numeric without declared digits")
    for one, arrow in plain:
        if isinstance(type, one):
            return Column(name, asked, arrow, types.String() if isinstance(type, types.Enum | types.Time) else type)
    if isinstance(type, types.NullType):  # SQLite's columns need no type
        return Column(name, asked, None)
    return Column(name, asked, pa.string(), why=f"{type} has no type of a table")
