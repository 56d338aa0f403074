"""Lines whose columns stand at fixed places: every value is read as text, by Spark, and made into its type afterwards."""

from __future__ import annotations

import codecs
from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING, Any

from caudal.errors import SourceProblem
from caudal.lake.place import reader, spark_path
from caudal.stages.ingest.formats.bytes import look
from caudal.stages.ingest.formats.csv import SPARKS_ENCODINGS
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, check_whole

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

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
_APART = "\x01"  # a separator that no line has: Spark's reader of CSV is the one that knows encodings


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...]) -> Inspected:
    """Return the declared columns, after a pass over the bytes and a look whether lines are long enough for them."""
    places: Any = options.get("columns")
    if not places:
        raise SourceProblem(
            f"'{file.name}' has fixed columns, and none are declared.",
            fix='Pass format=cd.fixed_width({"id": 6, "name": 20}) to the connection.',
            file=file.name,
        )
    check_whole(file.path, "fixed_width", file.name)
    encoding = str(options.get("encoding") or "utf-8")
    looked = look(file, encoding, None)
    lines = [line.removesuffix("\r") for line in islice(looked.head.split("\n"), _SAMPLE)]
    skipped, record = lines[: int(str(options.get("skip") or 0))], str(options.get("record") or "")
    sample = [line for line in lines[len(skipped) :] if line.strip() and line.startswith(record)]
    if not sample:
        said = f" that begins with '{record}'" if record else ""
        raise SourceProblem(f"'{file.name}' holds no line{said}.", fix="Deliver the file again, or move it away.", file=file.name)
    need = max(last for _, last in places.values())
    longest = max(len(line.rstrip()) for line in sample)
    starts = max(first for first, _ in places.values())
    if longest < starts and not options.get("short"):
        raise SourceProblem(
            f"The lines of '{file.name}' have at most {longest} characters; the columns are declared up to place {need}.",
            fix="Check the widths; short=True lets lines end early.",
            file=file.name,
            length=longest,
        )
    names = tuple(str(name) for name in places)
    check_names(file, names)
    dialect = {
        "encoding": SPARKS_ENCODINGS.get(codecs.lookup(encoding).name, encoding),
        "record": record,
        "need": "0" if options.get("short") else str(need),
        "length": str(options.get("length") or ""),
        "multiLine": str(codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")) or looked.bare_returns).lower(),
        **{f"skip{i:04}": line for i, line in enumerate(skipped)},
    }
    columns = tuple(PhysicalColumn(name, "text", "text", f"{first},{last}") for name, (first, last) in places.items())
    return Inspected(file, Physical("fixed_width", columns, tuple(sorted(dialect.items()))))


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as text in ``_r0``, ``_r1`` …, with ``_file`` and ``_line``: the line where it is too short or too long."""
    from pyspark.sql import functions as F

    said = dict(physical.dialect)
    if said["encoding"] not in ("UTF-8", "ISO-8859-1", "US-ASCII") and not said["encoding"].lower().startswith(
        ("utf-16", "utf-32")
    ):
        spark.conf.set("spark.sql.legacy.javaCharsets", "true")
    options: dict[str, Any] = {
        "sep": _APART, "quote": "", "header": False, "encoding": said["encoding"], "mode": "PERMISSIVE", "maxCharsPerColumn": -1,
        "columnNameOfCorruptRecord": "_bad", "columnPruning": False, "multiLine": said["multiLine"], "emptyValue": "",
        "ignoreLeadingWhiteSpace": False, "ignoreTrailingWhiteSpace": False,
    }  # fmt: skip
    lines = reader(spark).schema("line string, _bad string").options(**options).csv([spark_path(file.path) for file in files])
    line = F.ltrim(F.col("line"), F.lit("\ufeff"))
    wanted = [F.trim(line) != ""]
    if headers := [value for name, value in said.items() if name.startswith("skip")]:
        wanted.append(~line.isin(headers))
    if said["record"]:
        wanted.append(line.startswith(said["record"]))
    wrong = F.col("_bad").isNotNull() | (F.length(line) < int(said["need"]))
    if said["length"]:
        wrong = wrong | (F.length(F.rtrim(line)) > int(said["length"]))
    taken = []
    for column in used:
        first, _, last = column.ddl.partition(",")
        value = F.trim(F.substring(line, int(first), int(last) - int(first) + 1))
        taken.append(F.when(value != "", value))
    return lines.where(reduce(lambda one, other: one & other, wanted)).select(
        *(one.alias(f"_r{i}") for i, one in enumerate(taken)),
        F.when(wrong, F.coalesce("_bad", "line")).alias("_line"),
        F.substring("_metadata.file_name", 1, 16).alias("_file"),
    )
