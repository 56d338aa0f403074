"""A star schema: facts, and the dimensions that they are told by; declared, not written by hand."""

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
    """What facts are told by: one row per key, or per key and stretch of time.

    Parameters
    ----------
    name : str, of its table; its surrogate key is ``<name>_key``
    of : str, the table that it is made of
    key : str, the column that names a member
    changes : ``overwrite`` (type 1) has each member as it is now; ``keep`` (type 2) has each state of it, with the time for
        which it held: from ``valid_from`` on, until before ``valid_until``
    since : str, optional, the column that says from when a row holds. Without it a row holds from when it was published
    columns : which columns are kept beside the key; all where left out
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
    """The calendar, by day: whole years, those that facts fall in."""

    name: str = "date"

    @property
    def surrogate(self) -> str:
        """The column of its keys, whole numbers such as 20240229."""
        return f"{self.name}_key"


@dataclass(frozen=True)
class Fact:
    """What happened, with its measures.

    Parameters
    ----------
    of : str, the table that it is made of
    time : str, the column that says when it happened
    links : mapping of column to the dimension whose key it holds
    dates : columns whose day the calendar tells; ``time`` unless told
    measures : columns that are counted with; all where left out
    key : columns that name a row
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
        """Where it is, as people write it."""
        return f"{self.schema}.*"

    @property
    def tables(self) -> tuple[str, ...]:
        """The product's tables that it is made of."""
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
            f"Changes of dimension '{name or of}' are to be dealt with by '{changes}'.",
            nearest=nearest(changes, get_args(Changes)),
            fix="Write overwrite or keep.",
            where=where,
        )
    if since is not None and changes != "keep":
        raise DeclarationProblem(
            f"Dimension '{name or of}' says since when rows hold, and keeps none that did before.",
            fix='Write changes="keep", or leave since= out.',
            where=where,
        )
    return Dimension(name or of, of, key, changes, since, None if columns is None else tuple(columns))


def date_dimension(name: str = "date") -> Dates:
    """Return the calendar as a dimension of stars; its rows are made."""
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

    A column that bears the name of a dimension's key is linked to it unless ``links`` says otherwise.
    """
    of = name_of(table)
    linked = {column: to if isinstance(to, str) else to.name for column, to in (links or {}).items()}
    return Fact(
        name or of, of, time, linked, (time,) if dates is None else tuple(dates), None if measures is None else tuple(measures),
        names_of(key),
    )  # fmt: skip


def stem(column: str, *ends: str) -> str:
    """Return a column's name without what says its kind.

    Examples
    --------
    >>> stem("pickup_zone_id", "_id"), stem("pickup_at", "_at")
    ('pickup_zone', 'pickup')
    """
    return next((column[: -len(end)] for end in ends if column.endswith(end) and column != end), column)
