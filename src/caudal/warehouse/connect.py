"""A connection to a warehouse, held by one publisher of a table at a time; what it says, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from caudal.errors import CaudalError, EnvironmentProblem, StepFailed
from caudal.secret import passwords_of, shown
from caudal.storage.driver import driven

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_S = 10  # until a server that does not answer is given up
OTHER_S = 600  # for which another publisher of the same table is waited for
LOCK_S = 30  # for which a change of a table waits for its readers


@contextmanager
def connected(url: str, tz: str) -> Iterator[Connection[Any]]:
    """Yield a connection whose local times are meant in ``tz``; each statement is by itself until a transaction is begun.

    Raises
    ------
    EnvironmentProblem : the warehouse is away, or went away
    StepFailed : it refused something
    """
    plain = driven(url).set(drivername="postgresql").render_as_string(hide_password=False)
    import psycopg

    try:
        with psycopg.connect(plain, connect_timeout=CONNECT_S, application_name="caudal", autocommit=True) as connection:
            connection.execute("SELECT set_config('TimeZone', %s, false), set_config('DateStyle', 'ISO', false)", [tz])
            connection.execute(
                "SELECT set_config('client_min_messages', 'error', false), set_config('client_encoding', 'UTF8', false)"
            )
            yield connection
    except psycopg.Error as error:
        raise translate_warehouse_error(error, url) from None


def hold(connection: Connection[Any], place: str) -> None:
    """Let nobody else publish to a place until the connection ends."""
    patient(connection, OTHER_S)
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"caudal {place}"])
    patient(connection, LOCK_S)


def patient(connection: Connection[Any], seconds: float) -> None:
    """Set for how long a lock is waited for."""
    connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds:g}s"])


def translate_warehouse_error(error: Exception, url: str) -> CaudalError:
    """Return what a warehouse said, in our words and without its password; whether to try again is the error's class."""
    place = shown(url)
    state = getattr(error, "sqlstate", None) or ""
    told = getattr(error, "diag", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    primary, detail = (told.message_primary, told.message_detail) if told is not None else (None, None)
    said = _hidden(" ".join(part for part in (primary or lines[0], detail) if part), url)
    if state.startswith("28") or (not state and "password" in " ".join(lines)):
        return StepFailed(f"The warehouse {place} does not let this user in: {said}.", fix="Check user and password of the URL.")
    if state == "3D000" or (not state and "does not exist" in " ".join(lines)):
        return StepFailed(f"The warehouse {place} cannot be opened: {said}.", fix="Check the URL.")
    if state == "55P03":
        return EnvironmentProblem(
            f"A table of the warehouse {place} is in use by a long transaction, or another publisher: {said}.",
            fix="Run again when it has ended; nothing was published.",
            place=place,
        )
    # Connection, shutdown, resources, serialization and deadlock, locks: all of that may pass.
    lost = not state and type(error).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
    if lost or state.startswith(("08", "57", "53", "40", "55", "58")):
        return EnvironmentProblem(
            f"The warehouse {place} does not answer: {said}.",
            fix="Run again when it does; readers have the version of before.",
            place=place,
        )
    if state == "42501":
        return StepFailed(
            f"This user may not do that at the warehouse {place}: {said}.",
            fix="An administrator has to grant it, or make this user the owner.",
        )
    where = f" ({_hidden(told.context.splitlines()[0], url)})" if told is not None and told.context else ""
    return StepFailed(f"The warehouse {place} refused: {said}{where}.", fix="Nothing was published.", sqlstate=state)


def _hidden(text: str, url: str) -> str:
    for password in passwords_of(url):
        text = text.replace(password, "***")
    return text
