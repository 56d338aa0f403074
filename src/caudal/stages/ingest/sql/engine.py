"""A database's URL → an engine that reads it, and its errors in our words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.errors import CaudalError, EnvironmentProblem, SourceProblem
from caudal.lake.driver import driven
from caudal.spec.database import Database, shown

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

CONNECT_S = 10  # seconds until a server that does not answer is given up


def opened(source: Database, data: Path | None) -> Engine:
    """Return an engine that holds no connection longer than it is used."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    said = source.address.url()
    try:
        url = driven(said)
    except ArgumentError:
        raise SourceProblem(
            f"'{shown(said)}' is no database URL.", fix="Write it as postgresql://user@host/database or sqlite:///file.db."
        ) from None
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        place = Path(url.database) if data is None else data / url.database
        if not place.is_file():
            raise SourceProblem(
                f"There is no database '{place}'.", fix="Check the path after sqlite:///; it is looked up below --data."
            )
        url = url.set(database=str(place))
    options: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        options = {"connect_timeout": CONNECT_S, "application_name": "caudal"}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
    except (NoSuchModuleError, ImportError) as error:
        raise EnvironmentProblem(
            f"No driver for '{shown(said)}' is installed: {error}.", fix="Install the one that SQLAlchemy names for it."
        ) from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only=ON"))
    return engine


def explained(error: Exception, source: Database) -> CaudalError:
    """Return what a database said, in our words and without its password; whether to try again is the error's class."""
    from sqlalchemy.exc import DBAPIError

    place = repr(source.address)
    origin = getattr(error, "orig", None) or error
    lines = [line.strip() for line in str(origin).splitlines() if line.strip()] or [type(origin).__name__]
    said = _without_password(lines[0], source)
    state = getattr(origin, "sqlstate", None) or ""
    whole = " ".join(lines)
    if state.startswith("28") or ("password" in whole and ("failed" in whole or "supplied" in whole)):
        return SourceProblem(
            f"The database {place} does not let this user in: {said}.", fix="Check user and password of the URL.", place=place
        )
    if state == "3D000" or ("does not exist" in whole and ("database" in whole or "role" in whole) and not state):
        return SourceProblem(f"The database {place} cannot be opened: {said}.", fix="Check the URL.", place=place)
    if state == "42501":
        return SourceProblem(
            f"'{source.what}' at {place} may not be read: {said}.", fix="Grant the user SELECT on it.", place=place
        )
    if type(origin).__module__ == "sqlite3" and not ("locked" in whole or "unable to open" in whole):
        state = "sqlite"  # an OperationalError there is mostly one of the statement
    gone = isinstance(error, DBAPIError) and error.connection_invalidated
    again = ("08", "57", "53", "40", "55")  # connection, shutdown, resources, serialization, locks
    if (
        gone
        or state.startswith(again)
        or (not state and type(origin).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout"))
    ):
        return EnvironmentProblem(
            f"The database {place} does not answer: {said}.", fix="Run again when it does; nothing was landed.", place=place
        )
    return SourceProblem(
        f"'{source.what}' at {place} cannot be read: {said}.", fix="Check the declaration against the database.", place=place
    )


def _without_password(text: str, source: Database) -> str:
    from sqlalchemy.engine import make_url

    try:
        secret = make_url(source.address.url()).password
    except Exception:  # noqa: BLE001 - whatever is wrong with the URL is being told already
        return text
    return text.replace(str(secret), "***") if secret else text
