"""Open an engine for a database's URL, and translate its errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from caudal.declarations.database import Database
from caudal.errors import CaudalError, EnvironmentProblem, SourceProblem
from caudal.secret import passwords_of, shown
from caudal.storage.driver import url_with_driver

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

CONNECT_S = 10  # seconds to wait for a server's answer


def open_engine(source: Database, data: Path | None) -> Engine:
    """Return an engine that keeps no connection after its use."""
    address = source.address.url()
    if source.by_jdbc:
        raise SourceProblem(
            f"{source.address!r} is read by Spark, in a run.", fix='Read it at intervals: trigger=cd.every("15 minutes").'
        )
    try:
        url = url_with_driver(address)
    except ArgumentError:
        raise SourceProblem(
            f"'{shown(address)}' is no database URL.", fix="Write it as postgresql://user@host/database or sqlite:///file.db."
        ) from None
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        place = Path(url.database) if data is None else data / url.database
        if not place.is_file():
            raise SourceProblem(
                f"There is no database '{place}'.", fix="Check the path after sqlite:///; it is looked up below --data."
            )
        url = url.set(database=str(place))
    options: dict[str, object] = {}
    if url.get_backend_name() == "postgresql":
        options = {"connect_timeout": CONNECT_S, "application_name": "caudal"}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
    except (NoSuchModuleError, ImportError) as error:
        raise EnvironmentProblem(
            f"No driver for '{shown(address)}' is installed: {error}.", fix="Install the one that SQLAlchemy names for it."
        ) from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only=ON"))
    return engine


def translate_sqlalchemy_error(error: Exception, source: Database) -> CaudalError | None:
    """Return a database's error as a CaudalError without the password; None where the error is not the database's."""
    if not isinstance(error, SQLAlchemyError) and not type(error).__module__.startswith(("psycopg", "sqlite3")):
        return None
    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "sqlstate", None) or ""
    if type(origin).__module__ == "sqlite3" and not ("locked" in str(origin) or "unable to open" in str(origin)):
        state = "sqlite"  # an OperationalError of SQLite is mostly about the statement
    connection_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    connection_lost = connection_lost or (
        not state and type(origin).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
    )
    return database_problem(
        str(origin) or type(origin).__name__, state, source, passwords_of(source.address.url()), connection_lost=connection_lost
    )


def database_problem(message: str, state: str, source: Database, secrets: Sequence[str], *, connection_lost: bool) -> CaudalError:
    """Return a database's error as a CaudalError, whose class shows whether to retry.

    Parameters
    ----------
    state : str, its SQLSTATE, where it has one
    secrets : texts that must not be shown
    connection_lost : bool, whether the connection is known to be lost
    """
    place = repr(source.address)
    for secret in secrets:
        message = message.replace(secret, "***")
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    all_lines, first_line = " ".join(lines), lines[0].rstrip(".") if lines else "no message"
    if state.startswith("28") or (
        "password" in all_lines and any(name in all_lines for name in ("failed", "supplied", "provided"))
    ):
        return SourceProblem(
            f"The database {place} refuses this user: {first_line}.", fix="Check user and password of the URL.", place=place
        )
    if state == "3D000" or ("does not exist" in all_lines and ("database" in all_lines or "role" in all_lines) and not state):
        return SourceProblem(f"The database {place} cannot be opened: {first_line}.", fix="Check the URL.", place=place)
    if state == "42501":
        return SourceProblem(
            f"'{source.what}' at {place} may not be read: {first_line}.", fix="Grant the user SELECT on it.", place=place
        )
    transient_states = ("08", "57", "53", "40", "55")  # connection, shutdown, resources, serialization, locks
    if connection_lost or state.startswith(transient_states):
        return EnvironmentProblem(
            f"The database {place} does not answer: {first_line}.", fix="Run again when it does; nothing was landed.", place=place
        )
    return SourceProblem(
        f"'{source.what}' at {place} cannot be read: {first_line}.", fix="Check the declaration against the database.", place=place
    )
