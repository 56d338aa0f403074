"""Declarations for data governance: descriptions of columns, retention, and columns that identify a person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from caudal.declarations.declared import Declared, Function, name_of
from caudal.declarations.duration import seconds
from caudal.declarations.location import Location, caller
from caudal.declarations.model import Model, Prediction
from caudal.declarations.node import Node
from caudal.declarations.star import Star
from caudal.declarations.warehouse import Publication
from caudal.errors import DeclarationProblem


@dataclass(frozen=True)
class Retention:
    """How long data is kept; None: for ever.

    Parameters
    ----------
    table : str, optional, the table; all tables where left out
    days_s : float, optional, older event-time days are removed from a derived table
    versions_s : float, optional, versions that were replaced longer ago are deleted; the newest always stays
    quarantine_s, pages_s, live_s : float, optional, the same for versions of quarantined rows, pages of runs, live feeds of streams
    minutes_s : float, optional, the same for the figures of each minute that servers and streams write for service levels
    """

    table: str | None = None
    days_s: float | None = None
    versions_s: float | None = None
    quarantine_s: float | None = None
    pages_s: float | None = None
    live_s: float | None = None
    minutes_s: float | None = None
    where: Location | None = None


@dataclass(frozen=True)
class Subject:
    """A column that identifies a person, in the named tables or in all tables that have it."""

    column: str
    tables: tuple[str, ...] = ()
    where: Location | None = None


@dataclass(frozen=True)
class Consumer:
    """People or a system outside of caudal that use tables, predictions or served models of the product."""

    name: str
    of: tuple[str, ...]
    where: Location | None = None


@dataclass(frozen=True)
class About:
    """What a column means, and its unit."""

    text: str
    unit: str | None = None


def person_columns(subjects: Iterable[Subject], table: str) -> tuple[str, ...]:
    """Return the columns of a table that are declared to identify a person."""
    return tuple(subject.column for subject in subjects if not subject.tables or table in subject.tables)


class Governance(Declared):
    """The part of a product that declares governance."""

    def about(self, table: Node | Function | str, **columns: str) -> None:
        """Describe columns of a table; a unit comes last, in brackets: ``miles="Miles driven [mi]"``."""
        columns_of_table = self.abouts.setdefault(name_of(table), {})
        columns_of_table.update({name: about_of(text) for name, text in columns.items()})

    def retain(
        self,
        table: Node | Function | str | None = None,
        *,
        days: str | float | None = None,
        versions: str | float | None = None,
        quarantine: str | float | None = None,
        pages: str | float | None = None,
        live: str | float | None = None,
        minutes: str | float | None = None,
    ) -> None:
        """Declare how long data is kept; ``caudal retain`` deletes what is older.

        Parameters
        ----------
        table : optional, the table; all tables where left out
        days : older event-time days are removed from the table (derived tables partitioned by day; sources keep their days)
        versions : versions that were replaced longer ago are deleted
        quarantine : the same for quarantined rows
        pages, live : older pages of runs and live feeds are deleted; they belong to the product, not to a table
        minutes : older figures of minutes that servers and streams write for service levels are deleted; no shorter than what a service level is over
        """
        where = caller()
        lengths = [None if length is None else seconds(length) for length in (days, versions, quarantine, pages, live, minutes)]
        if all(length is None for length in lengths):
            raise DeclarationProblem(
                "product.retain() is given no length of time.",
                fix='Give one: product.retain(versions="30 days").',
                where=str(where),
            )
        if table is not None and any(length is not None for length in (pages, live, minutes)):
            raise DeclarationProblem(
                "Pages, live feeds and figures of minutes belong to the product, not to a table.",
                fix="Declare them by product.retain() without a table.",
                where=str(where),
            )
        days_s, versions_s, quarantine_s, pages_s, live_s, minutes_s = lengths
        of_table = None if table is None else name_of(table)
        self.retentions.append(Retention(of_table, days_s, versions_s, quarantine_s, pages_s, live_s, minutes_s, where))

    def subject(self, column: str, *, of: Sequence[Node | Function | str] = ()) -> None:
        """Declare that a column identifies a person: ``caudal erase`` finds that person's rows by it.

        The column is found by its name in every table (or those of ``of``), and by column lineage in other tables that hold its
        values unchanged under another name.
        """
        self.subjects.append(Subject(column, tuple(name_of(table) for table in of), caller()))

    def consumer(self, name: str, *, of: Sequence[Node | Function | Model | Prediction | Publication | Star | str]) -> None:
        """Declare who uses tables, predictions, publications or served models outside of caudal.

        The catalog lists them among the readers; ``caudal debt`` finds what nobody is said to use.
        """
        where = caller()
        if not name.strip() or not of:
            raise DeclarationProblem(
                "product.consumer() names nobody." if not name.strip() else f"Consumer '{name}' uses nothing.",
                fix='Write who uses what: product.consumer("pricing team", of=[trips]).',
                where=str(where),
            )
        named = (part.name if isinstance(part, Model | Prediction | Publication | Star) else name_of(part) for part in of)
        self.consumers.append(Consumer(name, tuple(named), where))


def about_of(text: str) -> About:
    """Return a description, split into text and unit.

    Examples
    --------
    >>> about_of("Miles driven [mi]")
    About(text='Miles driven', unit='mi')
    """
    match_ = re.fullmatch(r"(.*?)\s*\[([^\]]+)\]\s*", text, re.DOTALL)
    return About(match_[1], match_[2]) if match_ else About(text.strip())
