"""Schemas of sources and tables: column names, types, units, labels. They need no engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from caudal.errors import DeclarationProblem, nearest

TYPES = ("string", "boolean", "int", "long", "float", "double", "date", "timestamp", "timestamp_utc", "binary")


def element_of(type: str) -> str | None:
    """Return the type of an array's elements, None of any other type.

    Examples
    --------
    >>> element_of("array<long>"), element_of("long")
    ('long', None)
    """
    return type[6:-1] if type.startswith("array<") and type.endswith(">") else None


@dataclass(frozen=True)
class Field:
    """One column.

    Parameters
    ----------
    name : str, the name inside caudal
    type : str, one of ``TYPES``, ``decimal(p,s)``, or ``array<…>`` of one of these; ``timestamp`` is local wall time, ``timestamp_utc`` an instant
    nullable : bool, False makes a null a format error (the row is quarantined)
    raw : str, optional, the column's name in the raw files, where it differs
    unit, label, description : str, optional, shown in forms, cards and the catalog
    required : bool, False lets files lack the column (it is then null)
    """

    name: str
    type: str
    nullable: bool = True
    raw: str | None = None
    unit: str | None = None
    label: str | None = None
    description: str | None = None
    required: bool = True

    def __post_init__(self) -> None:
        inner = element_of(self.type) or self.type
        if inner not in TYPES and not re.fullmatch(r"decimal\(\d+,\s*\d+\)", inner):
            raise DeclarationProblem(
                f"Column '{self.name}' has the unknown type '{self.type}'.",
                nearest=nearest(self.type, TYPES),
                fix=f"Use one of {', '.join(TYPES)}, decimal(p,s), or array<…> of one of these.",
                column=self.name,
            )

    @property
    def raw_name(self) -> str:
        """The column's name in the raw files."""
        return self.raw or self.name


def column(
    type: str,
    *,
    nullable: bool = True,
    raw: str | None = None,
    unit: str | None = None,
    label: str | None = None,
    description: str | None = None,
    required: bool = True,
) -> Field:
    """Return a column for ``schema(name=column(...))``."""
    return Field("", type, nullable, raw, unit, label, description, required)


@dataclass(frozen=True)
class Schema:
    """Columns in order. An ``open`` schema accepts new nullable columns of later files; a closed schema refuses them."""

    fields: tuple[Field, ...] = field(default=())
    open: bool = True

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __contains__(self, name: object) -> bool:
        return any(field.name == name for field in self.fields)

    def __getitem__(self, name: str) -> Field:
        for column in self.fields:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(field.name for field in self.fields)


def schema(columns: Mapping[str, str | Field] | None = None, *, open: bool = True, **more: str | Field) -> Schema:
    """Return a schema from names and types.

    Examples
    --------
    >>> schema(zone="string", fare_usd=column("double", unit="USD", raw="fare_amount")).names
    ('zone', 'fare_usd')
    """
    declared = {**(columns or {}), **more}
    return Schema(
        tuple(
            Field(name, type_or_field) if isinstance(type_or_field, str) else replace(type_or_field, name=name)
            for name, type_or_field in declared.items()
        ),
        open,
    )
