"""The warehouse's record of the last publication: written in the same transaction as the rows, so that the two always agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import errors
from psycopg.sql import SQL, Identifier

from caudal.declarations.warehouse import OWN_SCHEMA
from caudal.errors import StepFailed
from caudal.storage.delta import Version

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_TABLE = f"{OWN_SCHEMA}.published"
_MADE = f"""
CREATE TABLE {_TABLE} (
    place text PRIMARY KEY,
    product text NOT NULL,
    source text NOT NULL,
    version bigint NOT NULL,
    rows bigint NOT NULL,
    days jsonb NOT NULL,
    declared text NOT NULL,
    more jsonb NOT NULL,
    run_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True)
class PublicationRecord:
    """A publication of a table.

    Parameters
    ----------
    place : schema and table
    source : the lake's table
    days : a digest of each day's files; a table without days has one day, named ''
    declared : a digest of the table's declaration
    more : further state, by kind
    """

    place: str
    product: str
    source: str
    version: int
    rows: int
    days: Mapping[str, str]
    declared: str
    run_id: str
    more: Mapping[str, Any]


def days_of(version: Version) -> dict[str, str]:
    """Return a digest of each day's files; rows without a day, and tables without days, belong to the day ''."""
    files: dict[str, list[object]] = {}
    for file in version.files:
        files.setdefault(file.day or "", []).append((file.path, file.bytes, file.rows))
    return {day: hashlib.sha256(json.dumps(sorted(day_files)).encode()).hexdigest()[:20] for day, day_files in files.items()}


def differing_days(old: Mapping[str, str], new: Mapping[str, str]) -> set[str]:
    """Return the days that differ.

    Examples
    --------
    >>> sorted(differing_days({"a": "1", "b": "1"}, {"b": "2", "c": "1"}))
    ['a', 'b', 'c']
    """
    return {day for day in old.keys() | new.keys() if old.get(day) != new.get(day)}


def prepare_schemas(connection: Connection[TupleRow], schema: str) -> None:
    """Create the schemas and the table of publications, unless they exist.

    Raises
    ------
    StepFailed : this user may not create them; the fix is the statement for an administrator
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('caudal', 0))")
        for name in (OWN_SCHEMA, schema):
            if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [name]).fetchone() is None:
                try:
                    with connection.transaction():
                        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
                except errors.InsufficientPrivilege:
                    user = connection.info.user
                    raise StepFailed(
                        f"The warehouse has no schema '{name}', and user '{user}' may not make it.",
                        fix=f'An administrator has to run: CREATE SCHEMA "{name}" AUTHORIZATION "{user}";',
                    ) from None
        if connection.execute("SELECT to_regclass(%s)", [_TABLE]).fetchone() == (None,):
            connection.execute(_MADE)


def last_publication(connection: Connection[TupleRow], place: str) -> PublicationRecord | None:
    """Return the last publication to a place."""
    row = connection.execute(
        f"SELECT place, product, source, version, rows, days, declared, run_id, more FROM {_TABLE} WHERE place = %s",  # noqa: S608
        [place],
    ).fetchone()
    return None if row is None else PublicationRecord(*row)


def record_publication(connection: Connection[TupleRow], published: PublicationRecord) -> None:
    """Record a publication, within the transaction that publishes it."""
    connection.execute(f"DELETE FROM {_TABLE} WHERE place = %s", [published.place])  # noqa: S608
    connection.execute(
        f"INSERT INTO {_TABLE} (place, product, source, version, rows, days, declared, run_id, more)"  # noqa: S608
        " VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s::jsonb)",
        [
            published.place, published.product, published.source, published.version, published.rows, json.dumps(dict(published.days)), published.declared, published.run_id,
            json.dumps(dict(published.more)),
        ],
    )  # fmt: skip
