"""Landed files → one typed frame that keeps the source's schema."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.errors import DeclarationProblem, SourceProblem, nearest
from caudal.lake.away import answering
from caudal.lake.place import local
from caudal.spec.images import COLUMNS, Images
from caudal.spec.node import Source
from caudal.spec.schema import Schema
from caudal.stages.ingest.contract import base_of, bind, check_present, settle, unknown_columns
from caudal.stages.ingest.packed import ARCHIVE_OPTIONS, needs_unpacking, unpacked
from caudal.stages.ingest.physical import Inspected, Options, Physical
from caudal.stages.ingest.raw import FORMATS, WORKBOOKS, RawFile, format_of
from caudal.stages.ingest.widen import common

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_AT_ONCE = 8


@dataclass(frozen=True)
class Read:
    """What was read.

    Parameters
    ----------
    frame : DataFrame, the schema's columns, ``_file`` (first 16 hex digits of the file's SHA-256), ``_format_errors`` (array of
        reasons, null for a row that keeps its format) and ``_raw`` (JSON of the row as it came, null for such a row)
    schema : Schema, what was asked for, with the new columns that an open schema let in
    notes : what a reader of the run should know: new columns, names matched loosely, columns left out
    """

    frame: DataFrame
    schema: Schema
    notes: list[str] = field(default_factory=list)


def read(
    spark: SparkSession,
    files: Sequence[RawFile],
    source: Source,
    *,
    known: Schema | None = None,
    tz: str = "UTC",
    scratch: Path | None = None,
) -> Read:
    """Return the rows of landed files in the source's schema.

    Parameters
    ----------
    known : Schema, optional, of the table that was published from earlier files
    tz : str, the product's time zone: instants become its wall time where wall time is declared
    scratch : Path, optional, a folder for what has to be unpacked first; it must stay until the frame's rows are written

    Raises
    ------
    SourceProblem : a file is broken, lacks a required column, or changes a type so that values could be lost; the file is named
    """
    if isinstance(source.connection, Images):
        from caudal.stages.ingest.images import frame

        return Read(frame(spark, files, source.connection.max_pixels), COLUMNS)
    parts = _parts(files, getattr(source.connection, "options", {}), scratch)
    try:
        return _read(spark, [part for part, _ in parts], source, known, tz)
    except SourceProblem as error:
        # A sheet or a member is named in the sentence; what was landed, and is refused, is the whole file.
        error.facts["file"] = {part.name: whole.name for part, whole in parts}.get(
            error.facts.get("file", ""), error.facts.get("file")
        )
        if error.facts["file"] is None:
            del error.facts["file"]
        raise


def _read(spark: SparkSession, files: Sequence[RawFile], source: Source, known: Schema | None, tz: str) -> Read:
    options = _options(source, files)
    inspected = _inspect(spark, files, source, known, options)
    base = base_of(source, known)
    if base is not None:
        for group in _groups(inspected):
            check_present(source, base, group[0])
    schema, notes = settle(source, base, inspected, _guesses(spark, inspected, base, options, tz))
    frames = []
    for group in _groups(inspected):
        takes, loose = bind(source, schema, group[0])
        used = [take.column for take in takes if take.column is not None and take.rule != "null"]
        raw = _format(group[0].physical.format).frame(spark, [one.file for one in group], group[0].physical, used)
        frames.append(_typed(raw, takes, [column.name for column in used], options, tz))
        notes += loose
    if not frames:
        frames.append(_none(spark, source, schema))
    notes = [*(note for one in inspected for note in one.notes), *notes]
    return Read(reduce(lambda above, below: above.union(below), frames), schema, list(dict.fromkeys(notes)))


def _parts(files: Sequence[RawFile], options: Options, scratch: Path | None) -> list[tuple[RawFile, RawFile]]:
    """Return what the files are made of, each part with its file: members of archives, sheets of workbooks, else the file itself."""

    def parts(file: RawFile) -> list[tuple[RawFile, RawFile]]:
        if not file.path.name.startswith(file.sha256[:16]):
            raise ValueError(f"{file.path} is not named by its hash {file.sha256[:16]}…; rows could not name their file")
        plain = [file]
        if needs_unpacking(file, options) or file.path.suffix in WORKBOOKS or "records" in options:
            plain = [replace(file, path=local(file.path, folder))]
        if needs_unpacking(file, options):
            plain = unpacked(plain[0], options, folder)
        found: list[RawFile] = []
        for one in plain:
            format = _format(format_of(one.name, one.format))
            found += format.parts(one, options, folder) if hasattr(format, "parts") else [one]
        return [(one, file) for one in found]

    folder = scratch or _lasting()
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return [pair for some in threads.map(parts, files) for pair in some]


@cache
def _lasting() -> Path:
    """Return a folder that lasts as long as this process: frames are read later than they are made."""
    folder = tempfile.TemporaryDirectory(prefix="caudal-unpacked-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _inspect(
    spark: SparkSession, files: Sequence[RawFile], source: Source, known: Schema | None, options: Options
) -> list[Inspected]:
    declared = source.schema or known
    expected = tuple(one.raw_name for one in declared) if declared else ()

    def inspect(file: RawFile) -> Inspected:
        try:
            with answering(file.path):
                found: Inspected = _format(format_of(file.name, file.format)).inspect(spark, file, options, expected)
        except OSError as error:
            raise SourceProblem(f"'{file.name}' cannot be read: {error.strerror or error}.", file=file.name) from None
        return found

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return list(threads.map(inspect, files))


def _guesses(spark: SparkSession, inspected: list[Inspected], base: Schema | None, options: Options, tz: str) -> dict[str, str]:
    """Return the types of text columns that nobody declared; without any, no data is touched."""
    from caudal.stages.ingest.infer import Counts, count, decide

    if base is not None and not base.open:
        return {}
    found: dict[str, list[Counts]] = {}
    told: dict[str, str] = {}
    for group in _groups(inspected):
        unknown = [column for column in unknown_columns(base, group[0]) if column.type == "text"]
        for column in unknown:
            if column.guess:
                told[column.name] = common(told.get(column.name, column.guess), column.guess) or "string"
        unknown = [column for column in unknown if not column.guess]
        if unknown:
            physical = group[0].physical
            frame = _format(physical.format).frame(spark, [one.file for one in group], physical, unknown)
            for name, counts in count(frame, [column.name for column in unknown], options, tz).items():
                found.setdefault(name, []).append(counts)
    counted = {name: decide(counts) for name, counts in found.items()}
    return told | {name: common(told.get(name, type), type) or "string" for name, type in counted.items()}


def _groups(inspected: list[Inspected]) -> list[list[Inspected]]:
    """Return the files by what they say of themselves, so that a thousand equal ones are one scan."""
    groups: dict[Physical, list[Inspected]] = {}
    for one in inspected:
        groups.setdefault(one.physical, []).append(one)
    return list(groups.values())


def _format(format: str) -> Any:
    return import_module(f"caudal.stages.ingest.formats.{format}")


def _typed(raw: DataFrame, takes: Any, names: list[str], options: Options, tz: str) -> DataFrame:
    from caudal.stages.ingest.cast import typed

    return typed(raw, takes, names, options, tz)


def _none(spark: SparkSession, source: Source, schema: Schema) -> DataFrame:
    from caudal.stages.ingest.cast import spark_type

    if not schema.fields:
        raise SourceProblem(
            f"Source '{source.name}' has no file yet and no declared schema.", fix="Declare its schema, or deliver a file."
        )
    columns = [f"`{one.name}` {spark_type(one.type)}" for one in schema]
    return spark.createDataFrame([], ", ".join([*columns, "_file string", "_format_errors array<string>", "_raw string"]))


def _options(source: Source, files: Sequence[RawFile]) -> Options:
    """Return the connection's reader options, each known to a format that its files have."""
    options: Options = getattr(source.connection, "options", {})
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
