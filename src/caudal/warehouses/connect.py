"""A connection to a warehouse, a lock so that one publisher writes a table at a time, and the translation of its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from caudal.errors import CaudalError, EnvironmentProblem, StepFailed
from caudal.secret import passwords_of, shown
from caudal.storage.driver import url_with_driver

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

CONNECT_S = 10  # until a server that does not answer counts as down
OTHER_S = 600  # to wait for another publisher of the same table
LOCK_S = 30  # that a change of a table waits for its readers


@contextmanager
def connected(url: str, tz: str) -> Iterator[Connection[TupleRow]]:
    """Yield a connection whose session time zone is ``tz``; each statement commits by itself unless a transaction is begun.

    Raises
    ------
    EnvironmentProblem : the warehouse does not answer, or stopped answering
    StepFailed : the warehouse refused a statement
    """
    plain = url_with_driver(url).set(drivername="postgresql").render_as_string(hide_password=False)

    try:
        with psycopg.connect(plain, connect_timeout=CONNECT_S, application_name="caudal", autocommit=True) as connection:
            connection.execute("SELECT set_config('TimeZone', %s, false), set_config('DateStyle', 'ISO', false)", [tz])
            connection.execute(
                "SELECT set_config('client_min_messages', 'error', false), set_config('client_encoding', 'UTF8', false)"
            )
            yield connection
    except psycopg.Error as error:
        raise translate_warehouse_error(error, url) from None


def lock_place(connection: Connection[TupleRow], place: str) -> None:
    """Take the lock of a place, so that no other process publishes to it until the connection ends."""
    set_lock_timeout(connection, OTHER_S)
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"caudal {place}"])
    set_lock_timeout(connection, LOCK_S)


def set_lock_timeout(connection: Connection[TupleRow], seconds: float) -> None:
    """Set how long statements wait for a lock."""
    connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds:g}s"])


def translate_warehouse_error(error: Exception, url: str) -> CaudalError:
    """Translate a warehouse's error, without its password; the error's class tells whether a retry may help."""
    place = shown(url)
    state = getattr(error, "sqlstate", None) or ""
    diagnostics = getattr(error, "diag", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    primary, detail = (diagnostics.message_primary, diagnostics.message_detail) if diagnostics is not None else (None, None)
    message = _hidden(" ".join(part for part in (primary or lines[0], detail) if part), url)
    if state.startswith("28") or (not state and "password" in " ".join(lines)):
        return StepFailed(f"The warehouse {place} does not let this user in: {message}.", fix="Check user and password of the URL.")
    if state == "3D000" or (not state and "does not exist" in " ".join(lines)):
        return StepFailed(f"The warehouse {place} cannot be opened: {message}.", fix="Check the URL.")
    if state == "55P03":
        return EnvironmentProblem(
            f"A table of the warehouse {place} is in use by a long transaction, or another publisher: {message}.",
            fix="Run again when it has ended; nothing was published.",
            place=place,
        )
    # Connection, shutdown, resources, serialization and deadlock, locks: these are transient.
    lost = not state and type(error).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
    if lost or state.startswith(("08", "57", "53", "40", "55", "58")):
        return EnvironmentProblem(
            f"The warehouse {place} does not answer: {message}.",
            fix="Run again when it does; readers still have the version before.",
            place=place,
        )
    if state == "42501":
        return StepFailed(
            f"This user may not do that at the warehouse {place}: {message}.",
            fix="An administrator has to grant it, or make this user the owner.",
        )
    where = f" ({_hidden(diagnostics.context.splitlines()[0], url)})" if diagnostics is not None and diagnostics.context else ""
    return StepFailed(f"The warehouse {place} refused: {message}{where}.", fix="Nothing was published.", sqlstate=state)


def _hidden(text: str, url: str) -> str:
    for password in passwords_of(url):
        text = text.replace(password, "***")
    return text
