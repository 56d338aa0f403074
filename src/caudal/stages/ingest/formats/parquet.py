"""Parquet: the footer has the columns; Spark reads the stored values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.choice import can
from caudal.errors import SourceProblem
from caudal.stages.ingest.formats import parquet_types
from caudal.stages.ingest.named_files import parquet_rows
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, begins, check_whole
from caudal.storage.place import Place, readable
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

FORMAT, ORDER, ENDINGS = "parquet", 10, (".parquet", ".pq")
_MAGIC = b"PAR1"
OPTIONS: tuple[str, ...] = ()


def fault(path: Place) -> str | None:
    """Return why a file's first and last bytes show that it is no Parquet file or truncated, or None."""
    if not begins(path, _MAGIC):
        return f"is no Parquet file: it does not begin with {_MAGIC.decode()!r}"
    if path.stat().st_size < 12:
        return "is truncated: it has no Parquet footer"
    with path.open("rb") as file:
        file.seek(-4, 2)
        return None if file.read(4) == _MAGIC else "is truncated: it has no Parquet footer at its end"


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...]) -> Inspected:
    """Return the columns that a file's footer names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_whole(file.path, "parquet", file.name)
    try:
        with translate_storage_errors(file.path), pq.ParquetFile(readable(file.path)) as parquet:
            schema, stored = parquet.schema_arrow, parquet.metadata.schema
            int96 = {stored.column(i).path for i in range(len(stored)) if stored.column(i).physical_type == "INT96"}
    except (pa.ArrowException, OSError) as error:
        raise SourceProblem(
            f"'{file.name}' is a damaged Parquet file: {str(error).splitlines()[0]}.",
            fix="Deliver the file again.",
            file=file.name,
        ) from None
    check_names(file, tuple(schema.names))
    notes = tuple(json.loads((schema.metadata or {}).get(b"caudal.notes", b"[]")))
    return Inspected(file, Physical("parquet", tuple(_column(column, column.name in int96) for column in schema)), notes)


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as ``_r0``, ``_r1`` … and ``_file``; the schema is passed, so that Spark does not read footers again."""
    from pyspark.sql import functions as F

    if not can(spark, Capability.PARQUET_TYPES):
        files = parquet_types.as_stored(spark, files, used)
    elif any(column.unit == "ns" for column in used):
        # Spark has microseconds and reads nanoseconds only as integers.
        spark.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")
    quoted = ["`" + column.name.replace("`", "``") + "`" for column in used]
    ddl = ", ".join(f"{name} {column.ddl}" for name, column in zip(quoted, used, strict=True))
    rows, name = parquet_rows(spark, files, ddl, [column.name for column in used])
    return rows.select(*(F.col(column).alias(f"_r{i}") for i, column in enumerate(quoted)), name)


def _column(field: pa.Field, int96: bool) -> PhysicalColumn:
    import pyarrow.types as t

    if int96:  # an instant, by the convention of the systems that write it
        return PhysicalColumn(field.name, "timestamp_utc", "int96", "timestamp_ltz")
    type, ddl = _type(field.type)
    counted = t.is_duration(field.type) or (t.is_timestamp(field.type) and field.type.unit == "ns")
    return PhysicalColumn(field.name, type, str(field.type), ddl, field.type.unit if counted and field.type.unit != "us" else None)


def _type(type: pa.DataType) -> tuple[str, str]:
    """Return a type's name in caudal and in Spark."""
    import pyarrow.types as t

    if t.is_dictionary(type):
        return _type(type.value_type)
    if hasattr(type, "storage_type"):
        return _type(type.storage_type)
    if t.is_decimal(type):
        decimal = f"decimal({type.precision},{type.scale})"
        return (decimal, decimal) if type.precision <= 38 and type.scale >= 0 else ("unsupported", "")
    if t.is_timestamp(type):
        if type.unit == "ns":
            return ("timestamp_utc" if type.tz else "timestamp", "bigint")
        return ("timestamp_utc", "timestamp_ltz") if type.tz else ("timestamp", "timestamp_ntz")
    if t.is_fixed_size_binary(type):
        return "binary", "binary"
    if t.is_nested(type):
        ddl = _nested_ddl(type)
        inner = _element(type)
        return (f"array<{inner}>" if inner else "nested", ddl) if ddl else ("unsupported", "")
    if t.is_duration(type):
        return "long", "bigint"
    return _PLAIN.get(str(type), ("unsupported", ""))


_PLAIN = {
    "null": ("null", "void"), "bool": ("boolean", "boolean"),
    "int8": ("int", "tinyint"), "int16": ("int", "smallint"), "int32": ("int", "int"), "int64": ("long", "bigint"),
    "uint8": ("int", "smallint"), "uint16": ("int", "int"), "uint32": ("long", "bigint"), "uint64": ("decimal(20,0)", "decimal(20,0)"),
    "float": ("float", "float"), "double": ("double", "double"),
    "string": ("string", "string"), "large_string": ("string", "string"), "string_view": ("string", "string"),
    "binary": ("binary", "binary"), "large_binary": ("binary", "binary"), "binary_view": ("binary", "binary"),
    "date32[day]": ("date", "date"), "date64[ms]": ("date", "date"),
}  # fmt: skip


def _element(type: pa.DataType) -> str | None:
    """Return the type of a list's elements, where they are plain values."""
    import pyarrow.types as t

    if not (t.is_list(type) or t.is_large_list(type) or t.is_fixed_size_list(type)):
        return None
    value = type.value_type
    if t.is_nested(value) or t.is_null(value) or (t.is_timestamp(value) and value.unit == "ns"):
        return None
    return _type(value)[0]


def _nested_ddl(type: pa.DataType) -> str | None:
    import pyarrow.types as t

    if t.is_struct(type):
        parts = [(type.field(i).name, _nested_ddl(type.field(i).type)) for i in range(type.num_fields)]
        if not parts or any(ddl is None for _, ddl in parts):
            return None
        return "struct<" + ",".join(f"`{name}`:{ddl}" for name, ddl in parts) + ">"
    if t.is_map(type):
        key, value = _nested_ddl(type.key_type), _nested_ddl(type.item_type)
        return f"map<{key},{value}>" if key and value else None
    if t.is_nested(type):
        inner = _nested_ddl(type.value_type) if hasattr(type, "value_type") else None
        return f"array<{inner}>" if inner else None
    if t.is_duration(type) or (t.is_timestamp(type) and type.unit == "ns"):
        return None  # Spark reads a bare count, whose unit may differ between files
    ddl = _type(type)[1]
    return None if ddl in ("", "void") else ddl
