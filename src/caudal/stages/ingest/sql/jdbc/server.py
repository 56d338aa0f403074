"""A database connected from Spark's Java process: its driver, and a connection for the queries before rows are read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.declarations.database import Database, connector
from caudal.engine import connectors
from caudal.errors import SourceProblem

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject
    from pyspark.sql import SparkSession

CONNECT_S = 10  # seconds to wait for a server's answer, by drivers that support it
_SERVICES = "META-INF/services/java.sql.Driver"


@dataclass(frozen=True)
class DatabaseServer:
    """A connected database.

    Parameters
    ----------
    driver : str, the class of its driver
    connection : Java's ``java.sql.Connection``
    dialect : Spark's ``JdbcDialect`` of it
    """

    driver: str
    connection: JavaObject
    dialect: JavaObject

    @property
    def postgresql(self) -> bool:
        """Return whether it is PostgreSQL, whose types are mapped one by one."""
        return self.driver == "org.postgresql.Driver"

    def quote_name(self, name: str) -> str:
        """Return a name quoted for a statement."""
        return str(self.dialect.quoteIdentifier(name))

    def rows(self, sql: str, width: int = 1) -> list[tuple[Any, ...]]:
        """Return the rows of a statement with a small result."""
        statement = self.connection.createStatement()
        try:
            return _rows(statement.executeQuery(sql), width)
        finally:
            statement.close()


@contextmanager
def connect(spark: SparkSession, source: Database) -> Iterator[DatabaseServer]:
    """Yield a connection to the database for reading; the driver's errors are not translated.

    Raises
    ------
    SourceProblem : the address is not one of JDBC, or no driver in the jars accepts it
    """
    jvm: Any = spark.sparkContext._jvm
    url = source.address.url()
    if not source.address.is_jdbc():
        raise SourceProblem(
            f"'{source.address!r}' is not a JDBC address, but a driver is declared for it.",
            fix="Begin the URL with jdbc:, or leave driver= out.",
        )
    drivers, registry = classes(source), jvm.org.apache.spark.sql.execution.datasources.jdbc.DriverRegistry
    for name in drivers:
        registry.register(name)
        driver = registry.get(name)
        if driver.acceptsURL(url):
            break
    else:
        raise SourceProblem(
            f"The driver {' or '.join(drivers)} does not know the address '{source.address!r}'.",
            fix="Check the address, or name another driver.",
        )
    jvm.java.sql.DriverManager.setLoginTimeout(CONNECT_S)
    connection = driver.connect(url, jvm.java.util.Properties())
    try:
        with suppress(Exception):  # a hint that not every driver accepts
            connection.setReadOnly(True)
        yield DatabaseServer(name, connection, jvm.org.apache.spark.sql.jdbc.JdbcDialects.get(url))
    finally:
        with suppress(Exception):  # the connection itself may be broken
            connection.close()


def classes(source: Database) -> list[str]:
    """Return the drivers that the source's jars declare.

    Raises
    ------
    SourceProblem : they declare none
    """
    connector_name = connector(source)
    assert connector_name is not None
    jars = connectors.jars({connector_name})
    drivers = [name for jar in jars for name in _drivers(jar)]
    if not drivers:
        raise SourceProblem(
            f"'{Path(connector_name).name}' holds no JDBC driver.",
            fix="Name the driver's jar or coordinates by driver=.",
            driver=connector_name,
        )
    return drivers


def _drivers(jar: Path) -> list[str]:
    try:
        with zipfile.ZipFile(jar) as archive:
            if _SERVICES not in archive.namelist():
                return []
            lines = archive.read(_SERVICES).decode().splitlines()
    except zipfile.BadZipFile:
        raise SourceProblem(f"'{jar}' is no jar.", fix="Check what driver= names.", driver=str(jar)) from None
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def tables(server: DatabaseServer, names: Sequence[str | None]) -> list[tuple[str | None, str]]:
    """Return schema and name of the tables and views with these names; None stands for all."""
    metadata = server.connection.getMetaData()
    catalog = None
    with suppress(Exception):
        catalog = server.connection.getCatalog()
    tables_: list[tuple[str | None, str]] = []
    for name in names:
        results = metadata.getTables(catalog, None, "%" if name is None else name, None)
        while results.next():
            kind = str(results.getString("TABLE_TYPE") or "").upper()
            if not any(name in kind for name in ("SYSTEM", "INDEX", "SEQUENCE", "TYPE", "TOAST")):
                tables_.append((results.getString("TABLE_SCHEM"), str(results.getString("TABLE_NAME"))))
        results.close()
    return tables_


def _rows(answer: JavaObject, width: int) -> list[tuple[Any, ...]]:
    rows = []
    while answer.next():
        rows.append(tuple(answer.getObject(place + 1) for place in range(width)))
    return rows
