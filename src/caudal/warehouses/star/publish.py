"""``product.star``: compute and stage what changed; then change dimensions, facts and calendar in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from psycopg import errors
from psycopg.sql import SQL, Identifier

from caudal.declarations.star import Dimension, Fact, Star
from caudal.errors import NotThere, StepFailed
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.warehouses import ddl, known
from caudal.warehouses.connect import lock_place
from caudal.warehouses.keys import key_error
from caudal.warehouses.load import copy_files
from caudal.warehouses.star import dates, store
from caudal.warehouses.star.dimension import DimensionRows, attributes, compute_change, dimension_columns
from caudal.warehouses.star.fact import Facts, facts_of, insert_staged_rows, update_references, years
from caudal.warehouses.swap import PublicationOutcome, delete
from caudal.warehouses.target import Target, WarehouseColumn, schema_of

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_TICK_S = 1e-6  # so that versions with the same time still have an order


@dataclass(frozen=True)
class LakeTable:
    """A table of the lake from which a star is made, at its version, with its comments."""

    folder: Place
    version: int
    comment: str | None = None
    comments: Mapping[str, str] = field(default_factory=dict)


class TableNote(TypedDict, total=False):
    """What is recorded of a table with a publication: a dimension has the first five entries, a fact its version, days and rows."""

    version: int
    files: str
    at: float
    declared: str
    changed: int
    days: dict[str, str]
    rows: int


@dataclass
class StarTable:
    """A table of the star while it is published.

    Parameters
    ----------
    there : the columns that it has in the warehouse; none if it does not exist
    staged : its staged changes
    days : for a fact, the days that are replaced
    whole : for a dimension, whether any member may have changed
    """

    target: Target
    version: delta.Version | None
    existing_columns: dict[str, WarehouseColumn]
    staged: Any = None
    days: set[str] = field(default_factory=set)
    whole: bool = False
    note: TableNote = field(default_factory=TableNote)

    @property
    def anew(self) -> bool:
        """Whether the table exists with other columns."""
        return bool(self.existing_columns) and not ddl.has_same_columns(self.target, self.existing_columns)


def publish_star(
    connection: Connection[TupleRow], star: Star, product: str, lake_tables: Mapping[str, LakeTable], run_id: str
) -> PublicationOutcome:
    """Bring a star to the versions of its tables, and return what was done.

    Raises
    ------
    StepFailed : a table belongs to another product, a key is violated, a column is missing, or a view uses a removed one
    """
    place = f"{star.schema}.*"
    lock_place(connection, place)
    known.prepare_schemas(connection, star.schema)
    if star.grant:
        ddl.role(connection, star.grant)
    before = known.last_publication(connection, place)
    _check_owner(connection, star, before, product)
    dimensions = {
        dimension.name: _dimension(connection, star, dimension, lake_tables[dimension.of], before) for dimension in star.dimensions
    }
    facts = [_facts(connection, star, fact, lake_tables) for fact in star.facts]
    calendar = StarTable(dates.target(star, star.dates), None, {}) if star.dates else None
    if calendar:
        calendar.existing_columns = ddl.existing_columns(connection, calendar.target)
    tables = [*dimensions.values(), *([calendar] if calendar else []), *(fact_table for _, fact_table in facts)]
    for fact, fact_table in facts:
        _changed_days(fact_table, before, fact.declared.name)
    idle = not any(table.staged or table.days or table.anew or not table.existing_columns for table in tables)
    if idle and before is not None and before.declared == _declaration_digest(star, tables) and _record_state(before, tables):
        return PublicationOutcome("was there already", 0, ())
    for fact, fact_table in facts:
        _stage_fact(connection, fact, fact_table)
    now = known.PublicationRecord(
        place, product, star.name, max(table.version for table in lake_tables.values()), sum(fact_table.note["rows"] for _, fact_table in facts), {}, _declaration_digest(star, tables), run_id,
        {"tables": {table.target.table: table.note for table in tables}},
    )  # fmt: skip
    fact_of = {fact_table.target.table: (fact_table.target, fact_table.version) for _, fact_table in facts}
    try:
        return _together(connection, star, dimensions, facts, calendar, now)
    except (errors.UniqueViolation, errors.NotNullViolation) as error:
        if (fact_target := fact_of.get(error.diag.table_name or "")) and fact_target[1]:
            raise key_error(fact_target[0], fact_target[1], error) from None
        raise


def _together(
    connection: Connection[TupleRow], star: Star, dimensions: Mapping[str, StarTable], facts: list[tuple[Facts, StarTable]], calendar: StarTable | None,
    now: known.PublicationRecord,
) -> PublicationOutcome:  # fmt: skip
    """Make the staged changes, all or none."""
    tables = [*dimensions.values(), *([calendar] if calendar else []), *(fact_table for _, fact_table in facts)]
    with connection.transaction():
        if any(table.anew for table in tables):
            for _, fact_table in facts:
                if fact_table.existing_columns:
                    ddl.drop_references(connection, fact_table.target)
        for table in tables:
            if not table.existing_columns:
                ddl.create_table(connection, table.target, ddl.identifier(table.target))
            elif table.anew:
                delete(connection, table.target, None)
                ddl.alter(connection, table.target, table.existing_columns)
        for declared in star.dimensions:
            if (dimension_table := dimensions[declared.name]).staged:
                store.apply_changes(connection, declared, dimension_table.target, dimension_table.staged)
        touched = {
            name: None if dimension_table.whole else dimension_table.staged.touched
            for name, dimension_table in dimensions.items()
            if dimension_table.staged
        }
        moved = sum(
            update_references(connection, fact, touched)
            for fact, fact_table in facts
            if fact_table.existing_columns and not fact_table.anew
        )
        rows = 0
        for fact, fact_table in facts:
            if fact_table.days:
                whole = fact_table.target.day is None or fact_table.anew
                delete(connection, fact_table.target, None if whole else fact_table.days)
                insert_staged_rows(connection, fact, fact_table.staged[0])
                rows += fact_table.staged[1]
        if calendar:
            dates.fill(connection, calendar.target, years(connection, [fact for fact, _ in facts]))
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            ddl.align_table(connection, table.target)
        for _, fact_table in facts:
            ddl.add_references(connection, fact_table.target)
        known.record_publication(connection, now)
    for table in tables:
        if table.staged:
            connection.execute(ddl.analyze_statement(table.target))
    states = sum(dimension_table.note["changed"] for dimension_table in dimensions.values())
    days = sum(len(fact_table.days) for _, fact_table in facts)
    counted = ((days, "day", "of facts"), (states, "row", "of dimensions"), (moved, "pointer", "set anew"))
    parts = [f"{number:,} {unit}{'' if number == 1 else 's'} {suffix}" for number, unit, suffix in counted]
    return PublicationOutcome(", ".join(parts), rows, tuple(sorted({day for _, fact_table in facts for day in fact_table.days})))


def _dimension(
    connection: Connection[TupleRow],
    star: Star,
    dimension: Dimension,
    lake_table: LakeTable,
    before: known.PublicationRecord | None,
) -> StarTable:
    """Return a dimension's table with its changes staged, if there are any."""
    newest = delta.read_version(lake_table.folder, lake_table.version)
    indexes = ((dimension.key, "valid_from"),) if dimension.changes == "keep" else ((dimension.key,),)
    target = Target(
        star.schema, dimension.name, dimension_columns(dimension, newest, dict(lake_table.comments)), (dimension.surrogate,), indexes, lake_table.comment, star.grant,
    )  # fmt: skip
    table = StarTable(target, newest, ddl.existing_columns(connection, target))
    last = _last_state(before, dimension.name)
    continues = (
        bool(table.existing_columns) and not table.anew and last.get("declared") == repr(dimension) and _same_lake(lake_table, last)
    )
    if table.anew:
        ddl.removed_columns(connection, target, table.existing_columns)
    files = _files(newest)
    table.note = {
        "version": lake_table.version,
        "files": files,
        "at": last.get("at", 0.0),
        "declared": repr(dimension),
        "changed": 0,
    }
    if continues and last["version"] == lake_table.version:
        return table
    names = attributes(dimension, schema_of(newest))
    rows = DimensionRows(dimension, names)
    known_history = store.read_history(connection, dimension, target) if continues else {}
    change = compute_change(dimension, known_history, _versions(dimension, lake_table, last if continues else {}, table.note), rows)
    if not continues and table.existing_columns:  # rebuilt from the beginning: earlier rows are removed
        table.whole = True
        existing = [] if table.anew else store.surrogates(connection, dimension, target)
        change.removed = [number for number in existing if number not in change.written]
    table.note["changed"] = len(change.written) + len(change.moved) + len(change.removed)
    if table.note["changed"] or not table.existing_columns or table.anew:
        table.staged = store.stage_changes(connection, dimension, target, change, rows, newest)
    return table


def _versions(
    dimension: Dimension, lake_table: LakeTable, last: TableNote, note: TableNote
) -> Iterator[tuple[delta.Version, float | None]]:
    """Yield the versions that the warehouse does not have yet, each with a later time than the one before."""
    first = int(last["version"]) + 1 if last else 0
    if dimension.changes == "overwrite":
        first = lake_table.version
    at = float(last.get("at", 0.0))
    for number in range(first, lake_table.version + 1):
        version = delta.read_version(lake_table.folder, number)
        at = max(float(version.identity.get("at", 0.0)), at + _TICK_S)
        note["at"] = at
        yield version, at


def _facts(
    connection: Connection[TupleRow], star: Star, fact: Fact, lake_tables: Mapping[str, LakeTable]
) -> tuple[Facts, StarTable]:
    lake_table = lake_tables[fact.of]
    version = delta.read_version(lake_table.folder, lake_table.version)
    facts = facts_of(star, fact, version, lake_table.comment, lake_table.comments)
    table = StarTable(facts.target, version, ddl.existing_columns(connection, facts.target))
    if table.anew:
        ddl.removed_columns(connection, table.target, table.existing_columns)
    return facts, table


def _changed_days(table: StarTable, before: known.PublicationRecord | None, name: str) -> None:
    assert table.version is not None
    days = known.days_of(table.version)
    last = _last_state(before, name)
    table.note = {"version": table.version.number, "days": days, "rows": table.version.rows}
    published_days = last.get("days", {}) if table.existing_columns and not table.anew else {}
    table.days = known.differing_days(published_days, days)


def _stage_fact(connection: Connection[TupleRow], fact: Facts, table: StarTable) -> None:
    """Load the rows of changed days into a temporary table."""
    if not table.days:
        return
    assert table.version is not None
    into: Identifier = Identifier(f"rows_{table.target.table}"[:60])
    types = {column.name: column.type for column in table.target.columns}
    definitions = SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(types[name])) for name in fact.lake_columns)
    connection.execute(SQL("CREATE TEMPORARY TABLE {} ({})").format(into, definitions))
    with connection.transaction():
        files = [file for file in table.version.files if (file.day or "") in table.days]
        loaded = copy_files(connection, into, table.version, fact.lake_columns, files)
    connection.execute(SQL("ANALYZE {}").format(into))
    table.staged = (into, loaded.rows)


def _check_owner(connection: Connection[TupleRow], star: Star, before: known.PublicationRecord | None, product: str) -> None:
    own_tables = before.more["tables"] if before is not None else {}
    if before is not None and (before.product, before.source) != (product, star.name):
        raise StepFailed(
            f"The schema '{star.schema}' is where product '{before.product}' publishes its star '{before.source}'.",
            fix="Publish under another name (schema=).",
        )
    for name in star.names:
        if name not in own_tables and ddl.existing_columns(connection, Target(star.schema, name, ())):
            raise StepFailed(
                f"The warehouse has a table '{star.schema}.{name}' that this star has not made.",
                fix="Publish under another schema (schema=), or take that table away.",
            )


def _declaration_digest(star: Star, tables: list[StarTable]) -> str:
    return hashlib.sha256(
        json.dumps([repr(star.facts), repr(star.dimensions), *(table.target.digest() for table in tables)]).encode()
    ).hexdigest()


def _last_state(before: known.PublicationRecord | None, name: str) -> TableNote:
    tables: Mapping[str, TableNote] = before.more["tables"] if before is not None else {}
    return tables.get(name, {})


def _record_state(before: known.PublicationRecord, tables: list[StarTable]) -> bool:
    """Return whether the versions of all tables are recorded already."""
    return all(before.more["tables"].get(table.target.table, {}).get("version") == table.note.get("version") for table in tables)


def _files(version: delta.Version) -> str:
    return hashlib.sha256(json.dumps(known.days_of(version), sort_keys=True).encode()).hexdigest()[:20]


def _same_lake(lake_table: LakeTable, last: TableNote) -> bool:
    """Return whether the version in the warehouse comes from this lake."""
    if last["version"] > lake_table.version:
        return False
    try:
        return bool(_files(delta.read_version(lake_table.folder, last["version"])) == last["files"])
    except NotThere:
        return False
