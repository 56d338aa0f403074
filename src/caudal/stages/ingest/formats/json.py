"""JSON, one object a line (or one array): every value is read as text and made into its type afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from caudal.errors import SourceProblem
from caudal.lake.place import reader, spark_path
from caudal.stages.ingest.formats.bytes import look
from caudal.stages.ingest.formats.json_records import records
from caudal.stages.ingest.packed import stem
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, check_whole

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

OPTIONS = ("encoding", "null", "timestamp_format", "date_format", "records")
_BAD = "_bad"


def parts(file: RawFile, options: Options, folder: Path) -> list[RawFile]:
    """Return the file, or where ``records=`` says that its rows lie deeper, those rows, one a line."""
    if "records" not in options:
        return [file]
    check_whole(file.path, "json", file.name)
    look(file, str(options.get("encoding") or "utf-8"), None)
    assert isinstance(file.path, Path)  # a copy, where the lake is far away
    rows = records(file.path.read_text(str(options.get("encoding") or "utf-8-sig")), str(options["records"]), file.name)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{stem(file)}-records.json"
    if not rows:  # a whole answer, and nothing in it
        return []
    target.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return [RawFile(target, file.sha256, file.name, "json")]


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...]) -> Inspected:
    """Return the keys that a file's objects have; Spark looks at all of them."""
    check_whole(file.path, "json", file.name)
    encoding = str(options.get("encoding") or "utf-8") if "records" not in options else "utf-8"
    head = look(file, encoding, None).head.lstrip()
    if not head:
        raise SourceProblem(f"'{file.name}' holds no line.", fix="Deliver the file again, or move it away.", file=file.name)
    dialect = (("encoding", encoding.upper()), ("multiLine", str(head.startswith("[")).lower()))
    found = reader(spark).options(**dict(dialect), primitivesAsString=True, mode="PERMISSIVE", columnNameOfCorruptRecord=_BAD)
    names = tuple(name for name in found.json(spark_path(file.path)).columns if name != _BAD)
    if not names:
        raise SourceProblem(
            f"'{file.name}' holds no JSON object; it begins with {head[:40]!r}.",
            fix="Write one object a line, or one array of objects.",
            file=file.name,
        )
    check_names(file, names)
    return Inspected(file, Physical("json", tuple(PhysicalColumn(name, "text", "JSON") for name in names), dialect))


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as text in ``_r0``, ``_r1`` …, with ``_file`` and ``_line``: the line where it is no JSON object."""
    from pyspark.sql import functions as F

    quoted = ["`" + column.name.replace("`", "``") + "`" for column in used]
    ddl = ", ".join(f"{name} string" for name in (*quoted, _BAD))
    lines = reader(spark).schema(ddl).options(**dict(physical.dialect), mode="PERMISSIVE", columnNameOfCorruptRecord=_BAD)
    return lines.json([spark_path(file.path) for file in files]).select(
        *(F.col(name).alias(f"_r{i}") for i, name in enumerate(quoted)),
        F.col(_BAD).alias("_line"),
        F.substring("_metadata.file_name", 1, 16).alias("_file"),
    )
