"""Declarations of tables that are published to a data warehouse; they need no driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from caudal.declarations.database import DatabaseAddress
from caudal.declarations.location import Location, caller
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.secret import shown

NAME_BYTES = 63  # PostgreSQL cuts longer names off
OWN_SCHEMA = "caudal"  # where the warehouse keeps what was published
Names = str | Sequence[str]


@dataclass(frozen=True)
class Warehouse:
    """A PostgreSQL database. Without an address it is the one that the setting ``warehouse`` names."""

    address: DatabaseAddress | None = None

    def url(self, setting: str | None) -> str | None:
        """Return the complete URL; None where neither the declaration nor the setting names one.

        Raises
        ------
        EnvironmentProblem : the variable that holds it is not set, or the URL is not one of PostgreSQL
        """
        url = setting if self.address is None else self.address.url()
        if url is None:
            return None
        if urlsplit(url).scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise EnvironmentProblem(
                f"The warehouse '{shown(url)}' is no PostgreSQL.", fix="Write it as postgresql://user@host/database."
            )
        return url


@dataclass(frozen=True)
class Publication:
    """A table of the product that is published to a warehouse.

    Parameters
    ----------
    name : str, the table's name in the warehouse
    of : str, the table, features or predictions that are published
    key : columns that identify a row: the primary key
    indexes : lists of columns
    columns : the columns that are published; all but ``_file`` where left out
    comments : comments on columns, besides the descriptions in the schema
    grant : str, optional, a role that may read; created where it does not exist
    """

    name: str
    of: str
    to: Warehouse
    schema: str
    key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] | None = None
    comments: Mapping[str, str] = field(default_factory=dict)
    grant: str | None = None
    retry: int = 0
    time_limit_s: float | None = None
    where: Location | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """Schema and table, in the form ``schema.table``."""
        return f"{self.schema}.{self.name}"

    @property
    def tables(self) -> tuple[str, ...]:
        """The product's table that it publishes."""
        return (self.of,)


def warehouse(url: str | None = None, *, env: str | None = None) -> Warehouse:
    """Return a PostgreSQL database to publish to: its ``url``, the variable that holds it (``env``), or the setting ``warehouse``."""
    where = str(caller())
    if url is not None and env is not None:
        raise DeclarationProblem("A warehouse has one address.", fix="Give url or env=, one of them.", where=where)
    if url is not None and urlsplit(url).scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise DeclarationProblem(
            f"'{shown(url)}' is no warehouse.",
            fix="Write it as postgresql://user@host/database, or name a variable: env=.",
            where=where,
        )
    return Warehouse(DatabaseAddress(url, env) if url or env else None)


def lists_of(indexes: Sequence[Names]) -> tuple[tuple[str, ...], ...]:
    """Return each index as its columns.

    Examples
    --------
    >>> lists_of(["zone_id", ["zone_id", "pickup_at"]])
    (('zone_id',), ('zone_id', 'pickup_at'))
    """
    return tuple((index,) if isinstance(index, str) else tuple(index) for index in indexes)


def too_long(name: str) -> bool:
    """Return whether a name is longer than PostgreSQL allows."""
    return len(name.encode()) > NAME_BYTES
