"""CSV: every value is read as text, by Spark, and made into its type afterwards, so that each bad value is known by row."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from caudal.errors import SourceProblem
from caudal.lake.place import reader, spark_path
from caudal.stages.ingest.formats.bytes import Looked, look, opened
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, check_whole

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

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
SPARKS_ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "iso8859-1": "ISO-8859-1",
    "ascii": "US-ASCII",
    "cp1252": "windows-1252",
}


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...]) -> Inspected:
    """Return a file's columns and dialect after one pass over its bytes.

    Parameters
    ----------
    expected : column names that the file should have; they tell a wrong separator, and name the columns of a file without header
    """
    check_whole(file.path, "csv", file.name)
    separator = str(options.get("separator") or ("\t" if ".tsv" in file.name.lower() else ","))
    encoding, quote = str(options.get("encoding") or "utf-8"), _quote(options)
    looked = look(file, encoding, quote)
    if not looked.head.strip():
        raise SourceProblem(f"'{file.name}' holds no line.", fix="Deliver the file again, or move it away.", file=file.name)
    rows = _rows(looked.head, separator, quote, options)
    notes: list[str] = []
    if options.get("header", True):
        names, data = [name.strip() for name in rows[0]], rows[1:]
        _check_separator(file, looked, names, separator, quote, options, expected)
        if data and {len(row) for row in data} == {len(names) + 1}:
            notes.append(f"'{file.name}': the header has one name too few; the first column is taken for a row index, 'row_index'.")
            names = ["row_index", *names]
        names = [name or f"column_{i}" for i, name in enumerate(names)]
    else:
        names = list(expected) or [f"column_{i}" for i in range(len(rows[0]))]
        if len(rows[0]) != len(names):
            _check_separator(file, looked, rows[0], separator, quote, options, expected)
            raise SourceProblem(
                f"'{file.name}' has {len(rows[0])} fields in its first line; {len(names)} columns are declared and the file has no header.",
                fix="Declare a column for each field, in the file's order.", file=file.name,
            )  # fmt: skip
    check_names(file, tuple(names))
    dialect = {
        "sep": separator,
        "encoding": SPARKS_ENCODINGS.get(codecs.lookup(encoding).name, encoding),
        "quote": quote or "",
        "header": str(bool(options.get("header", True))).lower(),
        "comment": str(options.get("comment") or ""),
        "multiLine": str(_over_lines(file, looked, encoding, separator, quote, options, len(names))).lower(),
        "bom": str(looked.bom).lower(),
    }
    if looked.odd_lines and dialect["multiLine"] == "false":
        dialect["stray"] = "true"
        notes.append(f"'{file.name}' has quotes that are not closed on their line; those rows are format errors.")
    columns = tuple(PhysicalColumn(name, "text", "text") for name in names)
    return Inspected(file, Physical("csv", columns, tuple(sorted(dialect.items()))), tuple(notes))


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as text in ``_r0``, ``_r1`` …, with ``_file`` and ``_line``: the line where it has too few or too many fields."""
    from pyspark.sql import functions as F

    said = dict(physical.dialect)
    bom, stray, encoding = said.pop("bom") == "true", said.pop("stray", "false") == "true", said["encoding"]
    if encoding not in ("UTF-8", "ISO-8859-1", "US-ASCII") and not encoding.lower().startswith(("utf-16", "utf-32")):
        spark.conf.set("spark.sql.legacy.javaCharsets", "true")  # otherwise Spark takes no other charset than these
    names = [f"c{i}" for i in range(len(physical.columns))]
    # All columns are parsed, whichever are used: Spark counts fields only in what it parses.
    ddl = ", ".join(f"{name} string" for name in (*names, "_bad"))
    options: dict[str, Any] = {
        **said, "escape": said["quote"], "mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_bad", "columnPruning": False,
        "maxCharsPerColumn": -1, "maxColumns": max(20480, len(names) + 1), "emptyValue": "", "enforceSchema": True,
    }  # fmt: skip
    paths = [spark_path(file.path) for file in files]
    name = F.substring("_metadata.file_name", 1, 16).alias("_file")
    if stray:
        # Read by lines, so that the line is at hand: the reader itself drops an unclosed quote without a word.
        lines = reader(spark).text(paths, lineSep=None).select("value", name)
        header = _header(files, said["header"] == "true")
        lines = (
            lines.where(~F.col("value").isin(header) & (F.trim("value") != "")) if header else lines.where(F.trim("value") != "")
        )
        apart = {
            option: str(value).lower() if isinstance(value, bool) else str(value)
            for option, value in options.items()
            if option != "header"
        }
        parsed = lines.withColumn("_row", F.from_csv("value", ddl, apart))
        unclosed = F.length("value") - F.length(F.replace("value", F.lit(said["quote"]), F.lit("")))
        read = parsed.select(
            "_file",
            *(F.col(f"_row.{one}").alias(one) for one in names),
            F.when(unclosed % 2 == 1, F.col("value")).otherwise(F.col("_row._bad")).alias("_bad"),
        )
    else:
        read = reader(spark).schema(ddl).options(**options).csv(paths).select("*", name)
    at = {column.name: i for i, column in enumerate(physical.columns)}
    taken = [F.col(names[at[column.name]]) for column in used]
    if bom and said["header"] == "false" and used and at[used[0].name] == 0:
        taken[0] = F.ltrim(taken[0], F.lit("\ufeff"))
    return read.select(*(one.alias(f"_r{i}") for i, one in enumerate(taken)), F.col("_bad").alias("_line"), "_file")


def _quote(options: Options) -> str | None:
    said = options.get("quote", '"')
    return str(said) if said else None


def _rows(text: str, separator: str, quote: str | None, options: Options) -> list[list[str]]:
    """Return the first rows, read as text."""
    found = []
    for row in _parsed(io.StringIO(text, newline=""), separator, quote):
        comment = options.get("comment")
        if row and not (len(row) == 1 and not row[0].strip()) and not (comment and row[0].startswith(str(comment))):
            found.append(row)
        if len(found) > _SAMPLE:
            break
    return found


def _parsed(lines: io.TextIOBase, separator: str, quote: str | None) -> Iterator[list[str]]:
    csv.field_size_limit(1 << 30)
    if quote is None:
        return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=separator, quotechar=quote)


def _check_separator(
    file: RawFile,
    looked: Looked,
    names: list[str],
    separator: str,
    quote: str | None,
    options: Options,
    expected: tuple[str, ...],
) -> None:
    """Raise SourceProblem when the line is one field and another separator makes sense of it."""
    if len(names) > 1 or len(expected) == 1:
        return
    fits = {}
    for other in SEPARATORS:
        rows = _rows(looked.head, other, quote, options)
        width = len(rows[0])
        if other == separator or width < 2:
            continue
        known = len({name.strip().casefold() for name in rows[0]} & {name.casefold() for name in expected})
        even = sum(len(row) == width for row in rows) / len(rows)
        if known > 1 or (not expected and even == 1 and len(rows) > 1) or (expected and width == len(expected)):
            fits[other] = (known, even, width)
    if fits:
        best = max(fits, key=lambda other: fits[other])
        raise SourceProblem(
            f"'{file.name}' has one column when it is separated by {separator!r}; separated by {best!r} it has {fits[best][2]}.",
            fix=f"Pass separator={best!r} to the connection.",
            file=file.name, separator=best,
        )  # fmt: skip


def _over_lines(
    file: RawFile, looked: Looked, encoding: str, separator: str, quote: str | None, options: Options, width: int
) -> bool:
    """Return whether values run over several lines; then Spark cannot split the file, so it is asked only where needed."""
    said = options.get("multiline")
    if isinstance(said, bool):
        return said
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")) or looked.bare_returns:
        return True
    if not looked.odd_lines:
        return False
    # A stray quote swallows rows until the next one: only if every row that spans lines has the right width are the quotes meant.
    with opened(file.path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
        reader = _parsed(text, separator, quote)
        try:
            return all(len(row) == width for row in reader if any("\n" in value or "\r" in value for value in row))
        except csv.Error:
            return False


def _header(files: list[RawFile], header: bool) -> list[str]:
    if not header:
        return []
    found = set()
    for file in files:
        with opened(file.path) as raw:
            line = raw.readline().decode("utf-8", "replace").rstrip("\r\n")
            found |= {line, line.removeprefix("\ufeff")}
    return sorted(found)
