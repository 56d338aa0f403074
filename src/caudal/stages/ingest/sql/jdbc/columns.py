"""The columns of a table or a query over JDBC: the SQL that selects them, and the Spark types that they arrive as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.declarations.database import Database
from caudal.errors import SourceProblem, nearest
from caudal.stages.ingest.sql.columns import DIGITS, SourceColumn, check_named, known_type, text_cast
from caudal.stages.ingest.sql.jdbc.server import DatabaseServer, tables

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject

# Of java.sql.Types.
_NUMERIC, _DECIMAL, _TIME, _TIME_WITH_ZONE = 2, 3, 92, 2013
_INFINITE = ("timestamptz", "date")  # Spark raises an error for an infinite timestamp
_SERIAL = {"smallserial": "int2", "serial": "int4", "bigserial": "int8"}
_SYSTEM = ("pg_catalog", "information_schema", "pg_toast")


@dataclass(frozen=True)
class JdbcTable:
    """The relation that Spark reads.

    Parameters
    ----------
    relation : str, the SQL after FROM
    columns : in the order of the result
    texts : names of columns that are read as text, whatever type Spark would choose
    """

    relation: str
    columns: tuple[SourceColumn, ...]
    texts: tuple[str, ...]

    def selection(self, server: DatabaseServer) -> str:
        """Return the SQL that Spark reads as a table: the columns with the casts that keep their values."""
        if all(column.sql == server.quote_name(column.name) for column in self.columns):
            return self.relation
        selected = ", ".join(f"{column.sql} AS {server.quote_name(column.name)}" for column in self.columns)
        return f"(SELECT {selected} FROM {self.relation}) caudal_columns"  # noqa: S608 - the user's SQL


def jdbc_table(server: DatabaseServer, source: Database) -> JdbcTable:
    """Return the relation to read.

    Raises
    ------
    SourceProblem : there is no such table, or no column of the names in watermark or key
    """
    relation = _relation(server, source)
    statement = server.connection.prepareStatement(f"SELECT * FROM {relation} WHERE 1 = 0")  # noqa: S608
    try:
        metadata = statement.executeQuery().getMetaData()
        columns = _postgres(server, metadata, source) if server.postgresql else _any(server, metadata)
    finally:
        statement.close()
    check_named(source, [column.name for column in columns])
    _check_watermark(server, source, relation, columns)
    texts = () if server.postgresql else tuple(column.name for column in columns if column.why)
    return JdbcTable(relation, tuple(columns), texts)


def _relation(server: DatabaseServer, source: Database) -> str:
    """Return the SQL after FROM: a query, or the table in the database's spelling, found ignoring case."""
    if source.table is None:
        return f"({(source.query or '').strip().rstrip(';')}) caudal_query"
    schema, _, name = source.table.rpartition(".")
    matching = [
        (schema_, table)
        for schema_, table in tables(server, list(dict.fromkeys((name, name.upper(), name.lower()))))
        if table.lower() == name.lower() and (not schema or (schema_ or "").lower() == schema.lower())
    ]
    exact = [entry for entry in matching if entry[1] == name and (not schema or entry[0] == schema)] or matching
    if not exact:
        raise _no_table_problem(server, source, schema, name)
    return (f"{server.quote_name(exact[0][0])}." if schema and exact[0][0] else "") + server.quote_name(exact[0][1])


def _no_table_problem(server: DatabaseServer, source: Database, schema: str, name: str) -> SourceProblem:
    tables_ = [(schema_, table) for schema_, table in tables(server, [None]) if (schema_ or "").lower() not in _SYSTEM]
    schemas = sorted({schema_ for schema_, _ in tables_ if schema_})
    if schema and schema.lower() not in [schema.lower() for schema in schemas]:
        return SourceProblem(
            f"The database {source.address!r} has no schema '{schema}' with a table in it, so no table '{source.table}'.",
            nearest=nearest(schema, schemas),
            fix=f"It has {', '.join(schemas[:20])}.",
            table=source.table,
        )
    names = sorted({table for schema_, table in tables_ if not schema or (schema_ or "").lower() == schema.lower()})
    return SourceProblem(
        f"The database {source.address!r} has no table '{source.table}'.",
        nearest=nearest(name, names),
        fix=f"It has {', '.join(names[:20])}." if names else "It has no table that this user may see.",
        table=source.table,
    )


def _postgres(server: DatabaseServer, metadata: JavaObject, source: Database) -> list[SourceColumn]:
    """Return the columns of PostgreSQL, with the same types as through psycopg."""
    enums = {name for (name,) in server.rows("SELECT typname::text FROM pg_catalog.pg_type WHERE typtype = 'e'")}
    columns = []
    for place in range(1, metadata.getColumnCount() + 1):
        name, type_name = str(metadata.getColumnLabel(place)), str(metadata.getColumnTypeName(place))
        type_name = type_name.rpartition(".")[2].strip('"')  # a type outside of the search path has its schema before it
        is_list = type_name.startswith("_")
        type = _SERIAL.get(type_name, type_name).removeprefix("_")
        arrow, reason = known_type(type, "e" if type in enums else "b", metadata.getPrecision(place), metadata.getScale(place))
        cast = text_cast(arrow, type, is_list)
        if type == "oid":  # Spark reads it as a number of twenty digits
            cast = "::int8[]" if is_list else "::int8"
        expression = server.quote_name(name) + cast
        if type in _INFINITE and not is_list and name != source.watermark:
            expression = _finite_expression(expression, name, type)
        columns.append(SourceColumn(name, expression, arrow, why=reason))
    return columns


def _finite_expression(expression: str, name: str, type: str) -> str:
    """Return SQL that yields a time, or raises an error with the column's name where it is infinite: Spark would read the year 9999."""
    column_text = name.replace("'", "''")
    return f"CASE WHEN isfinite({expression}) IS NOT FALSE THEN {expression} ELSE ({expression}::text || ' in column {column_text}')::{type} END"


def _check_watermark(server: DatabaseServer, source: Database, relation: str, columns: list[SourceColumn]) -> None:
    """Raise SourceProblem for an infinite watermark of PostgreSQL, after which no row would be new. The query uses the bare column, so that an index serves."""
    type_ = next((str(column.type) for column in columns if column.name == source.watermark), "")
    if not server.postgresql or source.watermark is None or not type_.startswith(("timestamp", "date")):
        return
    name = server.quote_name(source.watermark)
    ((infinite,),) = server.rows(f"SELECT NOT (isfinite(min({name})) AND isfinite(max({name}))) FROM {relation}")  # noqa: S608
    if infinite:
        raise SourceProblem(
            f"'{source.what}' at {source.address!r} has an infinite time in '{source.watermark}', its declared watermark.",
            fix="Leave such rows out by a query: WHERE isfinite(…).",
            column=source.watermark,
        )


def _any(server: DatabaseServer, metadata: JavaObject) -> list[SourceColumn]:
    """Return the columns of another database: Spark's dialect knows their types, except those whose values fit no Spark type."""
    columns = []
    for place in range(1, metadata.getColumnCount() + 1):
        name, type = str(metadata.getColumnLabel(place)), metadata.getColumnType(place)
        precision, scale = metadata.getPrecision(place), metadata.getScale(place)
        reason = None
        if type in (_TIME, _TIME_WITH_ZONE):
            reason = f"{metadata.getColumnTypeName(place)} has no type of a table"
        elif type in (_NUMERIC, _DECIMAL) and not (0 < precision <= DIGITS and 0 <= scale <= precision):
            reason = "numeric without declared digits, or with too many"
        columns.append(SourceColumn(name, server.quote_name(name), None, why=reason))
    return columns
