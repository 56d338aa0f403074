"""A database's URL with the driver that is used for it."""

from __future__ import annotations

from importlib.util import find_spec

from sqlalchemy.engine import URL, make_url

from caudal.errors import EnvironmentProblem


def driven(said: str) -> URL:
    """Return a URL with its driver: PostgreSQL's is psycopg.

    Raises
    ------
    EnvironmentProblem : psycopg is not installed
    """
    url = make_url(said.replace("postgres://", "postgresql://", 1) if said.startswith("postgres://") else said)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername == "postgresql+psycopg" and find_spec("psycopg") is None:
        raise EnvironmentProblem(
            "PostgreSQL's driver is not installed.", fix="Install it: pip install 'caudal[postgres]'.", package="psycopg"
        )
    return url
