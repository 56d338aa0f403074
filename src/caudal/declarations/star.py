"""Declarations of star schemas: facts and their dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from caudal.declarations.declared import Function, name_of, names_of
from caudal.declarations.location import Location, caller
from caudal.declarations.node import Node
from caudal.declarations.warehouse import Names, Warehouse
from caudal.errors import DeclarationProblem, nearest

Changes = Literal["overwrite", "keep"]
OF_VERSIONS = ("valid_from", "valid_until", "is_current")


@dataclass(frozen=True)
class Dimension:
    """A dimension of facts: one row per key, or per key and period of validity.

    Parameters
    ----------
    name : str, name of its table; its surrogate key is ``<name>_key``
    of : str, the table that it is built from
    key : str, the column that identifies a member
    changes : ``overwrite`` (type 1) has each member's current state; ``keep`` (type 2) has all its states, with the period of
        validity: from ``valid_from`` on, until before ``valid_until``
    since : str, optional, the column with the time from which a row is valid. Without it a row is valid from its publication on
    columns : the columns that it has besides the key; all where left out
    """

    name: str
    of: str
    key: str
    changes: Changes = "overwrite"
    since: str | None = None
    columns: tuple[str, ...] | None = None

    @property
    def surrogate(self) -> str:
        """The column of its surrogate keys."""
        return f"{self.name}_key"


@dataclass(frozen=True)
class Dates:
    """The calendar dimension: all days of the years in which facts happened."""

    name: str = "date"

    @property
    def surrogate(self) -> str:
        """The column of its keys, whole numbers such as 20240229."""
        return f"{self.name}_key"


@dataclass(frozen=True)
class Fact:
    """Events with their measures.

    Parameters
    ----------
    of : str, the table that it is built from
    time : str, the column with the time of the event
    links : mapping of column to the dimension whose key it holds
    dates : columns that are linked to the calendar; ``time`` unless given
    measures : columns with measures; all where left out
    key : columns that identify a row
    """

    name: str
    of: str
    time: str
    links: Mapping[str, str] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    measures: tuple[str, ...] | None = None
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Star:
    """Facts and dimensions that are published together, in one transaction."""

    name: str
    to: Warehouse
    schema: str
    facts: tuple[Fact, ...]
    dimensions: tuple[Dimension, ...]
    dates: Dates | None = None
    grant: str | None = None
    retry: int = 0
    time_limit_s: float | None = None
    where: Location | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """Its schema, in the form ``schema.*``."""
        return f"{self.schema}.*"

    @property
    def tables(self) -> tuple[str, ...]:
        """The product's tables that it is built from."""
        return tuple(dict.fromkeys([*(dimension.of for dimension in self.dimensions), *(fact.of for fact in self.facts)]))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its tables in the warehouse."""
        calendar = (self.dates.name,) if self.dates else ()
        return (*(dimension.name for dimension in self.dimensions), *calendar, *(fact.name for fact in self.facts))


def dimension(
    table: Node | Function | str,
    *,
    key: str,
    changes: Changes = "overwrite",
    since: str | None = None,
    columns: Sequence[str] | None = None,
    name: str | None = None,
) -> Dimension:
    """Return a table as a dimension of stars; see `caudal.declarations.star.Dimension`."""
    where, of = str(caller()), name_of(table)
    if changes not in get_args(Changes):
        raise DeclarationProblem(
            f"Dimension '{name or of}' has the unknown changes='{changes}'.",
            nearest=nearest(changes, get_args(Changes)),
            fix="Write overwrite or keep.",
            where=where,
        )
    if since is not None and changes != "keep":
        raise DeclarationProblem(
            f"Dimension '{name or of}' has since=, but keeps no earlier states of its rows.",
            fix='Write changes="keep", or leave since= out.',
            where=where,
        )
    return Dimension(name or of, of, key, changes, since, None if columns is None else tuple(columns))


def date_dimension(name: str = "date") -> Dates:
    """Return the calendar as a dimension of stars; caudal generates its rows."""
    return Dates(name)


def fact(
    table: Node | Function | str,
    *,
    time: str,
    measures: Sequence[str] | None = None,
    links: Mapping[str, str | Dimension] | None = None,
    dates: Sequence[str] | None = None,
    key: Names = (),
    name: str | None = None,
) -> Fact:
    """Return a table as facts of a star; see `caudal.declarations.star.Fact`.

    A column with the name of a dimension's key is linked to that dimension unless ``links`` says otherwise.
    """
    of = name_of(table)
    linked = {column: to if isinstance(to, str) else to.name for column, to in (links or {}).items()}
    return Fact(
        name or of, of, time, linked, (time,) if dates is None else tuple(dates), None if measures is None else tuple(measures),
        names_of(key),
    )  # fmt: skip


def column_stem(column: str, *ends: str) -> str:
    """Return a column's name without its ending.

    Examples
    --------
    >>> column_stem("pickup_zone_id", "_id"), column_stem("pickup_at", "_at")
    ('pickup_zone', 'pickup')
    """
    return next((column[: -len(end)] for end in ends if column.endswith(end) and column != end), column)
