"""The columns of a table or a query that JDBC gives: how they are asked for, and as which of Spark's types they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caudal.declarations.database import Database
from caudal.errors import SourceProblem, nearest
from caudal.stages.ingest.sql.columns import DIGITS, Column, check_named, known_type, text_cast
from caudal.stages.ingest.sql.jdbc.server import Server, tables

# Of java.sql.Types.
_NUMERIC, _DECIMAL, _TIME, _TIME_WITH_ZONE = 2, 3, 92, 2013
_INFINITE = ("timestamptz", "date")  # of an infinite timestamp Spark makes an error
_SERIAL = {"smallserial": "int2", "serial": "int4", "bigserial": "int8"}
_SYSTEM = ("pg_catalog", "information_schema", "pg_toast")


@dataclass(frozen=True)
class Asked:
    """What Spark is to ask for.

    Parameters
    ----------
    relation : str, what stands after FROM
    columns : as they come
    texts : names of columns that are to be read as text, whatever Spark would make of them
    """

    relation: str
    columns: tuple[Column, ...]
    texts: tuple[str, ...]

    def selection(self, server: Server) -> str:
        """Return what Spark reads as a table: the columns with the casts that keep their values."""
        if all(column.asked == server.quoted(column.name) for column in self.columns):
            return self.relation
        listed = ", ".join(f"{column.asked} AS {server.quoted(column.name)}" for column in self.columns)
        return f"(SELECT {listed} FROM {self.relation}) caudal_columns"  # noqa: S608 - the user's own words


def asked(server: Server, source: Database) -> Asked:
    """Return what is to be asked for.

    Raises
    ------
    SourceProblem : there is no such table, or no column that watermark or key name
    """
    relation = _relation(server, source)
    statement = server.connection.prepareStatement(f"SELECT * FROM {relation} WHERE 1 = 0")  # noqa: S608
    try:
        about = statement.executeQuery().getMetaData()
        found = _postgres(server, about, source) if server.postgresql else _any(server, about)
    finally:
        statement.close()
    check_named(source, [one.name for one in found])
    _check_watermark(server, source, relation, found)
    texts = () if server.postgresql else tuple(one.name for one in found if one.why)
    return Asked(relation, tuple(found), texts)


def _relation(server: Server, source: Database) -> str:
    """Return what stands after FROM: a query, or the table as the database calls it, whatever its case."""
    if source.table is None:
        return f"({(source.query or '').strip().rstrip(';')}) caudal_query"
    schema, _, name = source.table.rpartition(".")
    same = [
        (of, one)
        for of, one in tables(server, list(dict.fromkeys((name, name.upper(), name.lower()))))
        if one.lower() == name.lower() and (not schema or (of or "").lower() == schema.lower())
    ]
    exact = [one for one in same if one[1] == name and (not schema or one[0] == schema)] or same
    if not exact:
        raise _no_table(server, source, schema, name)
    return (f"{server.quoted(exact[0][0])}." if schema and exact[0][0] else "") + server.quoted(exact[0][1])


def _no_table(server: Server, source: Database, schema: str, name: str) -> SourceProblem:
    there = [(of, one) for of, one in tables(server, [None]) if (of or "").lower() not in _SYSTEM]
    schemas = sorted({of for of, _ in there if of})
    if schema and schema.lower() not in [schema.lower() for schema in schemas]:
        return SourceProblem(
            f"The database {source.address!r} has no schema '{schema}' with a table in it, so no table '{source.table}'.",
            nearest=nearest(schema, schemas),
            fix=f"It has {', '.join(schemas[:20])}.",
            table=source.table,
        )
    among = sorted({one for of, one in there if not schema or (of or "").lower() == schema.lower()})
    return SourceProblem(
        f"The database {source.address!r} has no table '{source.table}'.",
        nearest=nearest(name, among),
        fix=f"It has {', '.join(among[:20])}." if among else "It has no table that this user may see.",
        table=source.table,
    )


def _postgres(server: Server, about: Any, source: Database) -> list[Column]:
    """Return the columns of PostgreSQL, in the types that they have when psycopg brings them."""
    enums = {name for (name,) in server.rows("SELECT typname::text FROM pg_catalog.pg_type WHERE typtype = 'e'")}
    found = []
    for place in range(1, about.getColumnCount() + 1):
        name, told = str(about.getColumnLabel(place)), str(about.getColumnTypeName(place))
        told = told.rpartition(".")[2].strip('"')  # a type of a schema that is not looked in is told with it
        listed = told.startswith("_")
        type = _SERIAL.get(told, told).removeprefix("_")
        arrow, why = known_type(type, "e" if type in enums else "b", about.getPrecision(place), about.getScale(place))
        cast = text_cast(arrow, type, listed)
        if type == "oid":  # Spark takes it for a number of twenty digits
            cast = "::int8[]" if listed else "::int8"
        said = server.quoted(name) + cast
        if type in _INFINITE and not listed and name != source.watermark:
            said = _finite(said, name, type)
        found.append(Column(name, said, arrow, why=why))
    return found


def _finite(said: str, name: str, type: str) -> str:
    """Return what gives a time, and an error that names the column where it is infinite: Spark would make the year 9999 of it."""
    about = name.replace("'", "''")
    return f"CASE WHEN isfinite({said}) IS NOT FALSE THEN {said} ELSE ({said}::text || ' in column {about}')::{type} END"


def _check_watermark(server: Server, source: Database, relation: str, found: list[Column]) -> None:
    """Refuse an infinite watermark of PostgreSQL's, after which no row would be new. It is asked for bare, so that an index serves."""
    about = next((str(one.type) for one in found if one.name == source.watermark), "")
    if not server.postgresql or source.watermark is None or not about.startswith(("timestamp", "date")):
        return
    name = server.quoted(source.watermark)
    ((infinite,),) = server.rows(f"SELECT NOT (isfinite(min({name})) AND isfinite(max({name}))) FROM {relation}")  # noqa: S608
    if infinite:
        raise SourceProblem(
            f"'{source.what}' at {source.address!r} has an infinite time in '{source.watermark}', its declared watermark.",
            fix="Leave such rows out by a query: WHERE isfinite(…).",
            column=source.watermark,
        )


def _any(server: Server, about: Any) -> list[Column]:
    """Return the columns of another database: Spark's dialect knows their types, but for those whose values no type of its holds."""
    found = []
    for place in range(1, about.getColumnCount() + 1):
        name, type = str(about.getColumnLabel(place)), about.getColumnType(place)
        precision, scale = about.getPrecision(place), about.getScale(place)
        why = None
        if type in (_TIME, _TIME_WITH_ZONE):
            why = f"{about.getColumnTypeName(place)} has no type of a table"
        elif type in (_NUMERIC, _DECIMAL) and not (0 < precision <= DIGITS and 0 <= scale <= precision):
            why = "numeric without declared digits, or with too many"
        found.append(Column(name, server.quoted(name), None, why=why))
    return found
