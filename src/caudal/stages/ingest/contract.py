"""The schema that files have to keep: settled from declaration, publication and files, then bound to each file's columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from caudal.errors import SourceProblem, nearest
from caudal.spec.node import Source
from caudal.spec.schema import Field, Schema
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


def settle(source: Source, base: Schema | None, files: Sequence[Inspected], guesses: Mapping[str, str]) -> tuple[Schema, list[str]]:
    """Return the schema that all the files are read to, and notes on what was let in or left out.

    Parameters
    ----------
    guesses : mapping of column to type, for columns that files hold as text and nobody declared
    """
    notes: list[str] = []
    types: dict[str, str] = {}
    origin: dict[str, Inspected] = {}
    for one in files:
        for column in unknown_columns(base, one):
            if base is not None and not base.open:
                raise _refused(source, base, one, column)
            have = general(guesses.get(column.name, "string") if column.type == "text" else column.type)
            if have == "unsupported":
                notes.append(
                    f"'{one.file.name}': column '{column.name}' is left out, its type {column.shown} has no place in a table."
                )
                continue
            both = common(types.get(column.name, have), have)
            if both is None:
                raise _quarrel(column.name, types[column.name], origin[column.name].file.name, have, one.file.name)
            types[column.name] = both
            origin.setdefault(column.name, one)
    if base is not None:
        notes += _lacking(source, base, files)
    fields = list(base.fields) if base else []
    names = {field.name.casefold() for field in fields}
    for raw, type in types.items():
        if type == "null":
            notes.append(f"Column '{raw}' is left out: it is empty, and without a type, in every file so far.")
            continue
        name = _clean(raw, names)
        names.add(name.casefold())
        everywhere = base is None and all(raw in one.physical.names for one in files)
        fields.append(Field(name, type, raw=None if name == raw else raw, required=everywhere))
        if base is not None:
            notes.append(f"New column '{name}' ({type}) from '{origin[raw].file.name}'; it is null in the files before.")
        elif not everywhere:
            lacking = next(one.file.name for one in files if raw not in one.physical.names)
            notes.append(f"Column '{raw}' is missing in '{lacking}' and null there.")
        if name != raw:
            notes.append(f"Column '{raw}' is named '{name}' in the table.")
    return Schema(tuple(fields), base.open if base else True), notes


def bind(source: Source, schema: Schema, one: Inspected) -> tuple[tuple[Take, ...], list[str]]:
    """Return how each column of the schema comes out of a file, and notes on names that were matched loosely.

    Raises
    ------
    SourceProblem : a column's type would lose something
    """
    found, takes, notes = matches(schema, one), [], []
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
        lambda field: next((column for column in one.physical.columns if _clean(column.name, set()) == field.name), None),
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
    found = [(one.file.name, matches(base, one)) for one in files]
    declared = source.schema or ()
    agreed = [field for field in base if not field.name.startswith("_") and field.name not in declared]
    first = {field.raw_name: next((name for name, have in found if field.name not in have), None) for field in agreed}
    return [f"Column '{column}' is missing in '{name}' and null there." for column, name in first.items() if name is not None]


def _optional(field: Field) -> Field:
    return Field(field.name, field.type, True, field.raw, field.unit, field.label, field.description, False)


def _clean(raw: str, taken: set[str]) -> str:
    """Return a name that any table format takes; a leading ``_`` is kept for caudal's own columns."""
    name = re.sub(r"[ ,;{}()\n\t\r=.`]+", "_", raw.strip(" ,;{}()\n\t\r=.`")).lstrip("_") or "column"
    if name == raw and name.casefold() not in taken:
        return raw
    number, free = 2, name
    while free.casefold() in taken:
        number, free = number + 1, f"{name}_{number}"
    return free


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
