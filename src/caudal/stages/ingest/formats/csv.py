"""CSV: Spark reads every value as text and converts it to its type afterwards, so that each bad value is reported with its row."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.choice import can
from caudal.engine.files import literal_path
from caudal.errors import SourceProblem
from caudal.stages.ingest.formats import csv_as_parquet
from caudal.stages.ingest.formats.bytes import TextSurvey, survey_text
from caudal.stages.ingest.formats.csv_as_parquet import SHOWN, holds_something, write_records
from caudal.stages.ingest.formats.csv_records import UNCLOSED, Dialect, Record, split_records
from caudal.stages.ingest.formats.java_encodings import java_encoding
from caudal.stages.ingest.named_files import parquet_rows
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, check_whole
from caudal.storage.place import reader, spark_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FORMAT, ORDER, ENDINGS = "csv", 11, (".csv", ".tsv", ".txt")
IS_TEXT = True
OPTIONS = (
    "separator",
    "encoding",
    "quote",
    "header",
    "null",
    "multiline",
    "comment",
    "decimal",
    "timestamp_format",
    "date_format",
)
SEPARATORS = (",", ";", "\t", "|", ":")
_SAMPLE = 50
NEEDS_SCRATCH = True


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...], *, scratch: Path) -> Inspected:
    """Return a file's columns and dialect after one pass over its bytes.

    Parameters
    ----------
    expected : column names that the file should have; they reveal a wrong separator, and name the columns of a file without header
    scratch : Path, a folder for the records of a file that Spark would misread
    """
    check_whole(file.path, "csv", file.name)
    separator = str(options.get("separator") or ("\t" if ".tsv" in file.name.lower() else ","))
    encoding, quote = str(options.get("encoding") or "utf-8"), _quote(options)
    survey = survey_text(file, encoding, quote, separator, bounded=True)
    dialect = Dialect(separator, quote, str(options.get("comment") or ""), options.get("multiline") is not False)
    rows = _rows(survey.head, dialect)
    if not rows:
        raise SourceProblem(f"'{file.name}' holds no line.", fix="Deliver the file again, or move it away.", file=file.name)
    notes: list[str] = []
    trailing = False
    if options.get("header", True):
        names, data = [name.strip() for name in rows[0]], rows[1:]
        _check_separator(file, survey, names, dialect, expected)
        if data and {len(row) for row in data} == {len(names) + 1}:
            names, trailing = _extra_field(file, names, data, notes)
        names = [name or f"column_{i}" for i, name in enumerate(names)]
    else:
        names = list(expected) or [f"column_{i}" for i in range(len(rows[0]))]
        trailing = len(rows[0]) == len(names) + 1 and _end_empty(rows, len(rows[0])) > len(rows) / 2
        if trailing:
            notes.append(_trailing_note(file, separator))
        if len(rows[0]) != len(names) + trailing:
            _check_separator(file, survey, rows[0], dialect, expected)
            raise SourceProblem(
                f"'{file.name}' has {len(rows[0])} fields in its first line; {len(names)} columns are declared and the file has no header.",
                fix="Declare a column for each field, in the file's order.", file=file.name,
            )  # fmt: skip
    check_names(file, tuple(names))
    dialect_options = {
        "sep": separator,
        "encoding": java_encoding(encoding) or encoding,
        "quote": quote or "",
        "header": str(bool(options.get("header", True))).lower(),
        "comment": dialect.comment,
        "multiLine": str(survey.lines.spans).lower(),
        "bom": str(survey.bom).lower(),
        "trailing": str(trailing).lower(),
    }
    columns = tuple(PhysicalColumn(name, "text", "text") for name in names)
    if _is_plain(survey, dialect, encoding):
        return Inspected(file, Physical("csv", columns, tuple(sorted(dialect_options.items()))), tuple(notes))
    faults, target = write_records(file, encoding, dialect, len(names), dialect_options["header"] == "true", trailing, scratch)
    if faults:
        notes.append(_fault_note(file, faults))
    physical = Physical("csv", columns, (("recorded", "true"),))
    return Inspected(replace(file, path=target), physical, tuple(notes))


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as text in ``_r0``, ``_r1`` …, with ``_file`` and ``_line``: the text of a line that is not a record of the file's width."""
    # Columns get their final names while they are read: renaming thousands takes seconds.
    from pyspark.sql import functions as F

    texts = {column.name: f"_r{i}" for i, column in enumerate(used)}
    names = [texts.get(column.name, f"_c{i}") for i, column in enumerate(physical.columns)]
    paths = [literal_path(spark, spark_path(file.path)) for file in files]
    name = F.substring("_metadata.file_name", 1, 16).alias("_file")
    dialect_options = dict(physical.dialect)
    if "recorded" not in dialect_options and not can(spark, Capability.CORRUPT_RECORDS):
        return csv_as_parquet.text_frame(spark, files, physical, used)
    if "recorded" in dialect_options:
        places = {column.name: i for i, column in enumerate(physical.columns)}
        recorded = (f"c{places[column.name]} AS _r{i}" for i, column in enumerate(used))
        ddl = ", ".join(f"c{i} string" for i in range(len(names))) + ", _line string, _fault string, _number bigint"
        rows, name = parquet_rows(spark, files, ddl)
        return rows.select("*", name).selectExpr(*recorded, "_line", "_fault", "_number", "_file")
    bom, trailing, encoding = (
        dialect_options.pop("bom") == "true",
        dialect_options.pop("trailing") == "true",
        dialect_options["encoding"],
    )
    if encoding not in ("UTF-8", "ISO-8859-1", "US-ASCII"):
        spark.conf.set("spark.sql.legacy.javaCharsets", "true")  # otherwise Spark accepts only a few charsets
    # All columns are parsed, whichever are used: Spark counts only the fields that it parses.
    ddl = ", ".join(f"{name} string" for name in (*names, *(["_beyond"] if trailing else []), "_line"))
    options: dict[str, str | bool | int | None] = {
        **dialect_options, "escape": dialect_options["quote"], "mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_line", "columnPruning": False,
        "maxCharsPerColumn": -1, "maxColumns": max(20480, len(names) + 2), "enforceSchema": True,
        "emptyValue": "", "nullValue": "\0",  # for '""' and for an empty field. If both were the same, both would be null; no plain file holds the latter
    }  # fmt: skip
    rows = reader(spark).schema(ddl).options(**options).csv(paths).select("*", name)
    # Spark refuses a query that needs only the column of corrupt lines, so the expression refers to a text column as well.
    none = F.when(F.length(names[0]) < 0, F.col(names[0]))
    rows = rows.withColumn("_line", F.coalesce(F.col("_line"), none))
    if trailing:  # text after the last separator is one field too many
        beyond = F.when(F.length("_beyond") > 0, F.array_join(F.array(*names, "_beyond"), dialect_options["sep"], ""))
        rows = rows.withColumn("_line", F.coalesce(F.col("_line"), beyond))
    if bom and dialect_options["header"] == "false" and names[0] in texts.values():
        rows = rows.withColumn(names[0], F.ltrim(names[0], F.lit("\ufeff")))
    return rows.drop("_beyond", *(name for name in names if name.startswith("_c")))


def _is_plain(survey: TextSurvey, dialect: Dialect, encoding: str) -> bool:
    """Return whether Spark's reader and `split_records` certainly split the file into the same records."""
    lines = survey.lines
    if not lines.well_formed or lines.has_nul or lines.blank_fields or survey.bare_returns or "\r" in lines.kinds:
        return False
    if lines.spans and (lines.kinds != {"\n"} or dialect.comment or not dialect.spans):
        return False  # Spark converts other line ends within quotes to plain ones
    if java_encoding(encoding) is None:
        return False
    try:
        return all(sign.encode(encoding) == sign.encode("ascii") for sign in ('"', "\n", "\r", ",", "0"))
    except UnicodeEncodeError:
        return False


def _extra_field(file: RawFile, names: list[str], data: list[list[str]], notes: list[str]) -> tuple[list[str], bool]:
    """Return the names for rows that have one field more than the header, and whether that field is an empty one after the last separator."""
    empty = _end_empty(data, len(names) + 1)
    if empty > len(data) / 2:  # a row with a value there has a field too many
        notes.append(_trailing_note(file, None))
        return names, True
    first_fields = [row[0] for row in data]
    if not empty and len(set(first_fields)) == len(first_fields) and all(first_fields):
        notes.append(f"'{file.name}': the header has one name too few; the first column is taken for a row index, 'row_index'.")
        return ["row_index", *names], False
    raise SourceProblem(
        f"'{file.name}' has {len(names)} names in its header and {len(names) + 1} fields in its rows, and the first field is no row index.",
        fix="Complete the header, or pass header=False and declare the columns.",
        file=file.name,
    )


def _end_empty(rows: list[list[str]], width: int) -> int:
    return sum(len(row) == width and not row[-1] for row in rows)


def _trailing_note(file: RawFile, separator: str | None) -> str:
    separator_text = "a separator" if separator is None else repr(separator)
    return f"'{file.name}': rows end with {separator_text} after the last column; the empty field after it is left out."


def _fault_note(file: RawFile, faults: list[Record]) -> str:
    lines = ", ".join(str(record.line) for record in faults[: SHOWN - 1]) + (" …" if len(faults) == SHOWN else "")
    if all(record.fault == UNCLOSED for record in faults):
        return f"'{file.name}' has quotes that are not closed, on line {lines}; those rows are format errors."
    return f"'{file.name}' has lines that are not rows: {lines}; they are format errors."


def _quote(options: Options) -> str | None:
    declared = options.get("quote", '"')
    return str(declared) if declared else None


def _rows(text: str, dialect: Dialect) -> list[list[str]]:
    """Return the first rows, read as text."""
    rows: list[list[str]] = []
    for record in split_records(io.StringIO(text, newline=""), dialect):
        if not record.fault and (rows or holds_something(record)):
            rows.append([value or "" for value in record.fields])
        if len(rows) > _SAMPLE:
            break
    return rows


def _check_separator(file: RawFile, survey: TextSurvey, names: list[str], dialect: Dialect, expected: tuple[str, ...]) -> None:
    """Raise SourceProblem where the line is one field and another separator would split it sensibly."""
    if len(names) > 1 or len(expected) == 1:
        return
    candidates = {}
    for separator in SEPARATORS:
        rows = _rows(survey.head, replace(dialect, separator=separator))
        width = len(rows[0]) if rows else 0
        if separator == dialect.separator or width < 2:
            continue
        matching_names = len({name.strip().casefold() for name in rows[0]} & {name.casefold() for name in expected})
        regular_share = sum(len(row) == width for row in rows) / len(rows)
        if matching_names > 1 or (not expected and regular_share == 1 and len(rows) > 1) or (expected and width == len(expected)):
            candidates[separator] = (matching_names, regular_share, width)
    if candidates:
        best = max(candidates, key=lambda separator: candidates[separator])
        raise SourceProblem(
            f"'{file.name}' has one column when it is separated by {dialect.separator!r}; separated by {best!r} it has {candidates[best][2]}.",
            fix=f"Pass separator={best!r} to the connection.",
            file=file.name, separator=best,
        )  # fmt: skip
