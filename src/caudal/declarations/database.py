"""Database sources: their declarations, which need no driver."""

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
from caudal.declarations.jdbc import KNOWN, database_kind, is_driver, is_jdbc
from caudal.declarations.location import caller
from caudal.errors import DeclarationProblem, EnvironmentProblem, nearest
from caudal.secret import shown


class DatabaseAddress:
    """The address of a database. Its text never contains the password, so that neither fingerprints nor messages do."""

    __slots__ = ("_env", "_url")

    def __init__(self, url: str | None, env: str | None) -> None:
        self._url, self._env = None if url is None else address(url), env

    def __repr__(self) -> str:
        return f"env:{self._env}" if self._env else str(self._url or "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatabaseAddress) and (self._url, self._env) == (other._url, other._env)

    def __hash__(self) -> int:
        return hash((self._url, self._env))

    @property
    def variable(self) -> str | None:
        """The name of the environment variable that holds the URL; None where the URL was given."""
        return self._env

    def is_jdbc(self, environment: Mapping[str, str] | None = None) -> bool:
        """Return whether the URL is a JDBC URL; False where the variable is not set."""
        environment = os.environ if environment is None else environment
        return is_jdbc(self._url.reveal() if self._url else environment.get(self._env or "", ""))

    def url(self, environment: Mapping[str, str] | None = None) -> str:
        """Return the complete URL.

        Raises
        ------
        EnvironmentProblem : the variable that holds it is not set
        DeclarationProblem : the URL is ambiguous
        """
        if self._env is None:
            return self._url.escaped if self._url else ""
        environment = os.environ if environment is None else environment
        if not (value := environment.get(self._env)):
            raise EnvironmentProblem(
                f"The variable {self._env}, which is to hold a database's URL, is not set.",
                nearest=nearest(self._env, environment),
                fix=f"Set it: export {self._env}=postgresql://user:password@host/database.",
                variable=self._env,
            )
        return address(value, self._env).escaped


@dataclass(frozen=True)
class Database(Connection):
    """Rows of a table, or of a query, in any database that SQLAlchemy knows.

    Parameters
    ----------
    address : the address of the database
    table : str, ``table`` or ``schema.table``; or else ``query``, a SELECT
    watermark : str, optional, column that grows with every change: only rows from its last value less ``overlap`` are read.
        Without it the whole table is read each time
    overlap : float, seconds for times, or a number for whole numbers: how far below the last value new rows may still appear
    key : columns that identify a row; the newest version of a key counts
    parallel : int, number of ranges of the (first) key that are read; PostgreSQL reads them at the same time
    history : bool, True keeps all versions of a key
    """

    address: DatabaseAddress
    table: str | None = None
    query: str | None = None
    watermark: str | None = None
    overlap: float = 0.0
    key: tuple[str, ...] = ()
    parallel: int = 1
    history: bool = False
    kind: ClassVar[str] = "database"
    changed: ClassVar[str] = "set"
    """An extraction consists of many files, which count together."""

    @property
    def what(self) -> str:
        """The table's name, or ``query``."""
        return self.table or "query"

    @property
    def by_jdbc(self) -> bool:
        """Whether Spark reads it, with a JDBC driver."""
        return self.address.is_jdbc()


class Driver:
    """A JDBC driver. Its text is what the user declared, so that fingerprints do not depend on the product's folder."""

    __slots__ = ("_folder", "_text")

    def __init__(self, text: str, folder: Path) -> None:
        self._text, self._folder = text, folder

    def __repr__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Driver) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def connector(self) -> str:
        """Maven coordinates, or the absolute path of a jar, for Spark's configuration."""
        return str(self._folder / self._text) if self._text.endswith(".jar") else self._text


@dataclass(frozen=True)
class Jdbc(Database):
    """Rows of a table, or of a query, in a database that Spark reads with a JDBC driver that the user names.

    Parameters
    ----------
    driver : Maven coordinates (``group:artifact:version``), or the path of a jar, relative to the file that declares it
    """

    driver: Driver = field(kw_only=True)

    @property
    def by_jdbc(self) -> bool:
        """Always True, whatever the variable that holds the URL contains."""
        return True


def connector(source: Database) -> str | None:
    """Return the connector that Spark needs to read a database: its name, Maven coordinates or a jar's path; None without JDBC.

    Raises
    ------
    DeclarationProblem : no driver is named, and caudal has none for the database
    """
    if isinstance(source, Jdbc):
        return source.driver.connector
    if not source.by_jdbc:
        return None
    kind = database_kind(source.address.url())
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

    Spark reads a URL that begins with ``jdbc:``. PostgreSQL's driver is built in; for another database, ``driver`` is the Maven
    coordinates or the path of a jar.
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
            f"'{shown(url)}' is not a JDBC URL, so it takes no driver.",
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
            f"'{table or 'query'}' has parallel={parallel}, but no key to divide into ranges."
            if parallel > 1
            else f"parallel={parallel} reads nothing.",
            fix="Name the key, whole numbers, by key=, and at least one range.",
            where=where,
        )
    if overlap and watermark is None:
        raise DeclarationProblem(
            f"'{table or 'query'}' has an overlap and no watermark.", fix="Name the column that grows: watermark=.", where=where
        )
    if history and not keys:
        raise DeclarationProblem(f"'{table or 'query'}' has history=True, but no key.", fix="Name it: key=.", where=where)
    back = seconds(overlap) if isinstance(overlap, str) else float(overlap)
    if back < 0:
        raise DeclarationProblem("An overlap cannot be negative.", fix='Write it as overlap="10 minutes".', where=where)
    arguments = (DatabaseAddress(url, env), table, query, watermark, back, keys, parallel, history)
    source = Database(*arguments) if driver is None else Jdbc(*arguments, driver=Driver(driver, Path(at.file).absolute().parent))
    if url is not None:
        try:
            connector(source)
        except DeclarationProblem as problem:
            raise DeclarationProblem(problem.what, nearest=problem.nearest, fix=problem.fix, where=where) from None
    return source
