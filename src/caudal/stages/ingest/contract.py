"""The schema that files have to keep: settled from declaration, publication and files, then bound to each file's columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from caudal.declarations.node import Source
from caudal.declarations.schema import Field, Schema
from caudal.errors import SourceProblem, nearest
from caudal.stages.ingest.infer import narrowest
from caudal.stages.ingest.let_in import LetIn, clean, named
from caudal.stages.ingest.physical import Inspected, PhysicalColumn
from caudal.stages.ingest.widen import common, general, rule


@dataclass(frozen=True)
class Take:
    """A column of the schema and how it comes out of a file: ``rule`` names the conversion, ``column`` is None where the file lacks it."""

    field: Field
    column: PhysicalColumn | None
    rule: str


def base_of(source: Source, known: Schema | None) -> Schema | None:
    """Return the columns that are agreed before any file is looked at: what is declared, then what was let in by earlier files."""
    if source.schema is None:
        return known
    if known is None or not source.schema.open:
        return source.schema
    taken = {name.casefold() for field in source.schema for name in (field.name, field.raw_name)}
    let_in = (field for field in known if field.name.casefold() not in taken and not field.name.startswith("_"))
    return Schema((*source.schema.fields, *(_optional(field) for field in let_in)), True)


def check_present(source: Source, base: Schema, one: Inspected) -> None:
    """Raise SourceProblem when a file lacks a column that is required."""
    found = matches(base, one)
    for field in base:
        if field.required and field.name not in found:
            raise _missing(source, base, field, one, [column.name for column in unknown_columns(base, one)])


def unknown_columns(base: Schema | None, one: Inspected) -> list[PhysicalColumn]:
    """Return the columns of a file that the agreed schema does not have."""
    matched = {column.name for column in matches(base, one).values()} if base else set()
    return [column for column in one.physical.columns if column.name not in matched]


def settle(
    source: Source, base: Schema | None, files: Sequence[Inspected], let_in: Sequence[LetIn], published: Schema | None = None
) -> tuple[Schema, list[str]]:
    """Return the schema that all the files are read to, and notes on what was let in or left out.

    Parameters
    ----------
    base : Schema, optional, what is agreed before any file is looked at (`base_of`)
    let_in : columns that files have and ``base`` does not (`let_in`), with what their texts may be
    published : Schema, optional, of the table, where it has some of them already: their types stay
    """
    notes: list[str] = []
    types: dict[str, str] = {}
    origin: dict[str, Inspected] = {}
    by_raw = {raw: column for column in let_in for raw in column.raw}
    for file in files:
        for column in unknown_columns(base, file):
            if base is not None and not base.open:
                raise _refused(source, base, file, column)
            let = by_raw[column.name]
            have = narrowest(let.possible or frozenset()) if column.type == "text" else general(column.type)
            if have == "unsupported":
                notes.append(
                    f"'{file.file.name}': column '{column.name}' is left out, its type {column.shown} has no place in a table."
                )
                continue
            both = common(types.get(let.name, have), have)
            if published is not None and let.name in published:
                both = published[let.name].type
            if both is None:
                raise _quarrel(column.name, types[let.name], origin[let.name].file.name, have, file.file.name)
            types[let.name] = both
            origin.setdefault(let.name, file)
    known = [column for column in let_in if published is not None and column.name in published]
    if base is not None:
        notes += _lacking(source, base, files)
    fields = list(base.fields) if base else []
    for column_in in let_in:
        if column_in in known:
            assert published is not None
            fields.append(_field(column_in, published[column_in.name].type, required=False))
            lacking = next((file.file.name for file in files if not column_in.raw & {*file.physical.names}), None)
            if lacking is not None:
                notes.append(f"Column '{_raw(column_in)}' is missing in '{lacking}' and null there.")
        elif column_in.name in types:
            notes += _new(column_in, types[column_in.name], base is None and not known, origin, files, fields)
    return Schema(tuple(fields), base.open if base else True), notes


def _new(
    column: LetIn, type: str, fresh: bool, origin: Mapping[str, Inspected], files: Sequence[Inspected], fields: list[Field]
) -> list[str]:
    """Add the field of a column that is new, unless nothing is known of it, and return the notes on it."""
    raw, notes = _raw(column), []
    if type == "null":
        return [f"Column '{raw}' is left out: it is empty, and without a type, in every file so far."]
    lacking = next((file.file.name for file in files if not column.raw & {*file.physical.names}), None)
    fields.append(_field(column, type, required=fresh and lacking is None))
    if not fresh:
        notes.append(f"New column '{column.name}' ({type}) from '{origin[column.name].file.name}'; it is null in the files before.")
    elif lacking is not None:
        notes.append(f"Column '{raw}' is missing in '{lacking}' and null there.")
    if column.name != raw:
        notes.append(f"Column '{raw}' is named '{column.name}' in the table.")
    return notes


def _field(column: LetIn, type: str, *, required: bool) -> Field:
    raw = _raw(column)
    return Field(column.name, type, raw=None if column.name == raw else raw, required=required)


def _raw(column: LetIn) -> str:
    """Return the name by which messages call a column that was let in."""
    return column.name if column.name in column.raw or not column.raw else min(column.raw)


def let_in_of(base: Schema | None, files: Sequence[Inspected], known: Sequence[LetIn]) -> list[LetIn]:
    """Return the columns that the files have and the agreed schema does not, with those that are known already."""
    unknown = [[column.name for column in unknown_columns(base, file)] for file in files]
    taken = {name for field in base or () for name in (field.name, field.raw_name)}
    return named(dict.fromkeys(map(tuple, unknown)), known, taken)


def bind(
    source: Source, schema: Schema, one: Inspected, let_in: Sequence[LetIn] = (), base: Schema | None = None
) -> tuple[tuple[Take, ...], list[str]]:
    """Return how each column of the schema comes out of a file, and notes on names that were matched loosely.

    Raises
    ------
    SourceProblem : a column's type would lose something
    """
    found, takes, notes = matches(base or Schema(), one), [], []
    free = {column.name: column for column in unknown_columns(base, one)}
    for column_in in let_in:
        for raw in sorted(column_in.raw & free.keys()):
            found[column_in.name] = free[raw]
    for field in schema:
        column = found.get(field.name)
        if column is None:
            takes.append(Take(field, None, "null"))
            continue
        if column.name != field.raw_name:
            notes.append(f"'{one.file.name}': column '{column.name}' is taken for '{field.raw_name}'.")
        declared = source.schema is not None and field.name in source.schema
        how = rule(column.type, field.type, declared=declared)
        if column.unit == "ns" and column.type.startswith("timestamp") and field.type == "long" and declared:
            how = "count"  # all of their digits
        if how is None:
            raise _lossy(source, field, column, one, declared)
        takes.append(Take(field, column, how))
    return tuple(takes), notes


def matches(schema: Schema, one: Inspected) -> dict[str, PhysicalColumn]:
    """Return the file's column for each column of the schema: of the same raw name, else the same name, else apart from case."""
    by_name = {column.name: column for column in one.physical.columns}
    by_case = {column.name.casefold(): column for column in one.physical.columns}
    found: dict[str, PhysicalColumn] = {}
    taken: set[str] = set()
    looks: tuple[Callable[[Field], PhysicalColumn | None], ...] = (
        lambda field: by_name.get(field.raw_name),
        lambda field: by_name.get(field.name),
        lambda field: by_case.get(field.raw_name.casefold()),
        lambda field: by_case.get(field.name.casefold()),
        lambda field: next((column for column in one.physical.columns if clean(column.name, ()) == field.name), None),
    )
    for look in looks:
        for field in schema:
            column = look(field) if field.name not in found else None
            if column is not None and column.name not in taken:
                found[field.name] = column
                taken.add(column.name)
    return found


def _lacking(source: Source, base: Schema, files: Sequence[Inspected]) -> list[str]:
    """Return a note for each column that earlier files had, nobody declared, and a file lacks."""
    found = [(file.file.name, matches(base, file)) for file in files]
    declared = source.schema or ()
    agreed = [field for field in base if not field.name.startswith("_") and field.name not in declared]
    first = {field.raw_name: next((name for name, have in found if field.name not in have), None) for field in agreed}
    return [f"Column '{column}' is missing in '{name}' and null there." for column, name in first.items() if name is not None]


def _optional(field: Field) -> Field:
    return Field(field.name, field.type, True, field.raw, field.unit, field.label, field.description, False)


def _missing(source: Source, schema: Schema, field: Field, one: Inspected, free: list[str]) -> SourceProblem:
    near = nearest(field.raw_name, free)
    shown = ", ".join(f"'{name}'" for name in one.physical.names[:20])
    if near:
        fix = f"If '{near}' is the same column renamed, have it called '{field.raw_name}' or declare raw='{near}'."
    elif one.physical.format == "csv" and len(free) == len(one.physical.columns) == len(schema.fields):
        fix = "The first line looks like data: if the file has no header, pass header=False."
    else:
        fix = f"It has {shown}. If files may lack it, declare '{field.name}' with required=False."
    return SourceProblem(
        f"'{one.file.name}' lacks the column '{field.raw_name}' of source '{source.name}'.",
        nearest=near, fix=fix, where=_where(source), file=one.file.name, column=field.raw_name, source=source.name,
    )  # fmt: skip


def _lossy(source: Source, field: Field, column: PhysicalColumn, one: Inspected, declared: bool) -> SourceProblem:
    said = "declared" if declared else "published"
    if column.type == "unsupported":
        what = f"'{one.file.name}': column '{column.name}' is {column.shown}, which no table column can hold."
        fix = "Have it written in another type, or leave it out of the schema."
    else:
        what = (
            f"'{one.file.name}': column '{column.name}' is {column.shown} in the file and {said} as {field.type};"
            f" turning one into the other can lose values."
        )
        fix = f"Declare '{field.name}' as '{general(column.type)}' in the schema of source '{source.name}'" + (
            ", and convert it in a table." if declared else "."
        )
    return SourceProblem(
        what,
        fix=fix,
        where=_where(source),
        file=one.file.name,
        column=column.name,
        have=column.shown,
        want=field.type,
        source=source.name,
    )


def _refused(source: Source, base: Schema, one: Inspected, column: PhysicalColumn) -> SourceProblem:
    return SourceProblem(
        f"'{one.file.name}' has the column '{column.name}' ({column.shown}), which the closed schema of source '{source.name}' does not have.",
        nearest=nearest(column.name, [field.raw_name for field in base]),
        fix="Declare it, or let new columns in with open=True.",
        where=_where(source), file=one.file.name, column=column.name, source=source.name,
    )  # fmt: skip


def _quarrel(column: str, one: str, first: str, other: str, second: str) -> SourceProblem:
    return SourceProblem(
        f"Column '{column}' is {one} in '{first}' and {other} in '{second}'; no type holds both without loss.",
        fix=f"Declare '{column}' in the source's schema, or have the files written alike.",
        file=second, column=column,
    )  # fmt: skip


def _where(source: Source) -> str | None:
    return str(source.where) if source.where else None
