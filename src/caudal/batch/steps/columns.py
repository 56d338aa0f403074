"""Compares the columns of a table's next rows with those of its published version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql.types import NullType, StructType

from caudal.declarations.node import Table
from caudal.runtime.product_tables import ProductTables
from caudal.storage import delta

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def other_columns(tables: ProductTables, table: Table, frame: DataFrame) -> str | None:
    """Return which column of the published table is missing or has another type now; None where columns were only added.

    An input's columns may be named anew, and a pandas frame has whole numbers on one day and others on the next: rows of both kinds
    are no one table.
    """
    number = tables.version(table.name)
    if number is None:
        return None
    now = {
        field.name: "string" if isinstance(field.dataType, NullType) else field.dataType.simpleString() for field in frame.schema
    }
    for field in StructType.fromJson(dict(delta.read_version(tables.folder(table.name), number).schema)):
        before = field.dataType.simpleString()
        if field.name not in now and field.name != delta.DAY:
            return f"its column '{field.name}' is gone"
        if now.get(field.name, before) != before:
            return f"its column '{field.name}' was {before} and is {now[field.name]}"
    return None
