"""Rows of a database as a source: declared, without any driver."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from caudal.declarations.address import address
from caudal.declarations.connection import Connection
from caudal.declarations.duration import seconds
from caudal.declarations.jdbc import KNOWN, is_driver, is_jdbc, kind_of
from caudal.declarations.location import caller
from caudal.errors import DeclarationProblem, EnvironmentProblem, nearest
from caudal.secret import shown


class Address:
    """Where a database is. Its text never holds the password, so that neither fingerprints nor messages do."""

    __slots__ = ("_env", "_url")

    def __init__(self, url: str | None, env: str | None) -> None:
        self._url, self._env = None if url is None else address(url), env

    def __repr__(self) -> str:
        return f"env:{self._env}" if self._env else str(self._url or "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and (self._url, self._env) == (other._url, other._env)

    def __hash__(self) -> int:
        return hash((self._url, self._env))

    @property
    def variable(self) -> str | None:
        """The variable that holds the URL, where one does."""
        return self._env

    def is_jdbc(self, environment: Mapping[str, str] | None = None) -> bool:
        """Tell whether the URL is JDBC's; a variable that is not set holds none."""
        environment = os.environ if environment is None else environment
        return is_jdbc(self._url.reveal() if self._url else environment.get(self._env or "", ""))

    def url(self, environment: Mapping[str, str] | None = None) -> str:
        """Return the whole URL.

        Raises
        ------
        EnvironmentProblem : the variable that is to hold it is not set
        DeclarationProblem : what it holds can be read in two ways
        """
        if self._env is None:
            return self._url.escaped if self._url else ""
        environment = os.environ if environment is None else environment
        if not (found := environment.get(self._env)):
            raise EnvironmentProblem(
                f"The variable {self._env}, which is to hold a database's URL, is not set.",
                nearest=nearest(self._env, environment),
                fix=f"Set it: export {self._env}=postgresql://user:password@host/database.",
                variable=self._env,
            )
        return address(found, self._env).escaped


@dataclass(frozen=True)
class Database(Connection):
    """Rows of a table, or of a query, in any database that SQLAlchemy knows.

    Parameters
    ----------
    address : where the database is
    table : str, ``table`` or ``schema.table``; or else ``query``, a SELECT
    watermark : str, optional, column that grows with every change: only rows from the last one seen less ``overlap`` are asked for.
        Without it the whole table is taken each time
    overlap : float, seconds for times, or a number for whole numbers: how far back rows may still have appeared
    key : columns that name a row; of a key the newest version counts
    parallel : int, into how many ranges of the (first) key the rows are taken; PostgreSQL gives them at the same time
    history : bool, True keeps all versions of a key
    """

    address: Address
    table: str | None = None
    query: str | None = None
    watermark: str | None = None
    overlap: float = 0.0
    key: tuple[str, ...] = ()
    parallel: int = 1
    history: bool = False
    kind: ClassVar[str] = "database"
    changed: ClassVar[str] = "set"
    """An extraction is many files, which count together."""

    @property
    def what(self) -> str:
        """What is asked of the database, in a word."""
        return self.table or "query"

    @property
    def by_jdbc(self) -> bool:
        """Is it Spark that asks, with a JDBC driver?"""
        return self.address.is_jdbc()


class Driver:
    """A JDBC driver as a user names it. Its text is what was declared, so that fingerprints do not know where the product lies."""

    __slots__ = ("_folder", "_said")

    def __init__(self, said: str, folder: Path) -> None:
        self._said, self._folder = said, folder

    def __repr__(self) -> str:
        return self._said

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Driver) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self._said)

    @property
    def connector(self) -> str:
        """What Spark is told: Maven coordinates, or a jar's whole path."""
        return str(self._folder / self._said) if self._said.endswith(".jar") else self._said


@dataclass(frozen=True)
class Jdbc(Database):
    """Rows of a table, or of a query, in a database that Spark asks with a JDBC driver of the user's.

    Parameters
    ----------
    driver : Maven coordinates (``group:artifact:version``), or a jar's path seen from the file that declares it
    """

    driver: Driver = field(kw_only=True)

    @property
    def by_jdbc(self) -> bool:
        """It is, whatever a variable that holds the URL says."""
        return True


def connector(source: Database) -> str | None:
    """Return what Spark needs so that it can ask: a connector's name, Maven coordinates or a jar's path; None where it is not JDBC.

    Raises
    ------
    DeclarationProblem : no driver is named, and caudal knows none
    """
    if isinstance(source, Jdbc):
        return source.driver.connector
    if not source.by_jdbc:
        return None
    kind = kind_of(source.address.url())
    if kind not in KNOWN:
        raise DeclarationProblem(
            f"caudal knows no driver for '{source.address!r}'.",
            nearest=nearest(kind, KNOWN),
            fix='Name one: driver="group:artifact:version" of Maven, or the path of its jar.',
        )
    return KNOWN[kind]


def database(
    url: str | None = None,
    *,
    env: str | None = None,
    table: str | None = None,
    query: str | None = None,
    watermark: str | None = None,
    overlap: str | float = 0,
    key: str | Sequence[str] = (),
    parallel: int = 1,
    history: bool = False,
    driver: str | None = None,
) -> Database:
    """Return a source of a database's rows; give its ``url``, or the variable that holds it (``env``), and a table or a query.

    A URL that begins with ``jdbc:`` is asked by Spark. PostgreSQL's driver is known; of another, ``driver`` is the Maven coordinates
    or the path of a jar.
    """
    at = caller()
    where = str(at)
    if (url is None) == (env is None):
        raise DeclarationProblem(
            "A database needs a URL, or the variable that holds it.", fix="Give url or env=, one of them.", where=where
        )
    if url is not None and not urlsplit(url).scheme:
        raise DeclarationProblem(
            f"'{shown(url)}' is no database URL.",
            fix="Write it as postgresql://user@host/database, sqlite:///file.db or jdbc:….",
            where=where,
        )
    if driver is not None and not is_driver(driver):
        raise DeclarationProblem(
            f"'{driver}' names no driver.", fix="Write group:artifact:version, as Maven does, or the path of a jar.", where=where
        )
    if driver is not None and url is not None and not is_jdbc(url):
        raise DeclarationProblem(
            f"'{shown(url)}' is not asked by JDBC, so it takes no driver.",
            fix="Begin it with jdbc:, or leave driver= out.",
            where=where,
        )
    if (table is None) == (query is None):
        raise DeclarationProblem(
            "A database source takes a table or a query.", fix="Give table= or query=, one of them.", where=where
        )
    keys = (key,) if isinstance(key, str) else tuple(key)
    if parallel < 1 or (parallel > 1 and not keys):
        raise DeclarationProblem(
            f"'{table or 'query'}' is to be taken in {parallel} ranges of no key."
            if parallel > 1
            else f"parallel={parallel} takes nothing.",
            fix="Name the key, whole numbers, by key=, and at least one range.",
            where=where,
        )
    if overlap and watermark is None:
        raise DeclarationProblem(
            f"'{table or 'query'}' has an overlap and no watermark.", fix="Name the column that grows: watermark=.", where=where
        )
    if history and not keys:
        raise DeclarationProblem(
            f"'{table or 'query'}' is to keep the versions of a key it does not name.", fix="Name it: key=.", where=where
        )
    back = seconds(overlap) if isinstance(overlap, str) else float(overlap)
    if back < 0:
        raise DeclarationProblem("An overlap cannot be negative.", fix='Write it as overlap="10 minutes".', where=where)
    said = (Address(url, env), table, query, watermark, back, keys, parallel, history)
    found = Database(*said) if driver is None else Jdbc(*said, driver=Driver(driver, Path(at.file).absolute().parent))
    if url is not None:
        try:
            connector(found)
        except DeclarationProblem as problem:
            raise DeclarationProblem(problem.what, nearest=problem.nearest, fix=problem.fix, where=where) from None
    return found
