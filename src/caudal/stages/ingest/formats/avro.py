"""Avro containers: the header holds the schema, and the sync marker after each block shows whether the file is complete."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.protocol import require_capability
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, begins, check_whole
from caudal.storage.place import Place, reader, spark_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FORMAT, ORDER, ENDINGS = "avro", 13, (".avro",)
CONNECTOR = "avro"
_MAGIC = b"Obj\x01"
OPTIONS: tuple[str, ...] = ()
DEEPEST = 100  # nested types; Arrow's limit for Parquet files
_MARKER = 16  # bytes of the sync marker: Avro 1.12 specification, "Object Container Files"


def fault(path: Place) -> str | None:
    """Return why a file's first bytes show that it is no Avro file, or None; `inspect` reports a truncated file."""
    return None if begins(path, _MAGIC) else f"is no Avro file: it does not begin with {_MAGIC.decode('ascii', 'replace')!r}"


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...]) -> Inspected:
    """Return the columns that a container's header names."""
    check_whole(file.path, "avro", file.name)
    try:
        with file.path.open("rb") as raw:
            meta = _header(io.BytesIO(raw.read(1 << 22)))
            raw.seek(-_MARKER, 2)
            is_complete = raw.read() == meta["marker"]
        schema = json.loads(meta["avro.schema"])
        too_deep = _nests_deeper_than(schema, DEEPEST)
    except RecursionError:
        schema, too_deep = None, True
    except (EOFError, KeyError, ValueError):
        raise SourceProblem(
            f"'{file.name}' is a damaged Avro file: its header cannot be read.", fix="Deliver the file again.", file=file.name
        ) from None
    if not is_complete:
        raise SourceProblem(
            f"'{file.name}' is truncated: it does not end with its sync marker.", fix="Deliver the file again.", file=file.name
        )
    if too_deep:
        raise SourceProblem(
            f"'{file.name}' has a schema that nests deeper than {DEEPEST}.", fix="Write it with fewer levels.", file=file.name
        )
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise SourceProblem(f"'{file.name}' holds no records.", fix="Write one record a row.", file=file.name)
    if (name := _recursive(schema, ())) is not None:
        raise SourceProblem(
            f"'{file.name}' has a schema that contains itself: '{name}'. No table holds rows of any depth.",
            fix="Write it flat, each row with the key of its parent row.",
            file=file.name,
        )
    names = tuple(str(field["name"]) for field in schema["fields"])
    check_names(file, names)
    return Inspected(
        file,
        Physical("avro", tuple(_column(field) for field in schema["fields"]), (("schema", json.dumps(schema, sort_keys=True)),)),
    )


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as ``_r0``, ``_r1`` … and ``_file``."""
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as F

    require_capability(session_engine(spark), Capability.CONNECTORS, "A source of Avro")
    try:
        rows = reader(spark).format("avro").load([spark_path(file.path) for file in files])
    except AnalysisException as error:
        if "spark-avro" in str(error) or "Failed to find data source" in str(error) or "AVRO" in str(error):
            raise EnvironmentProblem(
                f"'{files[0].name}' needs Spark's Avro connector, and this session has none.",
                fix="Start the session with its connectors.",
            ) from None
        raise
    return rows.select(
        *(F.col("`" + column.name.replace("`", "``") + "`").alias(f"_r{i}") for i, column in enumerate(used)),
        F.substring(rows.metadataColumn("_metadata")["file_name"], 1, 16).alias("_file"),
    )


def _nests_deeper_than(schema: object, limit: int) -> bool:
    """Return whether types are nested deeper than ``limit``."""
    level, depth = [schema], 0
    while level and depth <= limit:
        children = [
            child
            for part in level
            for child in (part if isinstance(part, list) else part.values() if isinstance(part, dict) else ())
        ]
        level = [part for part in children if isinstance(part, dict | list)]
        depth += any(isinstance(part, dict) and "type" in part for part in level)
    return depth > limit


def _recursive(schema: Any, enclosing: tuple[str, ...]) -> str | None:
    """Return the name of a record that contains itself, None where none does."""
    if isinstance(schema, list):
        return next((name for part in schema if (name := _recursive(part, enclosing)) is not None), None)
    if isinstance(schema, str):
        return schema if schema.rpartition(".")[2] in enclosing else None
    if schema.get("type") == "record":
        enclosing_here = (*enclosing, str(schema["name"]).rpartition(".")[2])
        return next((name for field in schema["fields"] if (name := _recursive(field["type"], enclosing_here)) is not None), None)
    return next(
        (
            name
            for part in ("type", "items", "values")
            if part in schema and (name := _recursive(schema[part], enclosing)) is not None
        ),
        None,
    )


def _header(raw: IO[bytes]) -> dict[str, bytes]:
    """Return the header's metadata, and the sync marker under ``marker``."""
    if raw.read(4) != b"Obj\x01":
        raise ValueError("no Avro container")
    metadata: dict[str, bytes] = {}
    while count := _long(raw):
        if count < 0:  # a negative count is followed by the block's size
            count, _ = -count, _long(raw)
        for _ in range(count):
            key = raw.read(_long(raw)).decode()
            metadata[key] = raw.read(_long(raw))
    metadata["marker"] = raw.read(_MARKER)
    return metadata


def _long(raw: IO[bytes]) -> int:
    """Return a zig-zag variable-length integer (Avro 1.12 specification, "Binary Encoding")."""
    value = shift = 0
    while True:
        octet = raw.read(1)
        if not octet:
            raise EOFError
        value |= (octet[0] & 0x7F) << shift
        if not octet[0] & 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7


_LOGICAL = {
    "date": "date", "timestamp-millis": "timestamp_utc", "timestamp-micros": "timestamp_utc", "local-timestamp-millis": "timestamp",
    "local-timestamp-micros": "timestamp",
}  # fmt: skip
_PLAIN = {
    "null": "null", "boolean": "boolean", "int": "int", "long": "long", "float": "float", "double": "double", "bytes": "binary",
    "string": "string", "fixed": "binary", "enum": "string",
}  # fmt: skip


def _column(field: Mapping[str, Any]) -> PhysicalColumn:
    type = _type(field["type"])
    declared = field["type"]
    return PhysicalColumn(str(field["name"]), type, declared if isinstance(declared, str) else type)


def _type(declared: Any) -> str:
    if isinstance(declared, list):
        kinds = {_type(option) for option in declared} - {"null"}
        if not kinds:
            return "null"
        if len(kinds) == 1:
            return kinds.pop()
        return {frozenset({"int", "long"}): "long", frozenset({"float", "double"}): "double"}.get(frozenset(kinds), "nested")
    if isinstance(declared, str):
        return _PLAIN.get(declared, "nested")
    logical = declared.get("logicalType")
    if logical == "decimal":
        return f"decimal({declared['precision']},{declared.get('scale', 0)})"
    if logical in _LOGICAL:
        return _LOGICAL[logical]
    return _type(declared["type"]) if isinstance(declared["type"], dict | list) else _PLAIN.get(declared["type"], "nested")
