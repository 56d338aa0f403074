"""The declared form of a table in the warehouse: its columns, key, indexes, comments and readers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake import Schema

from caudal.declarations.warehouse import too_long
from caudal.errors import StepFailed, nearest
from caudal.storage.delta import DAY, Version
from caudal.warehouses.types import type_of

HIDDEN = ("_file",)  # columns of the lake alone


@dataclass(frozen=True)
class WarehouseColumn:
    """A column in the warehouse, with its type as the catalog writes it."""

    name: str
    type: str
    comment: str | None = None


@dataclass(frozen=True)
class Target:
    """A table in the warehouse.

    Parameters
    ----------
    day : str, optional, the column by whose days rows are replaced
    """

    schema: str
    table: str
    columns: tuple[WarehouseColumn, ...]
    key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    comment: str | None = None
    grant: str | None = None
    day: str | None = None
    references: tuple[tuple[str, str, str], ...] = field(default=())  # column, table of the same schema, its column

    @property
    def place(self) -> str:
        """Schema and table, as people write them."""
        return f"{self.schema}.{self.table}"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def all_indexes(self) -> dict[str, tuple[str, ...]]:
        """Indexes by their names: those declared, and that of the day."""
        columns_of_indexes = [*self.indexes, *([(self.day,)] if self.day else [])]
        return {
            index_name(self.table, index_columns): index_columns
            for index_columns in dict.fromkeys(columns_of_indexes)
            if index_columns != self.key
        }

    def digest(self) -> str:
        """Return a digest of the declaration."""
        declaration = [
            [[column.name, column.type, column.comment] for column in self.columns], self.key, self.indexes, self.comment, self.grant, self.day,
            self.references,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(declaration).encode()).hexdigest()


def schema_of(version: Version) -> pa.Schema:
    """Return a version's Arrow schema."""
    return pa.schema(Schema.from_json(json.dumps(dict(version.schema))).to_arrow())


def warehouse_columns(
    version: Version, selected: Sequence[str] | None, comments: Mapping[str, str], place: str
) -> tuple[WarehouseColumn, ...]:
    """Return a version's columns in the warehouse; its day, if it has one, is the last.

    Raises
    ------
    StepFailed : a wanted column does not exist, or a name is longer than PostgreSQL keeps
    """
    whole = schema_of(version)
    present = [name for name in whole.names if name != DAY]
    names = list(selected) if selected is not None else [name for name in present if name not in HIDDEN]
    for name in names:
        if name not in present:
            raise StepFailed(
                f"'{place}' is to have the column '{name}', which its table has not.",
                nearest=nearest(name, present),
                fix=f"It has {', '.join(present)}.",
                column=name,
            )
        if too_long(name):
            raise StepFailed(
                f"Column '{name}' of '{place}' is longer than the 63 bytes that PostgreSQL keeps.",
                fix="Rename it in the table, or leave it out by columns=.",
                column=name,
            )
    result = [WarehouseColumn(name, type_of(whole.field(name).type), comments.get(name)) for name in names]
    return (*result, *([WarehouseColumn(DAY, "date", "The day that the row belongs to.")] if version.partitioned else []))


def index_name(table: str, columns: Sequence[str]) -> str:
    """Return an index's name, derived from its table and columns."""
    sha = hashlib.sha256(json.dumps([table, list(columns)]).encode()).hexdigest()[:10]
    return f"caudal_{sha}_" + "_".join(columns).encode()[:40].decode(errors="ignore")
