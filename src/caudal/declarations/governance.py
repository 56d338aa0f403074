"""What is declared about the data as such: what columns mean, how long rows are kept, which columns name a person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from caudal.declarations.declared import Declared, Function, name_of
from caudal.declarations.duration import seconds
from caudal.declarations.location import Location, caller
from caudal.declarations.node import Node
from caudal.errors import DeclarationProblem


@dataclass(frozen=True)
class Retention:
    """How long things are kept; None: for ever.

    Parameters
    ----------
    table : str, optional, the table that is meant; every one where left out
    days_s : float, optional, event-time days older than so much leave a derived table
    versions_s : float, optional, versions that were replaced longer ago are deleted; the newest always stays
    quarantine_s, pages_s, live_s : float, optional, the same for versions of quarantined rows, pages of runs, live feeds of streams
    """

    table: str | None = None
    days_s: float | None = None
    versions_s: float | None = None
    quarantine_s: float | None = None
    pages_s: float | None = None
    live_s: float | None = None
    where: Location | None = None


@dataclass(frozen=True)
class Subject:
    """A column that names a person, in the tables named or in every one that has it."""

    column: str
    tables: tuple[str, ...] = ()
    where: Location | None = None


@dataclass(frozen=True)
class About:
    """What a column means, and its unit."""

    text: str
    unit: str | None = None


class Governance(Declared):
    """The part of a product that is about its data as such."""

    def about(self, table: Node | Function | str, **columns: str) -> None:
        """Say what columns of a table mean; a unit stands in brackets at the end: ``miles="Miles driven [mi]"``."""
        told = self.abouts.setdefault(name_of(table), {})
        told.update({name: about_of(text) for name, text in columns.items()})

    def retain(
        self,
        table: Node | Function | str | None = None,
        *,
        days: str | float | None = None,
        versions: str | float | None = None,
        quarantine: str | float | None = None,
        pages: str | float | None = None,
        live: str | float | None = None,
    ) -> None:
        """Declare how long things are kept; ``caudal retain`` deletes what is older.

        Parameters
        ----------
        table : optional, the table that is meant; every one where left out
        days : event-time days older than so much leave the table (derived tables partitioned by day; sources keep theirs)
        versions : versions that were replaced longer ago are deleted
        quarantine : the same for quarantined rows
        pages, live : pages of runs and live feeds older than so much are deleted; they are the product's, not a table's
        """
        where = caller()
        lengths = [None if one is None else seconds(one) for one in (days, versions, quarantine, pages, live)]
        if all(length is None for length in lengths):
            raise DeclarationProblem(
                "retain is told nothing.", fix='Say how long: product.retain(versions="30 days").', where=str(where)
            )
        if table is not None and (pages is not None or live is not None):
            raise DeclarationProblem(
                "Pages and live feeds are the product's, not a table's.",
                fix="Declare them by a retain without a table.",
                where=str(where),
            )
        days_s, versions_s, quarantine_s, pages_s, live_s = lengths
        self.retentions.append(
            Retention(None if table is None else name_of(table), days_s, versions_s, quarantine_s, pages_s, live_s, where)
        )

    def subject(self, column: str, *, of: Sequence[Node | Function | str] = ()) -> None:
        """Declare that a column names a person: ``caudal erase`` finds that person's rows by it.

        The column is looked for by its name in every table (or those of ``of``), and by column lineage under whatever name its values
        go on unchanged.
        """
        self.subjects.append(Subject(column, tuple(name_of(one) for one in of), caller()))


def about_of(text: str) -> About:
    """Return a description with its unit apart.

    Examples
    --------
    >>> about_of("Miles driven [mi]")
    About(text='Miles driven', unit='mi')
    """
    found = re.fullmatch(r"(.*?)\s*\[([^\]]+)\]\s*", text, re.DOTALL)
    return About(found[1], found[2]) if found else About(text.strip())
