"""The schema that files have to match: derived from the declaration, the published table and the files, then bound to each file's columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from caudal.declarations.node import Source
from caudal.declarations.schema import Field, Schema
from caudal.errors import SourceProblem, nearest
from caudal.stages.ingest.added_columns import AddedColumn, clean_name, name_columns
from caudal.stages.ingest.infer import narrowest
from caudal.stages.ingest.physical import Inspected, PhysicalColumn
from caudal.stages.ingest.widen import common, general, rule


@dataclass(frozen=True)
class ColumnBinding:
    """A column of the schema bound to a file's column: ``rule`` names the conversion, ``column`` is None where the file lacks it."""

    field: Field
    column: PhysicalColumn | None
    rule: str


def agreed_schema(source: Source, published: Schema | None) -> Schema | None:
    """Return the columns that are fixed before any file is read: the declared ones, then those that earlier files added."""
    if source.schema is None:
        return published
    if published is None or not source.schema.open:
        return source.schema
    names = {name.casefold() for field in source.schema for name in (field.name, field.raw_name)}
    undeclared = (field for field in published if field.name.casefold() not in names and not field.name.startswith("_"))
    return Schema((*source.schema.fields, *(_optional(field) for field in undeclared)), True)


def check_present(source: Source, base: Schema, file: Inspected) -> None:
    """Raise SourceProblem where a file lacks a required column."""
    matched = match_columns(base, file)
    for field in base:
        if field.required and field.name not in matched:
            raise _missing_column_problem(source, base, field, file, [column.name for column in unknown_columns(base, file)])


def unknown_columns(base: Schema | None, file: Inspected) -> list[PhysicalColumn]:
    """Return the columns of a file that the agreed schema does not have."""
    matched = {column.name for column in match_columns(base, file).values()} if base else set()
    return [column for column in file.physical.columns if column.name not in matched]


def resolve_schema(
    source: Source,
    base: Schema | None,
    files: Sequence[Inspected],
    added_columns: Sequence[AddedColumn],
    published: Schema | None = None,
) -> tuple[Schema, list[str]]:
    """Return the schema that all files are read into, and notes on columns that were added or left out.

    Parameters
    ----------
    base : Schema, optional, the columns that are fixed before any file is read (`agreed_schema`)
    added_columns : columns that files have and ``base`` does not (`added_columns`), with the possible types of their texts
    published : Schema, optional, of the published table; its columns keep their types
    """
    notes: list[str] = []
    types: dict[str, str] = {}
    origin: dict[str, Inspected] = {}
    added_by_raw = {raw: column for column in added_columns for raw in column.raw}
    for file in files:
        for column in unknown_columns(base, file):
            if base is not None and not base.open:
                raise _closed_schema_problem(source, base, file, column)
            known_column = added_by_raw[column.name]
            type_ = narrowest(known_column.possible or frozenset()) if column.type == "text" else general(column.type)
            if type_ == "unsupported":
                notes.append(
                    f"'{file.file.name}': column '{column.name}' is left out, no table column can hold its type {column.native_type}."
                )
                continue
            common_type = common(types.get(known_column.name, type_), type_)
            if published is not None and known_column.name in published:
                common_type = published[known_column.name].type
            if common_type is None:
                raise _incompatible_problem(
                    column.name, types[known_column.name], origin[known_column.name].file.name, type_, file.file.name
                )
            types[known_column.name] = common_type
            origin.setdefault(known_column.name, file)
    published_columns = [column for column in added_columns if published is not None and column.name in published]
    if base is not None:
        notes += _missing_notes(source, base, files)
    fields = list(base.fields) if base else []
    for added in added_columns:
        if added in published_columns:
            assert published is not None
            fields.append(_field(added, published[added.name].type, required=False))
            lacking = next((file.file.name for file in files if not added.raw & {*file.physical.names}), None)
            if lacking is not None:
                notes.append(f"Column '{_raw_name(added)}' is missing in '{lacking}' and null there.")
        elif added.name in types:
            notes += _add_field(added, types[added.name], base is None and not published_columns, origin, files, fields)
    return Schema(tuple(fields), base.open if base else True), notes


def _add_field(
    column: AddedColumn, type: str, is_first: bool, origin: Mapping[str, Inspected], files: Sequence[Inspected], fields: list[Field]
) -> list[str]:
    """Add the field of a new column, unless its type is still unknown, and return the notes on it."""
    raw, notes = _raw_name(column), []
    if type == "null":
        return [f"Column '{raw}' is left out: it is empty, and without a type, in every file so far."]
    lacking = next((file.file.name for file in files if not column.raw & {*file.physical.names}), None)
    fields.append(_field(column, type, required=is_first and lacking is None))
    if not is_first:
        notes.append(f"New column '{column.name}' ({type}) from '{origin[column.name].file.name}'; it is null in the files before.")
    elif lacking is not None:
        notes.append(f"Column '{raw}' is missing in '{lacking}' and null there.")
    if column.name != raw:
        notes.append(f"Column '{raw}' is named '{column.name}' in the table.")
    return notes


def _field(column: AddedColumn, type: str, *, required: bool) -> Field:
    raw = _raw_name(column)
    return Field(column.name, type, raw=None if column.name == raw else raw, required=required)


def _raw_name(column: AddedColumn) -> str:
    """Return the name of an added column in messages."""
    return column.name if column.name in column.raw or not column.raw else min(column.raw)


def find_added_columns(base: Schema | None, files: Sequence[Inspected], earlier: Sequence[AddedColumn]) -> list[AddedColumn]:
    """Return the columns that the files have and the agreed schema does not, including those known already."""
    unknown = [[column.name for column in unknown_columns(base, file)] for file in files]
    names = {name for field in base or () for name in (field.name, field.raw_name)}
    return name_columns(dict.fromkeys(map(tuple, unknown)), earlier, names)


def bind_columns(
    source: Source, schema: Schema, file: Inspected, added_columns: Sequence[AddedColumn] = (), base: Schema | None = None
) -> tuple[tuple[ColumnBinding, ...], list[str]]:
    """Return each column of the schema bound to a file's column, and notes on names that were matched loosely.

    Raises
    ------
    SourceProblem : converting a column's type could lose values
    """
    matched, takes, notes = match_columns(base or Schema(), file), [], []
    unmatched = {column.name: column for column in unknown_columns(base, file)}
    for added in added_columns:
        for raw in sorted(added.raw & unmatched.keys()):
            matched[added.name] = unmatched[raw]
    for field in schema:
        column = matched.get(field.name)
        if column is None:
            takes.append(ColumnBinding(field, None, "null"))
            continue
        if column.name != field.raw_name:
            notes.append(f"'{file.file.name}': column '{column.name}' is taken for '{field.raw_name}'.")
        declared = source.schema is not None and field.name in source.schema
        conversion = rule(column.type, field.type, declared=declared)
        if column.unit == "ns" and column.type.startswith("timestamp") and field.type == "long" and declared:
            conversion = "count"  # keeps all digits
        if conversion is None:
            raise _lossy_problem(source, field, column, file, declared)
        takes.append(ColumnBinding(field, column, conversion))
    return tuple(takes), notes


def match_columns(schema: Schema, file: Inspected) -> dict[str, PhysicalColumn]:
    """Return the file's column for each column of the schema: with the same raw name, else the same name, else ignoring case."""
    by_name = {column.name: column for column in file.physical.columns}
    by_case = {column.name.casefold(): column for column in file.physical.columns}
    matched: dict[str, PhysicalColumn] = {}
    used: set[str] = set()
    lookups: tuple[Callable[[Field], PhysicalColumn | None], ...] = (
        lambda field: by_name.get(field.raw_name),
        lambda field: by_name.get(field.name),
        lambda field: by_case.get(field.raw_name.casefold()),
        lambda field: by_case.get(field.name.casefold()),
        lambda field: next((column for column in file.physical.columns if clean_name(column.name, ()) == field.name), None),
    )
    for lookup in lookups:
        for field in schema:
            column = lookup(field) if field.name not in matched else None
            if column is not None and column.name not in used:
                matched[field.name] = column
                used.add(column.name)
    return matched


def _missing_notes(source: Source, base: Schema, files: Sequence[Inspected]) -> list[str]:
    """Return a note for each undeclared column that earlier files had and a file lacks."""
    matched = [(file.file.name, match_columns(base, file)) for file in files]
    declared = source.schema or ()
    agreed = [field for field in base if not field.name.startswith("_") and field.name not in declared]
    lacking_file = {
        field.raw_name: next((name for name, columns in matched if field.name not in columns), None) for field in agreed
    }
    return [
        f"Column '{column}' is missing in '{name}' and null there." for column, name in lacking_file.items() if name is not None
    ]


def _optional(field: Field) -> Field:
    return Field(field.name, field.type, True, field.raw, field.unit, field.label, field.description, False)


def _missing_column_problem(source: Source, schema: Schema, field: Field, file: Inspected, unmatched: list[str]) -> SourceProblem:
    near = nearest(field.raw_name, unmatched)
    column_names = ", ".join(f"'{name}'" for name in file.physical.names[:20])
    if near:
        fix = f"If '{near}' is the same column renamed, call it '{field.raw_name}' in the file or declare raw='{near}'."
    elif file.physical.format == "csv" and len(unmatched) == len(file.physical.columns) == len(schema.fields):
        fix = "The first line looks like data: if the file has no header, pass header=False."
    else:
        fix = f"It has {column_names}. If files may lack it, declare '{field.name}' with required=False."
    return SourceProblem(
        f"'{file.file.name}' lacks the column '{field.raw_name}' of source '{source.name}'.",
        nearest=near, fix=fix, where=_where(source), file=file.file.name, column=field.raw_name, source=source.name,
    )  # fmt: skip


def _lossy_problem(source: Source, field: Field, column: PhysicalColumn, file: Inspected, declared: bool) -> SourceProblem:
    how_known = "declared" if declared else "published"
    if column.type == "unsupported":
        sentence = f"'{file.file.name}': column '{column.name}' is {column.native_type}, which no table column can hold."
        fix = "Write it in another type, or leave it out of the schema."
    else:
        sentence = (
            f"'{file.file.name}': column '{column.name}' is {column.native_type} in the file and {how_known} as {field.type};"
            " this conversion can lose values."
        )
        fitting = "string" if column.type == "text" else general(column.type)
        fix = f"Declare '{field.name}' as '{fitting}' in the schema of source '{source.name}'" + (
            ", and convert it in a table." if declared else "."
        )
    return SourceProblem(
        sentence,
        fix=fix,
        where=_where(source),
        file=file.file.name,
        column=column.name,
        have=column.native_type,
        want=field.type,
        source=source.name,
    )


def _closed_schema_problem(source: Source, base: Schema, file: Inspected, column: PhysicalColumn) -> SourceProblem:
    return SourceProblem(
        f"'{file.file.name}' has the column '{column.name}' ({column.native_type}), which the closed schema of source '{source.name}' does not have.",
        nearest=nearest(column.name, [field.raw_name for field in base]),
        fix="Declare it, or accept new columns with open=True.",
        where=_where(source), file=file.file.name, column=column.name, source=source.name,
    )  # fmt: skip


def _incompatible_problem(column: str, type_: str, file: str, other_type: str, other_file: str) -> SourceProblem:
    return SourceProblem(
        f"Column '{column}' is {type_} in '{file}' and {other_type} in '{other_file}'; no type holds both without loss.",
        fix=f"Declare '{column}' in the source's schema, or write the files with the same type.",
        file=other_file, column=column,
    )  # fmt: skip


def _where(source: Source) -> str | None:
    return str(source.where) if source.where else None
