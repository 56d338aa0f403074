"""Publish one table: replace what changed in one transaction, in the table that readers, views and grants refer to.

Readers never wait for rows, and see the version before until the transaction ends; ADR 10 gives the reasons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from caudal.declarations.warehouse import OWN_SCHEMA
from caudal.errors import StepFailed
from caudal.storage.delta import Version
from caudal.warehouses import ddl, known
from caudal.warehouses.connect import lock_place
from caudal.warehouses.keys import key_error
from caudal.warehouses.load import LoadResult, copy_files
from caudal.warehouses.target import Target

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow


@dataclass(frozen=True)
class PublicationOutcome:
    """The result of a publication: how it was done, rows written, days changed (None: all rows), and characters left out of
    texts."""

    note: str
    rows: int
    days: tuple[str, ...] | None = None
    zeros: Mapping[str, int] | None = None


def publish_table(
    connection: Connection[TupleRow], target: Target, version: Version, product: str, source: str, run_id: str
) -> PublicationOutcome:
    """Bring a table of the warehouse to a version of the lake's table, and return what was done.

    Raises
    ------
    StepFailed : the table belongs to another product, its key has duplicates, or a view uses a removed column
    """
    lock_place(connection, target.place)
    known.prepare_schemas(connection, target.schema)
    if target.grant:
        ddl.role(connection, target.grant)
    before, existing = known.last_publication(connection, target.place), ddl.existing_columns(connection, target)
    _check_owner(target, before, product, source, bool(existing))
    now = known.PublicationRecord(
        target.place, product, source, version.number, version.rows, known.days_of(version), target.digest(), run_id, {}
    )
    try:
        if not existing:
            return _create(connection, target, version, now)
        assert before is not None
        if not ddl.has_same_columns(target, existing):
            return _alter(connection, target, version, now)
        return _update(connection, target, version, before, now)
    except (errors.UniqueViolation, errors.NotNullViolation) as error:
        raise key_error(target, version, error) from None


def _check_owner(target: Target, before: known.PublicationRecord | None, product: str, source: str, exists: bool) -> None:
    if before is None and exists:
        raise StepFailed(
            f"The warehouse has a table '{target.place}' that caudal has not made.",
            fix="Publish under another name (name=, schema=), or take that table away.",
        )
    if before is not None and exists and (before.product, before.source) != (product, source):
        raise StepFailed(
            f"'{target.place}' is where product '{before.product}' publishes its '{before.source}'.",
            fix="Publish under another name (name=, schema=).",
        )


def _create(connection: Connection[TupleRow], target: Target, version: Version, now: known.PublicationRecord) -> PublicationOutcome:
    """Create the table. Nobody sees it before the transaction ends, so its indexes are created last."""
    with connection.transaction():
        ddl.create_table(connection, target, ddl.identifier(target))
        loaded = copy_files(connection, ddl.identifier(target), version, target.names, version.files)
        ddl.align_table(connection, target)
        known.record_publication(connection, now)
    connection.execute(ddl.analyze_statement(target))
    return PublicationOutcome("made", loaded.rows, zeros=loaded.zeros)


def _update(
    connection: Connection[TupleRow],
    target: Target,
    version: Version,
    before: known.PublicationRecord,
    now: known.PublicationRecord,
) -> PublicationOutcome:
    days = known.differing_days(before.days, now.days)
    if not days and before.declared == now.declared:
        return PublicationOutcome("was there already", 0, ())
    whole = target.day is None or not before.days.keys() - days
    with connection.transaction():
        loaded = LoadResult(0, {})
        if days:
            delete(connection, target, None if whole else days)
            files = [file for file in version.files if (file.day or "") in days]
            loaded = copy_files(connection, ddl.identifier(target), version, target.names, files)
        ddl.align_table(connection, target)
        known.record_publication(connection, now)
    if days:
        connection.execute(ddl.analyze_statement(target))
    scope = "every row" if whole else f"{len(days)} day{'' if len(days) == 1 else 's'}"
    return PublicationOutcome(
        scope if days else "keys, indexes, comments, readers", loaded.rows, None if whole else tuple(sorted(days)), loaded.zeros
    )


def _alter(connection: Connection[TupleRow], target: Target, version: Version, now: known.PublicationRecord) -> PublicationOutcome:
    """Change the columns: the rows are staged first, so that the table is locked only while they are moved."""
    existing = ddl.existing_columns(connection, target)
    removed = ddl.removed_columns(connection, target, existing)
    staging = Identifier(OWN_SCHEMA, "load_" + hashlib.sha256(target.place.encode()).hexdigest()[:20])
    connection.execute(SQL("DROP TABLE IF EXISTS {}").format(staging))
    ddl.create_table(connection, target, staging, logged=False)
    with connection.transaction():
        loaded = copy_files(connection, staging, version, target.names, version.files)
    names = SQL(", ").join(Identifier(name) for name in target.names)
    with connection.transaction():
        connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(ddl.identifier(target)))
        delete(connection, target, None)
        ddl.alter(connection, target, existing)
        connection.execute(SQL("INSERT INTO {0} ({1}) SELECT {1} FROM {2}").format(ddl.identifier(target), names, staging))
        ddl.align_table(connection, target)
        connection.execute(SQL("DROP TABLE {}").format(staging))
        known.record_publication(connection, now)
    connection.execute(ddl.analyze_statement(target))
    added = sorted(set(target.names) - existing.keys())
    parts = [
        f"new columns {', '.join(added)}" if added else "",
        f"changed or removed {', '.join(sorted(removed))}" if removed else "",
    ]
    return PublicationOutcome("every row: " + "; ".join(part for part in parts if part), loaded.rows, zeros=loaded.zeros)


def delete(connection: Connection[TupleRow], target: Target, days: set[str] | None) -> None:
    """Delete the rows of some days, or all; readers still see them until the transaction ends."""
    statement = SQL("DELETE FROM {}").format(ddl.identifier(target))
    if days is not None:
        day = Identifier(str(target.day))
        in_days = SQL("{} = ANY({}::date[])").format(day, Literal([day for day in days if day]))
        without_day = SQL("{} IS NULL").format(day)
        statement = (
            SQL("{} WHERE {} OR {}").format(statement, in_days, without_day)
            if "" in days
            else SQL("{} WHERE {}").format(statement, in_days)
        )
    connection.execute(statement)
