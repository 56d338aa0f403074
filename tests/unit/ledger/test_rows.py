"""The types of the ledger's rows say what its tables hold: the same columns, null where a column may be, the same kinds of values."""

from __future__ import annotations

import types
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest
from sqlalchemy import JSON, Boolean, Float, Integer, Text
from sqlalchemy.types import String
from typing_extensions import is_typeddict

from caudal.ledger import column_types, records, rows

ROWS = {value.__name__: value for value in vars(rows).values() if is_typeddict(value) and value.__name__.endswith("Row")}


def row_of(table: str) -> type:
    words = {"entries": "entry"}
    single = (
        {"alerts": "alert", "candidates": "candidate", "lineages": "lineage"}.get(table)
        or words.get(table)
        or table.removesuffix("s")
    )
    return ROWS["LandedRow" if table == "landed" else "".join(word.capitalize() for word in single.split("_")) + "Row"]


@pytest.mark.parametrize("table", sorted(records.metadata.tables))
def test_a_row_has_the_columns_of_its_table(table: str) -> None:
    hints = get_type_hints(row_of(table))
    columns = records.metadata.tables[table].columns
    assert list(hints) == [column.name for column in columns]
    for column in columns:
        parts = (
            set(get_args(hints[column.name]))
            if get_origin(hints[column.name]) in (Union, types.UnionType)
            else {hints[column.name]}
        )
        if not isinstance(column.type, column_types.Scalars):
            assert (type(None) in parts) == bool(column.nullable), (table, column.name)
        (kind,) = parts - {type(None)}
        if isinstance(column.type, Boolean | Integer | Float):
            assert kind is column.type.python_type, (table, column.name)
        elif isinstance(column.type, String | Text | column_types.Words):
            assert kind is str or get_origin(kind) is Literal, (table, column.name)
        elif not isinstance(column.type, column_types.Scalars):
            assert isinstance(column.type, JSON | column_types.Document), (table, column.name)


def test_every_row_has_a_table() -> None:
    assert set(ROWS) - {row_of(table).__name__ for table in records.metadata.tables} == {
        "ChampionRow"
    }  # a version with its decision
