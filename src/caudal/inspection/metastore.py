"""The session's client of the Hive metastore, and the relational database that it reads, asked by the driver's own JDBC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from caudal.inspection.masking import mask_setting
from caudal.inspection.scope import InspectionScope
from caudal.inspection.session import session_jvm

URL, DRIVER, USER, PASSWORD = (f"javax.jdo.option.Connection{name}" for name in ("URL", "DriverName", "UserName", "Password"))
_DATABASES = {
    "derby": "Derby", "postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB", "sqlserver": "SQL Server", "oracle": "Oracle", "h2": "H2",
}  # fmt: skip
_LOGIN_S = "10"


@dataclass(frozen=True)
class MetastoreSettings:
    """How a session reaches its metastore: what Hadoop's configuration and ``hive-site.xml`` set, and Hive's defaults.

    Parameters
    ----------
    uris : of the metastore's service; without any the session reads the database itself
    url, driver, user, password : of the database, for JDBC
    factory : the class that makes clients, where that is not Hive's own
    is_default : whether nothing is set: then Hive makes a Derby database in the working folder at its first use
    """

    uris: str
    url: str
    driver: str
    user: str
    password: str
    factory: str
    is_default: bool


def metastore_settings(scope: InspectionScope) -> MetastoreSettings:
    """Return how the session reaches its metastore; nothing is connected."""
    hadoop = scope.spark._jsparkSession.sessionState().newHadoopConf()

    def setting(name: str) -> str:
        return str(hadoop.get(name) or "")

    url = setting(URL)
    uris = setting("hive.metastore.uris")
    password = setting(PASSWORD) or ("" if url else "mine")  # Hive's defaults
    mask_setting(PASSWORD, password)  # from now on it is hidden, also in what a driver answers
    return MetastoreSettings(
        uris=uris,
        url=url or "jdbc:derby:;databaseName=metastore_db;create=true",
        driver=setting(DRIVER) or "org.apache.derby.jdbc.EmbeddedDriver",
        user=setting(USER) or "APP",
        password=password,
        factory=setting("hive.metastore.client.factory.class"),
        is_default=not (url or uris),
    )


def not_made(scope: InspectionScope, settings: MetastoreSettings) -> str | None:
    """Return why the metastore is not asked: it would be made by that. None where it exists, or is a service.

    Hive makes its tables, Derby its folder at the first use; an inspection does not bring that about.
    """
    if settings.uris:
        return None
    if not settings.url.startswith("jdbc:derby:"):
        return (
            None
            if database_answer(scope, settings).is_made
            else "its database has no tables of Hive's; it was not asked further, so as not to make them"
        )
    place = derby_folder(scope, settings.url)
    if place is None or (place / "service.properties").is_file():
        return None
    return f"Derby in {place} would be made at the first use of the catalog; it was not asked, so as not to make it"


def derby_folder(scope: InspectionScope, url: str) -> Path | None:
    """Return the folder of an embedded Derby database; None where it is in memory or on a server."""
    name = url[len("jdbc:derby:") :].partition(";")[0]
    options = dict(part.partition("=")[::2] for part in url.split(";")[1:])
    name = name or options.get("databaseName", "")
    if not name or name.startswith(("//", "memory:", "classpath:", "jar:")):
        return None
    system = session_jvm(scope).java.lang.System
    home = system.getProperty("derby.system.home") or system.getProperty("user.dir")
    return Path(home) / name[len("directory:") :] if name.startswith("directory:") else Path(home) / name


def database_of(url: str) -> str:
    """Return the kind of database that a JDBC address names.

    Examples
    --------
    >>> database_of("jdbc:derby:;databaseName=metastore_db;create=true"), database_of("jdbc:mysql://db/hive")
    ('Derby', 'MySQL')
    """
    kind = url.split(":")[1] if url.count(":") > 1 else url
    return _DATABASES.get(kind.lower(), kind)


@dataclass(frozen=True)
class DatabaseAnswer:
    """What the metastore's database says.

    Parameters
    ----------
    product, driver : with their versions
    schema : version of Hive's tables; None where it is not recorded
    is_made : whether Hive's tables are there
    """

    product: str
    driver: str
    schema: Optional[str]
    is_made: bool


def database_answer(scope: InspectionScope, settings: MetastoreSettings) -> DatabaseAnswer:
    """Return what the database says, asked once by the driver of the session.

    Raises
    ------
    Py4JJavaError : the driver's error
    """
    return scope.once("metastore's database", lambda: _ask(session_jvm(scope), settings))


def _ask(jvm: Any, settings: MetastoreSettings) -> DatabaseAnswer:
    # Spark's register finds drivers of jars that were added to the session, which Java's own does not.
    jvm.org.apache.spark.sql.execution.datasources.jdbc.DriverRegistry.register(settings.driver)
    properties = jvm.java.util.Properties()
    for name, value in {"user": settings.user, "password": settings.password}.items():
        if value:
            properties.setProperty(name, value)
    if settings.url.startswith("jdbc:postgresql:"):
        properties.setProperty("loginTimeout", _LOGIN_S)
    connection = jvm.java.sql.DriverManager.getConnection(re.sub(r";create=true(?=;|$)", "", settings.url), properties)
    try:
        metadata = connection.getMetaData()
        product = f"{metadata.getDatabaseProductName()} {metadata.getDatabaseProductVersion()}"
        driver, quote = f"{metadata.getDriverName()} {metadata.getDriverVersion()}", metadata.getIdentifierQuoteString()
        schema = _first(connection, quote, "SCHEMA_VERSION", "VERSION")
        return DatabaseAnswer(product, driver, schema, schema is not None or _first(connection, quote, "NAME", "DBS") is not None)
    finally:
        connection.close()


def _first(connection: Any, quote: str, column: str, table: str) -> str | None:
    """Return the first value of a column of one of Hive's tables; None where there is no such table, or it is empty."""
    statement = connection.createStatement()
    quote = quote.strip()
    try:
        rows = statement.executeQuery(f"SELECT {quote}{column}{quote} FROM {quote}{table}{quote}")  # noqa: S608 the names are Hive's
        return str(rows.getString(1)) if rows.next() else None
    except Exception:
        return None
    finally:
        statement.close()
