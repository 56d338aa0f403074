"""``product.star``: what changed is computed and laid beside; then dimensions, facts and calendar change in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caudal.declarations.star import Dimension, Star
from caudal.errors import NotThere, StepFailed
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.warehouse import ddl, known
from caudal.warehouse.connect import hold
from caudal.warehouse.keys import violation
from caudal.warehouse.load import copied
from caudal.warehouse.star import dates, store
from caudal.warehouse.star.dimension import Rows, attributes, columns, followed
from caudal.warehouse.star.fact import Facts, facts_of, moved_in, pointed_anew, years
from caudal.warehouse.swap import Outcome, delete
from caudal.warehouse.target import Column, Target, schema_of

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Identifier

_TICK_S = 1e-6  # versions of one moment follow one another


@dataclass(frozen=True)
class Given:
    """A table of the lake that a star is made of, at its version; with what is said of it and of its columns."""

    folder: Place
    version: int
    comment: str | None = None
    comments: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Made:
    """A table of the star on its way.

    Parameters
    ----------
    there : the columns that it has in the warehouse; none where it is not there
    beside : where its changes lie
    days : of a fact, the days that are replaced
    whole : of a dimension, whether any member may have changed
    """

    target: Target
    version: delta.Version | None
    there: dict[str, Column]
    beside: Any = None
    days: set[str] = field(default_factory=set)
    whole: bool = False
    note: dict[str, Any] = field(default_factory=dict)

    @property
    def anew(self) -> bool:
        """Whether it is there with other columns."""
        return bool(self.there) and not ddl.same(self.target, self.there)


def publish(connection: Connection[Any], star: Star, product: str, given: Mapping[str, Given], run_id: str) -> Outcome:
    """Bring a star to the versions of its tables, and say what was done.

    Raises
    ------
    StepFailed : a table is another's, a key is not kept, a column is missing, or a view uses one that goes away
    """
    from psycopg import errors

    place = f"{star.schema}.*"
    hold(connection, place)
    known.prepare(connection, star.schema)
    if star.grant:
        ddl.role(connection, star.grant)
    before = known.last(connection, place)
    _mine(connection, star, before, product)
    dimensions = {
        dimension.name: _dimension(connection, star, dimension, given[dimension.of], before) for dimension in star.dimensions
    }
    facts = [_facts(connection, star, fact, given) for fact in star.facts]
    calendar = Made(dates.target(star, star.dates), None, {}) if star.dates else None
    if calendar:
        calendar.there = ddl.columns_there(connection, calendar.target)
    tables = [*dimensions.values(), *([calendar] if calendar else []), *(made for _, made in facts)]
    for fact, made in facts:
        _changed_days(made, before, fact.declared.name)
    idle = not any(table.beside or table.days or table.anew or not table.there for table in tables)
    if idle and before is not None and before.declared == _declared(star, tables) and _noted(before, tables):
        return Outcome("was there already", 0, ())
    for fact, made in facts:
        _beside(connection, fact, made)
    now = known.Published(
        place, product, star.name, max(one.version for one in given.values()), sum(made.note["rows"] for _, made in facts), {}, _declared(star, tables), run_id,
        {"tables": {table.target.table: table.note for table in tables}},
    )  # fmt: skip
    fact_of = {made.target.table: (made.target, made.version) for _, made in facts}
    try:
        return _together(connection, star, dimensions, facts, calendar, now)
    except (errors.UniqueViolation, errors.NotNullViolation) as error:
        if (found := fact_of.get(error.diag.table_name or "")) and found[1]:
            raise violation(found[0], found[1], error) from None
        raise


def _together(
    connection: Connection[Any], star: Star, dimensions: Mapping[str, Made], facts: list[tuple[Facts, Made]], calendar: Made | None,
    now: known.Published,
) -> Outcome:  # fmt: skip
    """Make the changes that lie beside, all or none."""
    tables = [*dimensions.values(), *([calendar] if calendar else []), *(made for _, made in facts)]
    with connection.transaction():
        if any(table.anew for table in tables):
            for _, made in facts:
                if made.there:
                    ddl.unrefer(connection, made.target)
        for one in tables:
            if not one.there:
                ddl.create(connection, one.target, ddl.named(one.target))
            elif one.anew:
                delete(connection, one.target, None)
                ddl.alter(connection, one.target, one.there)
        for declared in star.dimensions:
            if (made := dimensions[declared.name]).beside:
                store.change(connection, declared, made.target, made.beside)
        touched = {name: None if made.whole else made.beside.touched for name, made in dimensions.items() if made.beside}
        moved = sum(pointed_anew(connection, fact, touched) for fact, made in facts if made.there and not made.anew)
        rows = 0
        for fact, made in facts:
            if made.days:
                whole = made.target.day is None or made.anew
                delete(connection, made.target, None if whole else made.days)
                moved_in(connection, fact, made.beside[0])
                rows += made.beside[1]
        if calendar:
            dates.fill(connection, calendar.target, years(connection, [fact for fact, _ in facts]))
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for one in tables:
            ddl.shape(connection, one.target)
        for _, made in facts:
            ddl.refer(connection, made.target)
        known.note(connection, now)
    for table in tables:
        if table.beside:
            connection.execute(ddl.analysed(table.target))
    states = sum(made.note["changed"] for made in dimensions.values())
    days = sum(len(made.days) for _, made in facts)
    counted = ((days, "day", "of facts"), (states, "row", "of dimensions"), (moved, "pointer", "set anew"))
    said = [f"{number:,} {what}{'' if number == 1 else 's'} {of}" for number, what, of in counted]
    return Outcome(", ".join(said), rows, tuple(sorted({day for _, made in facts for day in made.days})))


def _dimension(connection: Connection[Any], star: Star, dimension: Dimension, given: Given, before: known.Published | None) -> Made:
    """Return a dimension's table with its changes laid beside, where there are any."""
    newest = delta.read(given.folder, given.version)
    indexes = ((dimension.key, "valid_from"),) if dimension.changes == "keep" else ((dimension.key,),)
    target = Target(
        star.schema, dimension.name, columns(dimension, newest, dict(given.comments)), (dimension.surrogate,), indexes, given.comment, star.grant,
    )  # fmt: skip
    made = Made(target, newest, ddl.columns_there(connection, target))
    last = _last(before, dimension.name)
    goes_on = bool(made.there) and not made.anew and last.get("declared") == repr(dimension) and _same_lake(given, last)
    if made.anew:
        ddl.going(connection, target, made.there)
    files = _files(newest)
    made.note = {"version": given.version, "files": files, "at": last.get("at", 0.0), "declared": repr(dimension), "changed": 0}
    if goes_on and last["version"] == given.version:
        return made
    names = attributes(dimension, schema_of(newest))
    rows = Rows(dimension, names)
    had = store.read(connection, dimension, target) if goes_on else {}
    change = followed(dimension, had, _versions(dimension, given, last if goes_on else {}, made.note), rows)
    if not goes_on and made.there:  # told from the beginning: what it was before goes
        made.whole = True
        there = [] if made.anew else store.surrogates(connection, dimension, target)
        change.gone = [number for number in there if number not in change.put]
    made.note["changed"] = len(change.put) + len(change.moved) + len(change.gone)
    if made.note["changed"] or not made.there or made.anew:
        made.beside = store.lay(connection, dimension, target, change, rows, newest)
    return made


def _versions(
    dimension: Dimension, given: Given, last: Mapping[str, Any], note: dict[str, Any]
) -> Iterator[tuple[delta.Version, float | None]]:
    """Yield the versions that are not in the warehouse yet, each later than the one before it."""
    first = int(last["version"]) + 1 if last else 0
    if dimension.changes == "overwrite":
        first = given.version
    at = float(last.get("at", 0.0))
    for number in range(first, given.version + 1):
        version = delta.read(given.folder, number)
        at = max(float(version.identity.get("at", 0.0)), at + _TICK_S)
        note["at"] = at
        yield version, at


def _facts(connection: Connection[Any], star: Star, fact: Any, given: Mapping[str, Given]) -> tuple[Facts, Made]:
    of = given[fact.of]
    version = delta.read(of.folder, of.version)
    facts = facts_of(star, fact, version, of.comment, of.comments)
    made = Made(facts.target, version, ddl.columns_there(connection, facts.target))
    if made.anew:
        ddl.going(connection, made.target, made.there)
    return facts, made


def _changed_days(made: Made, before: known.Published | None, name: str) -> None:
    assert made.version is not None
    days = known.days_of(made.version)
    last = _last(before, name)
    made.note = {"version": made.version.number, "days": days, "rows": made.version.rows}
    had = last.get("days", {}) if made.there and not made.anew else {}
    made.days = known.changed(had, days)


def _beside(connection: Connection[Any], fact: Facts, made: Made) -> None:
    """Load the rows of the days that changed into a temporary table."""
    from psycopg.sql import SQL, Identifier

    if not made.days:
        return
    assert made.version is not None
    into: Identifier = Identifier(f"rows_{made.target.table}"[:60])
    types = {column.name: column.type for column in made.target.columns}
    told = SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(types[name])) for name in fact.own)
    connection.execute(SQL("CREATE TEMPORARY TABLE {} ({})").format(into, told))
    with connection.transaction():
        files = [file for file in made.version.files if (file.day or "") in made.days]
        loaded = copied(connection, into, made.version, fact.own, files)
    connection.execute(SQL("ANALYZE {}").format(into))
    made.beside = (into, loaded.rows)


def _mine(connection: Connection[Any], star: Star, before: known.Published | None, product: str) -> None:
    ours = before.more["tables"] if before is not None else {}
    if before is not None and (before.product, before.source) != (product, star.name):
        raise StepFailed(
            f"The schema '{star.schema}' is where product '{before.product}' publishes its star '{before.source}'.",
            fix="Publish under another name (schema=).",
        )
    for name in star.names:
        if name not in ours and ddl.columns_there(connection, Target(star.schema, name, ())):
            raise StepFailed(
                f"The warehouse has a table '{star.schema}.{name}' that this star has not made.",
                fix="Publish under another schema (schema=), or take that table away.",
            )


def _declared(star: Star, tables: list[Made]) -> str:
    return hashlib.sha256(
        json.dumps([repr(star.facts), repr(star.dimensions), *(table.target.digest() for table in tables)]).encode()
    ).hexdigest()


def _last(before: known.Published | None, table: str) -> dict[str, Any]:
    return dict(before.more["tables"].get(table, {})) if before is not None else {}


def _noted(before: known.Published, tables: list[Made]) -> bool:
    """Tell whether the versions of all tables are told of already."""
    return all(before.more["tables"].get(table.target.table, {}).get("version") == table.note.get("version") for table in tables)


def _files(version: delta.Version) -> str:
    return hashlib.sha256(json.dumps(known.days_of(version), sort_keys=True).encode()).hexdigest()[:20]


def _same_lake(given: Given, last: Mapping[str, Any]) -> bool:
    """Tell whether the version that the warehouse has is one of this lake's."""
    if last["version"] > given.version:
        return False
    try:
        return bool(_files(delta.read(given.folder, last["version"])) == last["files"])
    except NotThere:
        return False
