"""JSON, one object a line, or arrays and objects over several lines: every value is read as its original text and converted to its type afterwards."""

from __future__ import annotations

import codecs
import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from json.decoder import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.choice import can
from caudal.engine.files import literal_path
from caudal.errors import SourceProblem
from caudal.stages.ingest.formats.bytes import open_plain, survey_text
from caudal.stages.ingest.formats.json_records import extract_records
from caudal.stages.ingest.formats.json_rows import NO_OBJECT, Keys, TextRows, items, line_keys, parse_rows, read_lines, row_batch
from caudal.stages.ingest.named_files import parquet_rows, process_folder
from caudal.stages.ingest.packed import parts_prefix
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, check_whole
from caudal.storage.place import reader, spark_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FORMAT, ORDER, ENDINGS = "json", 12, (".json", ".jsonl", ".ndjson")
IS_TEXT = True
OPTIONS = ("encoding", "null", "timestamp_format", "date_format", "records", "lines")
MOST_KEYS = 10_000
_LOCAL_BYTES = 8 << 20  # the largest file whose keys are collected in this process; Spark's workers collect those of larger ones
_TRIED_LINES = 100
# Encodings whose line feed byte may be part of another character, or whose bytes have another meaning after a shift.
_SHIFTED = ("utf-16", "utf-32", "utf_7", "utf-7", "iso2022", "hz")


def parts(file: RawFile, options: Options, folder: Path) -> list[RawFile]:
    """Return the file, or with ``records=`` a file of the rows at that path, one a line."""
    if "records" not in options:
        return [file]
    check_whole(file.path, "json", file.name)
    survey_text(file, str(options.get("encoding") or "utf-8"), None)
    assert isinstance(file.path, Path)  # a local copy where the lake is remote
    rows = extract_records(file.path.read_text(str(options.get("encoding") or "utf-8-sig")), str(options["records"]), file.name)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{parts_prefix(file)}-records.json"
    if not rows:  # a complete answer without rows
        return []
    target.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return [RawFile(target, file.sha256, file.name, "json")]


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...]) -> Inspected:
    """Return the keys of all objects of a file as columns."""
    check_whole(file.path, "json", file.name)
    encoding = _encoding(options)
    survey = survey_text(file, encoding, None)
    head = survey.head.lstrip()
    if not head:
        raise SourceProblem(f"'{file.name}' holds no line.", fix="Deliver the file again, or move it away.", file=file.name)
    line_end = "\r" if survey.bare_returns else "\n"
    spans_lines = not options.get("lines") and (not _has_lines(encoding) or _runs_over_lines(head, line_end))
    dialect = (("encoding", codecs.lookup(encoding).name), ("line_end", line_end), ("whole", str(spans_lines).lower()))
    all_keys = _keys(spark, file, dict(dialect))
    _check_keys(file, all_keys, head, may_be_none=bool(options.get("lines")))
    names = tuple(sorted(all_keys.names))
    check_names(file, names)
    return Inspected(file, Physical("json", tuple(PhysicalColumn(name, "text", "JSON") for name in names), dialect))


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as text in ``_r0``, ``_r1`` …, with ``_file``, and ``_line`` and ``_fault`` where a line is not a JSON object."""
    dialect = dict(physical.dialect)
    if not can(spark, Capability.FILE_NAMES):
        return _parsed_here(spark, files, dialect, [column.name for column in used])
    read_rows = partial(
        read_lines, names=[column.name for column in used], encoding=dialect["encoding"], spans_lines=dialect["whole"] == "true"
    )
    columns = [*(f"_r{i}" for i in range(len(used))), "_line", "_fault", "_file"]
    return _texts(spark, files, dialect).mapInArrow(read_rows, ", ".join(f"{name} string" for name in columns))


def _parsed_here(spark: SparkSession, files: list[RawFile], dialect: dict[str, str], names: list[str]) -> DataFrame:
    """Return the same rows as `frame`, parsed in this process and written as Parquet: for an engine that does not tell a line's file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    spans_lines, folder = dialect["whole"] == "true", Path(tempfile.mkdtemp(dir=process_folder()))
    columns = [*(f"_r{i}" for i in range(len(names))), "_line", "_fault"]
    parsed_files = []
    for file in files:
        parsed = replace(file, path=folder / f"{parts_prefix(file)}.parquet")
        lines = _lines(file, dialect["encoding"], dialect["line_end"], spans_lines)
        with pq.ParquetWriter(parsed.path, pa.schema([(name, pa.string()) for name in columns])) as writer:
            for rows, _ in parse_rows(lines, spans_lines):
                writer.write_batch(row_batch(rows, names))
        parsed_files.append(parsed)
    rows_of_files, name = parquet_rows(spark, parsed_files, ", ".join(f"{column} string" for column in columns))
    return rows_of_files.select(*columns, name)


def _texts(spark: SparkSession, files: list[RawFile], dialect: dict[str, str]) -> DataFrame:
    """Return the bytes of each line, or of each whole file, and the file's name."""
    from pyspark.sql import functions as F

    paths = [literal_path(spark, spark_path(file.path)) for file in files]
    name = F.substring("_metadata.file_name", 1, 16).alias("_file")
    if dialect["whole"] == "true":
        return reader(spark).format("binaryFile").load(paths).select("content", name)
    return reader(spark).text(paths, lineSep=dialect["line_end"]).select(F.col("value").cast("binary"), name)


def _encoding(options: Options) -> str:
    return "utf-8" if "records" in options else str(options.get("encoding") or "utf-8")


def _has_lines(encoding: str) -> bool:
    """Return whether a text of this encoding can be cut at the byte of a line feed."""
    name = codecs.lookup(encoding).name
    ascii_only = bytes(range(128))
    return not name.startswith(_SHIFTED) and ascii_only.decode(name, "replace") == ascii_only.decode("ascii")


def _runs_over_lines(head: str, line_end: str) -> bool:
    """Return whether documents span lines: the text begins with an array, or neither its first line nor most others are JSON."""
    if head.startswith("["):
        return True
    lines = [line for line in head.split(line_end)[:_TRIED_LINES] if line.strip()]
    rows = TextRows()
    for line in lines:
        rows.add(line)
    valid_lines = sum(reason != NO_OBJECT for reason in rows.faults.values()) + len(rows.values) - len(rows.faults)
    return len(lines) > 1 and 0 in rows.faults and 2 * valid_lines < len(lines) and _continues_below(lines[0].rstrip())


def _continues_below(line: str) -> bool:
    """Return whether an object begins in a line and does not end in it."""
    try:
        return not list(items(line))
    except JSONDecodeError as error:
        return error.pos >= len(line)


def _keys(spark: SparkSession, file: RawFile, dialect: dict[str, str]) -> Keys:
    """Return the keys of all objects of a file.

    Raises
    ------
    SourceProblem : documents span lines, and are not JSON
    """
    encoding, spans_lines = dialect["encoding"], dialect["whole"] == "true"
    all_keys = Keys()
    if not spans_lines and file.path.stat().st_size > _LOCAL_BYTES and can(spark, Capability.FILE_NAMES):
        collect_keys = partial(line_keys, encoding=encoding)
        for row in _texts(spark, [file], dialect).mapInArrow(collect_keys, "keys string").collect():
            names, repeated = json.loads(row["keys"])
            all_keys.names.update(dict.fromkeys(names))
            all_keys.repeated = all_keys.repeated or (tuple(repeated) if repeated else None)
        return all_keys
    try:
        for rows, _ in parse_rows(_lines(file, encoding, dialect["line_end"], spans_lines), spans_lines):
            all_keys.add(rows)
    except JSONDecodeError as error:
        raise SourceProblem(
            f"'{file.name}' is no JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            fix="Deliver the file again; written with one object a line, only the lines that are broken are set aside.",
            file=file.name,
        ) from None
    return all_keys


def _lines(file: RawFile, encoding: str, line_end: str, spans_lines: bool) -> Iterator[tuple[str, str]]:
    with open_plain(file.path) as raw, io.TextIOWrapper(raw, encoding, newline=line_end) as text:
        if spans_lines:
            yield text.read().removeprefix("\ufeff"), ""
            return
        for number, line in enumerate(text):
            yield line.removeprefix("\ufeff") if not number else line, ""


def _check_keys(file: RawFile, all_keys: Keys, head: str, may_be_none: bool) -> None:
    """Raise SourceProblem where keys cannot be columns, or where there are none, which only a file of lines may have: each is set aside."""
    if all_keys.repeated:
        raise SourceProblem(
            f"'{file.name}' has an object with the key '{all_keys.repeated[0]}' twice: {all_keys.repeated[1]}",
            fix="Rename one of them at its origin, or leave it out: JSON readers differ in which value they use.",
            file=file.name,
            column=all_keys.repeated[0],
        )
    if not all_keys.names and not may_be_none:
        raise SourceProblem(
            f"'{file.name}' holds no JSON object; it begins with {head[:40]!r}.",
            fix="Write one object a line, or arrays of objects.",
            file=file.name,
        )
    if len(all_keys.names) > MOST_KEYS:
        raise SourceProblem(
            f"'{file.name}' has objects with {len(all_keys.names):,} keys, more than the {MOST_KEYS:,} columns of a table.",
            fix="Where keys are values, such as identifiers, write each as a separate row.",
            file=file.name,
        )
    for name in all_keys.names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise SourceProblem(
                f"'{file.name}' has the key {name!r}, which holds half of a surrogate pair and is no text.",
                fix="Write it as text at its origin.",
                file=file.name,
            ) from None
