"""A database's URL with the driver that caudal uses for it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url

from caudal.extras import require
from caudal.secret import Address


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite database, whatever characters are in its path.

    Examples
    --------
    >>> make_url(sqlite_url(Path("/data/a%20b?"))).database
    '/data/a%20b?'
    """
    encoded = f"sqlite:///{quote(str(file), safe='/:')}"
    return encoded if make_url(encoded).database == str(file) else f"sqlite:///{file}"  # SQLAlchemy 2.0 decodes nothing


def url_with_driver(address: str) -> URL:
    """Return a URL with its driver: psycopg for PostgreSQL.

    Raises
    ------
    EnvironmentProblem : psycopg is not installed
    """
    address = Address(address).escaped  # SQLAlchemy ends a password at the first @
    url = make_url(address.replace("postgres://", "postgresql://", 1) if address.startswith("postgres://") else address)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername == "postgresql+psycopg":
        require("psycopg", extra="postgres", for_="PostgreSQL")
    return url
