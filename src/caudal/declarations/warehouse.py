"""Tables that go to a data warehouse: declared, without any driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from caudal.declarations.database import Address
from caudal.declarations.location import Location, caller
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.secret import shown

NAME_BYTES = 63  # PostgreSQL cuts longer names off
OWN_SCHEMA = "caudal"  # where the warehouse keeps what was published
Names = str | Sequence[str]


@dataclass(frozen=True)
class Warehouse:
    """A PostgreSQL database. Without an address it is the one that the setting ``warehouse`` names."""

    address: Address | None = None

    def url(self, setting: str | None) -> str | None:
        """Return the whole URL; None where the setting is to name it and does not.

        Raises
        ------
        EnvironmentProblem : the variable that is to hold it is not set, or it is no PostgreSQL
        """
        found = setting if self.address is None else self.address.url()
        if found is None:
            return None
        if urlsplit(found).scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise EnvironmentProblem(
                f"The warehouse '{shown(found)}' is no PostgreSQL.", fix="Write it as postgresql://user@host/database."
            )
        return found


@dataclass(frozen=True)
class Publication:
    """A table of the product's that is kept in a warehouse too.

    Parameters
    ----------
    name : str, of the table there
    of : str, the table, features or predictions that are published
    key : columns that name a row: the primary key
    indexes : lists of columns
    columns : which columns are published; all but ``_file`` where left out
    comments : what is said of columns, beside what the schema says
    grant : str, optional, a role that may read; made where it is not there
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
        """Schema and table, as people write them."""
        return f"{self.schema}.{self.name}"

    @property
    def tables(self) -> tuple[str, ...]:
        """The product's tables that it is made of."""
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
    return Warehouse(Address(url, env) if url or env else None)


def lists_of(indexes: Sequence[Names]) -> tuple[tuple[str, ...], ...]:
    """Return each index as its columns.

    Examples
    --------
    >>> lists_of(["zone_id", ["zone_id", "pickup_at"]])
    (('zone_id',), ('zone_id', 'pickup_at'))
    """
    return tuple((index,) if isinstance(index, str) else tuple(index) for index in indexes)


def too_long(name: str) -> bool:
    """Tell whether a name is longer than PostgreSQL keeps."""
    return len(name.encode()) > NAME_BYTES
