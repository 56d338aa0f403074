"""Lines whose columns have fixed positions: Spark reads every value as text and converts it to its type afterwards."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.files import literal_path
from caudal.engine.protocol import require_capability
from caudal.errors import SourceProblem
from caudal.stages.ingest.formats.bytes import open_plain, survey_text
from caudal.stages.ingest.formats.java_encodings import java_encoding
from caudal.stages.ingest.formats.lines import UNUSED_SEPARATOR
from caudal.stages.ingest.packed import parts_prefix
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, check_whole
from caudal.storage.place import reader, spark_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FORMAT, ORDER, ENDINGS = "fixed_width", 15, (".fwf",)
IS_TEXT = True
OPTIONS = (
    "columns",
    "length",
    "record",
    "skip",
    "short",
    "encoding",
    "null",
    "decimal",
    "timestamp_format",
    "date_format",
)
_SAMPLE = 1000
_BATCH_LINES = 20_000
NEEDS_SCRATCH = True


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...], *, scratch: Path) -> Inspected:
    """Return the declared columns, after a pass over the bytes and a check that lines are long enough.

    Spark reads the lines where it is known to split them correctly. It knows no line numbers, so skipped lines are recognised by their
    text; where a later line has the same text, and where there is a NUL or a carriage return as line end, this process reads the lines.
    Spark's CSV reader is used because it knows encodings; its separator is one that no line contains.
    """
    places: Any = options.get("columns")
    if not places:
        raise SourceProblem(
            f"'{file.name}' has fixed columns, and none are declared.",
            fix='Pass format=cd.fixed_width({"id": 6, "name": 20}) to the connection.',
            file=file.name,
        )
    check_whole(file.path, "fixed_width", file.name)
    encoding = str(options.get("encoding") or "utf-8")
    survey = survey_text(file, encoding, None, bounded=True)
    lines = re.split("\r\n|\n|\r", survey.head)[:_SAMPLE]
    skipped, record = lines[: int(str(options.get("skip") or 0))], str(options.get("record") or "")
    sample = [line for line in lines[len(skipped) :] if line.strip() and line.startswith(record)]
    if not sample:
        condition = f" that begins with '{record}'" if record else ""
        raise SourceProblem(
            f"'{file.name}' holds no line{condition}.", fix="Deliver the file again, or move it away.", file=file.name
        )
    needed_length = max(end for _, end in places.values())
    longest = max(len(line.rstrip()) for line in sample)
    starts = max(start for start, _ in places.values())
    if longest < starts and not options.get("short"):
        raise SourceProblem(
            f"The lines of '{file.name}' have at most {longest} characters; the columns are declared up to place {needed_length}.",
            fix="Check the widths; short=True lets lines end early.",
            file=file.name,
            length=longest,
        )
    names = tuple(str(name) for name in places)
    check_names(file, names)
    dialect = {
        "encoding": java_encoding(encoding) or encoding,
        "record": record,
        "need": "0" if options.get("short") else str(needed_length),
        "length": str(options.get("length") or ""),
        **{f"skip{i:04}": line for i, line in enumerate(skipped)},
    }
    if (
        java_encoding(encoding) is None
        or survey.lines.has_nul
        or survey.lines.has_unused_separator
        or "\r" in survey.lines.kinds
        or _occurs_later(file, encoding, skipped)
    ):
        file = replace(file, path=_write_lines(file, encoding, len(skipped), scratch))
        dialect = {name: value for name, value in dialect.items() if not name.startswith("skip")} | {"recorded": "true"}
    columns = tuple(PhysicalColumn(name, "text", "text", f"{start},{end}") for name, (start, end) in places.items())
    return Inspected(file, Physical("fixed_width", columns, tuple(sorted(dialect.items()))))


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as text in ``_r0``, ``_r1`` …, with ``_file`` and ``_line``: the text of a line that is too short or too long."""
    from pyspark.sql import functions as F

    dialect = dict(physical.dialect)
    if "recorded" not in dialect and dialect["encoding"] not in ("UTF-8", "ISO-8859-1", "US-ASCII"):
        spark.conf.set("spark.sql.legacy.javaCharsets", "true")
    options: dict[str, str | bool | int | None] = {
        "sep": UNUSED_SEPARATOR.decode(), "quote": "", "header": False, "encoding": dialect["encoding"], "mode": "PERMISSIVE", "maxCharsPerColumn": -1,
        "columnNameOfCorruptRecord": "_bad", "columnPruning": False, "emptyValue": "",
        "ignoreLeadingWhiteSpace": False, "ignoreTrailingWhiteSpace": False,
    }  # fmt: skip
    frames = reader(spark).schema("line string, _bad string")
    require_capability(session_engine(spark), Capability.FILE_NAMES, "A source of fixed-width columns")
    paths = [literal_path(spark, spark_path(file.path)) for file in files]
    lines = frames.parquet(*paths) if "recorded" in dialect else frames.options(**options).csv(paths)
    line = F.ltrim(F.col("line"), F.lit("\ufeff"))
    conditions = [F.trim(line) != ""]
    if headers := [value for name, value in dialect.items() if name.startswith("skip")]:
        conditions.append(~line.isin(headers))
    if dialect["record"]:
        conditions.append(line.startswith(dialect["record"]))
    is_faulty = F.col("_bad").isNotNull() | (F.length(line) < int(dialect["need"]))
    if dialect["length"]:
        is_faulty = is_faulty | (F.length(F.rtrim(line)) > int(dialect["length"]))
    values = []
    for column in used:
        start, _, end = column.ddl.partition(",")
        value = F.trim(F.substring(line, int(start), int(end) - int(start) + 1))
        values.append(F.when(value != "", value))
    return lines.where(reduce(lambda left, right: left & right, conditions)).select(
        *(value.alias(f"_r{i}") for i, value in enumerate(values)),
        F.when(is_faulty, F.coalesce("_bad", "line")).alias("_line"),
        F.substring("_metadata.file_name", 1, 16).alias("_file"),
    )


def _lines(file: RawFile, encoding: str) -> Iterator[str]:
    """Yield the lines of a file, without their ends."""
    with open_plain(file.path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
        for line in text:
            yield line.rstrip("\r\n")


def _occurs_later(file: RawFile, encoding: str, skipped: list[str]) -> bool:
    """Return whether a later line has the same text as one of the skipped lines."""
    skipped_texts = {line for line in skipped if line.strip()}
    return bool(skipped_texts) and any(line in skipped_texts for line in islice(_lines(file, encoding), len(skipped), None))


def _write_lines(file: RawFile, encoding: str, skip: int, scratch: Path) -> Path:
    """Write the lines of a file, except the skipped ones, as Parquet, and return the path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / f"{parts_prefix(file)}-lines.parquet"
    schema = pa.schema([("line", pa.string()), ("_bad", pa.string())])
    lines = islice(_lines(file, encoding), skip, None)
    with pq.ParquetWriter(target, schema) as writer:
        while batch := list(islice(lines, _BATCH_LINES)):
            writer.write_batch(pa.record_batch([pa.array(batch, pa.string()), pa.nulls(len(batch), pa.string())], schema=schema))
    return target
