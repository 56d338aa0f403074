"""A database as Spark's Java process sees it: its driver, and one connection to ask what has to be known before rows are read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.declarations.database import Database, connector
from caudal.errors import SourceProblem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONNECT_S = 10  # seconds until a server that does not answer is given up, by drivers that keep to it
_SERVICES = "META-INF/services/java.sql.Driver"


@dataclass(frozen=True)
class Server:
    """A database that is connected to.

    Parameters
    ----------
    driver : str, the class of its driver
    connection : Java's ``java.sql.Connection``
    dialect : Spark's ``JdbcDialect`` of it
    """

    driver: str
    connection: Any
    dialect: Any

    @property
    def postgresql(self) -> bool:
        """Is it a PostgreSQL, whose types we know one by one?"""
        return self.driver == "org.postgresql.Driver"

    def quoted(self, name: str) -> str:
        """Return a name as it stands in a statement."""
        return str(self.dialect.quoteIdentifier(name))

    def rows(self, sql: str, width: int = 1) -> list[tuple[Any, ...]]:
        """Return what a statement of ours gives, which is little."""
        statement = self.connection.createStatement()
        try:
            return _rows(statement.executeQuery(sql), width)
        finally:
            statement.close()


@contextmanager
def connected(spark: SparkSession, source: Database) -> Iterator[Server]:
    """Give the database, connected to for reading; what the driver raises goes through.

    Raises
    ------
    SourceProblem : the address is not JDBC's, or no driver in the jars is for it
    """
    jvm: Any = spark.sparkContext._jvm
    url = source.address.url()
    if not source.address.is_jdbc():
        raise SourceProblem(
            f"'{source.address!r}' is not asked by JDBC, and a driver is named for it.",
            fix="Begin the URL with jdbc:, or leave driver= out.",
        )
    found, registry = classes(source), jvm.org.apache.spark.sql.execution.datasources.jdbc.DriverRegistry
    for name in found:
        registry.register(name)
        driver = registry.get(name)
        if driver.acceptsURL(url):
            break
    else:
        raise SourceProblem(
            f"The driver {' or '.join(found)} does not know the address '{source.address!r}'.",
            fix="Check the address, or name another driver.",
        )
    jvm.java.sql.DriverManager.setLoginTimeout(CONNECT_S)
    connection = driver.connect(url, jvm.java.util.Properties())
    try:
        with suppress(Exception):  # a hint, which not every driver takes
            connection.setReadOnly(True)
        yield Server(name, connection, jvm.org.apache.spark.sql.jdbc.JdbcDialects.get(url))
    finally:
        with suppress(Exception):  # it may be what has broken
            connection.close()


def classes(source: Database) -> list[str]:
    """Return the drivers that the source's jars hold, as they say themselves.

    Raises
    ------
    SourceProblem : they hold none
    """
    from caudal.engine import connectors

    named = connector(source)
    assert named is not None
    jars = connectors.jars({named})
    found = [name for jar in jars for name in _drivers(jar)]
    if not found:
        raise SourceProblem(
            f"'{Path(named).name}' holds no JDBC driver.", fix="Name the driver's own jar or coordinates by driver=.", driver=named
        )
    return found


def _drivers(jar: Path) -> list[str]:
    try:
        with zipfile.ZipFile(jar) as held:
            if _SERVICES not in held.namelist():
                return []
            lines = held.read(_SERVICES).decode().splitlines()
    except zipfile.BadZipFile:
        raise SourceProblem(f"'{jar}' is no jar.", fix="Check what driver= names.", driver=str(jar)) from None
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def tables(server: Server, names: Sequence[str | None]) -> list[tuple[str | None, str]]:
    """Return the tables and views of these names, or all for None: schema and name."""
    told = server.connection.getMetaData()
    catalog = None
    with suppress(Exception):
        catalog = server.connection.getCatalog()
    found: list[tuple[str | None, str]] = []
    for name in names:
        listed = told.getTables(catalog, None, "%" if name is None else name, None)
        while listed.next():
            kind = str(listed.getString("TABLE_TYPE") or "").upper()
            if not any(name in kind for name in ("SYSTEM", "INDEX", "SEQUENCE", "TYPE", "TOAST")):
                found.append((listed.getString("TABLE_SCHEM"), str(listed.getString("TABLE_NAME"))))
        listed.close()
    return found


def _rows(answer: Any, width: int) -> list[tuple[Any, ...]]:
    found = []
    while answer.next():
        found.append(tuple(answer.getObject(place + 1) for place in range(width)))
    return found
