"""Read landed files into one typed frame with the source's schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.declarations.images import COLUMNS, Images
from caudal.declarations.node import Source
from caudal.declarations.schema import Schema
from caudal.engine.capability import Capability
from caudal.engine.choice import can
from caudal.engine.settings import WIDE_COLUMNS
from caudal.errors import DeclarationProblem, SourceProblem, nearest
from caudal.kinds import FORMATS
from caudal.stages.ingest import forms
from caudal.stages.ingest.added_columns import AddedColumn, Outgrown, rename_notes, retype_notes
from caudal.stages.ingest.cast import cast_columns, spark_type
from caudal.stages.ingest.contract import (
    agreed_schema,
    bind_columns,
    check_present,
    find_added_columns,
    match_columns,
    resolve_schema,
    unknown_columns,
)
from caudal.stages.ingest.formats import csv, csv_as_parquet
from caudal.stages.ingest.forms import ColumnForms, TextColumns
from caudal.stages.ingest.images import image_frame
from caudal.stages.ingest.infer import of_cells, possible_types
from caudal.stages.ingest.named_files import process_folder
from caudal.stages.ingest.packed import ARCHIVE_OPTIONS, needs_unpacking, unpack_file
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn
from caudal.stages.ingest.raw import RawFile, format_of
from caudal.storage.place import local
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    from types import ModuleType

    from pyspark.sql import DataFrame, SparkSession

    from caudal.stages.ingest.contract import ColumnBinding

_AT_ONCE = 8
_SMALL_BYTES = 4 << 20
_SURVEYED_BYTES = 64 << 20  # of files that are surveyed first, so that all columns are one step of the plan


@dataclass(frozen=True)
class ReadResult:
    """The result of reading.

    Parameters
    ----------
    frame : DataFrame, the schema's columns, ``_file`` (first 16 hex digits of the file's SHA-256), ``_format_errors`` (array of
        reasons, null for a row without format errors) and ``_raw`` (JSON of the original row, null for such a row)
    schema : Schema, the declared one, with the new columns that an open schema accepts
    notes : for the reader of the run: new columns, names matched loosely, columns left out
    added_columns : the undeclared columns, with the facts that decide their names and types; pass them to the next reading
    """

    frame: DataFrame
    schema: Schema
    notes: list[str] = field(default_factory=list)
    added_columns: tuple[AddedColumn, ...] = ()


def read_files(
    spark: SparkSession,
    files: Sequence[RawFile],
    source: Source,
    *,
    published: Schema | None = None,
    added_columns: Sequence[AddedColumn] | None = None,
    tz: str = "UTC",
    scratch: Path | None = None,
    data: Path | None = None,
) -> ReadResult:
    """Return the rows of landed files in the source's schema.

    Parameters
    ----------
    published : Schema, optional, of the table published from earlier files
    added_columns : optional, the undeclared columns from reading those files; without it, names and types of
        ``published`` are kept
    tz : str, the product's time zone: instants become its wall time where wall time is declared
    data : Path, optional, the folder that relative patterns refer to
    scratch : Path, optional, a folder for unpacked files; it must exist until the frame's rows are written

    Raises
    ------
    SourceProblem : a file is broken, lacks a required column, or changes a type so that values could be lost; the error names the file
    Outgrown : these files contradict names or types in ``added_columns``: read the earlier files again, with these and without ``published``
    """
    if isinstance(source.connection, Images):
        return ReadResult(image_frame(spark, files, source.connection, data), COLUMNS)
    parts = _parts(files, getattr(source.connection, "options", {}), scratch)
    try:
        return _read(spark, [part for part, _ in parts], source, published, added_columns, tz, scratch or process_folder())
    except SourceProblem as error:
        # The sentence names a sheet or a member, but the whole landed file is refused.
        error.facts["file"] = {part.name: landed_file.name for part, landed_file in parts}.get(
            error.facts.get("file", ""), error.facts.get("file")
        )
        if error.facts["file"] is None:
            del error.facts["file"]
        raise


def _read(
    spark: SparkSession, files: Sequence[RawFile], source: Source, published: Schema | None, earlier_columns: Sequence[AddedColumn] | None, tz: str, scratch: Path
) -> ReadResult:  # fmt: skip
    options = _options(source, files)
    inspected = _inspect(spark, files, source, published, options, scratch)
    base = source.schema if earlier_columns is not None else agreed_schema(source, published)
    if base is not None:
        for group in _groups(inspected):
            check_present(source, base, group[0])
    added_columns = find_added_columns(base, inspected, earlier_columns or ())
    if notes := rename_notes(earlier_columns or (), added_columns):
        raise Outgrown(notes)
    texts = {group[0].physical: _survey_texts(spark, group, base, options, tz) for group in _groups(inspected)}
    added_columns = _infer_types(inspected, texts, added_columns, earlier_columns or ())
    schema, notes = resolve_schema(source, base, inspected, added_columns, published if earlier_columns is not None else None)
    frames = []
    for group in _groups(inspected):
        bindings, bind_notes = bind_columns(source, schema, group[0], added_columns, base)
        used = [binding.column for binding in bindings if binding.column is not None and binding.rule != "null"]
        raw = _format(group[0].physical.format).frame(spark, [file.file for file in group], group[0].physical, used)
        frames.append(_cast(raw, bindings, [column.name for column in used], options, tz, texts[group[0].physical]))
        notes += bind_notes
    if not frames:
        frames.append(_empty_frame(spark, source, schema))
    notes = [*(note for file in inspected for note in file.notes), *notes]
    return ReadResult(
        reduce(lambda upper, lower: upper.union(lower), frames), schema, list(dict.fromkeys(notes)), tuple(added_columns)
    )


def _parts(files: Sequence[RawFile], options: Options, scratch: Path | None) -> list[tuple[RawFile, RawFile]]:
    """Return the parts of the files, each with its file: members of archives, sheets of workbooks, else the file itself."""

    def parts(file: RawFile) -> list[tuple[RawFile, RawFile]]:
        if not file.path.name.startswith(file.sha256[:16]):
            raise ValueError(f"{file.path} is not named by its hash {file.sha256[:16]}…; rows could not name their file")
        plain = [file]
        if needs_unpacking(file, options) or _read_from_disk(file) or "records" in options:
            plain = [replace(file, path=local(file.path, folder))]
        if needs_unpacking(file, options):
            plain = unpack_file(plain[0], options, folder)
        parts_: list[RawFile] = []
        for part in plain:
            format = _format(format_of(part.name, part.format))
            parts_ += format.parts(part, options, folder) if hasattr(format, "parts") else [part]
        return [(part, file) for part in parts_]

    folder = scratch or process_folder()
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return [pair for pairs in threads.map(parts, files) for pair in pairs]


def _inspect(
    spark: SparkSession, files: Sequence[RawFile], source: Source, published: Schema | None, options: Options, scratch: Path
) -> list[Inspected]:
    declared = source.schema or published
    expected = tuple(field.raw_name for field in declared) if declared else ()

    def inspect(file: RawFile) -> Inspected:
        format = _format(format_of(file.name, file.format))
        scratch_argument = {"scratch": scratch} if getattr(format, "NEEDS_SCRATCH", False) else {}
        try:
            with translate_storage_errors(file.path):
                inspected: Inspected = format.inspect(spark, file, options, expected, **scratch_argument)
        except OSError as error:
            raise SourceProblem(f"'{file.name}' cannot be read: {error.strerror or error}.", file=file.name) from None
        return inspected

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return list(threads.map(inspect, files))


def _survey_texts(spark: SparkSession, group: list[Inspected], base: Schema | None, options: Options, tz: str) -> TextColumns:
    """Return facts about the values of text columns; where all columns are declared and few, no data is read."""
    file = group[0]
    added_columns = [column for column in unknown_columns(base, file) if column.type == "text"] if base is None or base.open else []
    agreed = [column for column in (match_columns(base, file).values() if base else ()) if column.type == "text"]
    by_values = [column for column in added_columns if not column.guess]
    column_forms: dict[str, ColumnForms] = {}
    wide = len(added_columns) + len(agreed) > WIDE_COLUMNS
    surveyed = by_values
    if not can(spark, Capability.TEXT_PARSING) or (wide and (by_values or _bytes(group) < _SURVEYED_BYTES)):
        surveyed = [*added_columns, *agreed]
    if surveyed and forms.can_survey(spark, options):
        column_forms = _column_forms(spark, group, surveyed, options)
    possible = {column.name: of_cells(column.guess) for column in added_columns if column.guess}
    if by_values:
        frame = _format(file.physical.format).frame(spark, [part.file for part in group], file.physical, by_values)
        names = [column.name for column in by_values]
        possible |= possible_types(frame, names, options, tz, small=_is_small(group), column_forms=column_forms or None)
    return TextColumns(possible, column_forms)


def _column_forms(
    spark: SparkSession, group: list[Inspected], columns: list[PhysicalColumn], options: Options
) -> dict[str, ColumnForms]:
    """Return the forms of text columns; small files that Arrow reads like Spark are surveyed without Spark, which needs seconds to plan."""
    format, files, physical = _format(group[0].physical.format), [file.file for file in group], group[0].physical
    names = [column.name for column in columns]
    if format is csv and _bytes(group) < _SURVEYED_BYTES:
        try:
            return forms.of_batches(csv_as_parquet.csv_batches(files, physical, columns), names, options)
        except csv_as_parquet.UnlikeSpark:
            pass
    return forms.of_frame(format.frame(spark, files, physical, columns), names, options)


def _infer_types(
    inspected: list[Inspected],
    texts: Mapping[Physical, TextColumns],
    added_columns: Sequence[AddedColumn],
    earlier_columns: Sequence[AddedColumn],
) -> list[AddedColumn]:
    """Return the undeclared columns with the types that their texts have.

    Raises
    ------
    Outgrown : columns of earlier files have another type now
    """
    by_raw = {raw: column.name for column in added_columns for raw in column.raw}
    possible: dict[str, frozenset[str]] = {}
    file_names: dict[str, str] = {}
    for group in _groups(inspected):
        for raw, types in texts[group[0].physical].possible.items():
            name = by_raw[raw]
            possible[name] = possible.get(name, types) & types
            file_names.setdefault(name, group[0].file.name)
    if notes := retype_notes(earlier_columns, possible, file_names):
        raise Outgrown(notes)
    earlier_types = {column.name: column.possible for column in earlier_columns}
    return [
        replace(column, possible=_intersection(earlier_types.get(column.name), possible.get(column.name)))
        for column in added_columns
    ]


def _is_small(group: list[Inspected]) -> bool:
    """Return whether trying all types on all values is cheaper than reading the files twice."""
    return len(group) < 10 and _bytes(group) < _SMALL_BYTES


def _bytes(group: list[Inspected]) -> float:
    """Return the total size of files; infinite where they are remote."""
    return sum(file.file.path.stat().st_size if isinstance(file.file.path, Path) else math.inf for file in group)


def _intersection(earlier: frozenset[str] | None, current: frozenset[str] | None) -> frozenset[str] | None:
    return current if earlier is None else earlier if current is None else earlier & current


def _groups(inspected: list[Inspected]) -> list[list[Inspected]]:
    """Return the files grouped by their physical columns, so that a thousand equal ones are one scan."""
    groups: dict[Physical, list[Inspected]] = {}
    for file in inspected:
        groups.setdefault(file.physical, []).append(file)
    return list(groups.values())


def _format(format: str) -> ModuleType:
    module: ModuleType = FORMATS[format]
    return module


def _read_from_disk(file: RawFile) -> bool:
    """Return whether a file's library reads files of this machine alone."""
    return any(file.path.suffix in format.ENDINGS for format in FORMATS.values() if getattr(format, "READ_FROM_DISK", False))


def _cast(
    raw: DataFrame, bindings: Sequence[ColumnBinding], names: list[str], options: Options, tz: str, texts: TextColumns
) -> DataFrame:
    return cast_columns(raw, bindings, names, options, tz, texts)


def _empty_frame(spark: SparkSession, source: Source, schema: Schema) -> DataFrame:
    if not schema.fields:
        raise SourceProblem(
            f"Source '{source.name}' has no file yet and no declared schema.", fix="Declare its schema, or deliver a file."
        )
    columns = [f"`{column.name}` {spark_type(column.type)}" for column in schema]
    return spark.createDataFrame([], ", ".join([*columns, "_file string", "_format_errors array<string>", "_raw string"]))


def _options(source: Source, files: Sequence[RawFile]) -> Options:
    """Return the connection's reader options after checking that a format of its files knows each of them."""
    options: Options = getattr(source.connection, "options", {})
    if options.get("decimal", ".") not in (".", ","):
        raise DeclarationProblem(
            f"Source '{source.name}' passes decimal={options['decimal']!r}.",
            fix="Pass ',' where numbers have a decimal comma, or leave it out.",
            where=str(source.where) if source.where else None,
        )
    if options:
        formats = {format_of(file.name, file.format) for file in files} or set(FORMATS)
        allowed = sorted({*ARCHIVE_OPTIONS, *(option for format in formats for option in _format(format).OPTIONS)})
        for option in options:
            if option not in allowed:
                raise DeclarationProblem(
                    f"Source '{source.name}' passes the option '{option}', which {' and '.join(sorted(formats))} files do not have.",
                    nearest=nearest(option, allowed),
                    fix=f"Use {', '.join(allowed)}." if allowed else "Leave it out.",
                    where=str(source.where) if source.where else None,
                    option=option,
                )  # fmt: skip
    return options
