"""The calendar as a dimension: one row per day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier, Literal

from caudal.declarations.star import Dates, Star
from caudal.warehouses import ddl
from caudal.warehouses.star.dimension import UNKNOWN
from caudal.warehouses.target import Target, WarehouseColumn

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_ROWS = """
INSERT INTO {table}
SELECT to_char(d, 'YYYYMMDD')::integer, d::date, extract(year FROM d), extract(quarter FROM d), extract(month FROM d), to_char(d, 'FMMonth'),
    extract(isoyear FROM d), extract(week FROM d), extract(day FROM d), extract(doy FROM d), extract(isodow FROM d), to_char(d, 'FMDay'),
    extract(isodow FROM d) > 5
FROM generate_series(make_timestamp({year}, 1, 1, 0, 0, 0), make_timestamp({year}, 12, 31, 0, 0, 0), interval '1 day') d
"""


def target(star: Star, dates: Dates) -> Target:
    """Return the calendar's table."""
    columns = (
        WarehouseColumn(dates.surrogate, "integer", f"The day as a number, 20240229; {UNKNOWN} stands for no day."),
        WarehouseColumn("day", "date", None),
        WarehouseColumn("year", "integer", None),
        WarehouseColumn("quarter", "integer", None),
        WarehouseColumn("month", "integer", None),
        WarehouseColumn("month_name", "text", "In English."),
        WarehouseColumn("iso_year", "integer", "The year that the ISO week belongs to."),
        WarehouseColumn("iso_week", "integer", "Week of ISO 8601, from 1."),
        WarehouseColumn("day_of_month", "integer", None),
        WarehouseColumn("day_of_year", "integer", None),
        WarehouseColumn("weekday", "integer", "From 1, Monday, to 7, Sunday."),
        WarehouseColumn("weekday_name", "text", "In English."),
        WarehouseColumn("is_weekend", "boolean", "Saturday or Sunday."),
    )
    return Target(star.schema, dates.name, columns, (dates.surrogate,), (), "The calendar, by day.", star.grant)


def fill(connection: Connection[TupleRow], calendar: Target, years: Iterable[int]) -> None:
    """Make the calendar hold exactly these years, and the row that stands for no day."""
    table, surrogate = ddl.identifier(calendar), Identifier(calendar.columns[0].name)
    existing = {year for (year,) in connection.execute(SQL("SELECT DISTINCT year FROM {} WHERE year IS NOT NULL").format(table))}
    required = set(years)
    connection.execute(SQL("DELETE FROM {} WHERE year = ANY({})").format(table, Literal(sorted(existing - required))))
    for year in sorted(required - existing):
        connection.execute(SQL(_ROWS).format(table=table, year=Literal(year)))
    connection.execute(
        SQL("INSERT INTO {0} ({1}) SELECT {2} WHERE NOT EXISTS (SELECT FROM {0} WHERE {1} = {2})").format(
            table, surrogate, Literal(UNKNOWN)
        )
    )
