"""Parquet files whose columns have the types that Parquet stores, for engines that take Arrow's notes for the file's types.

Arrow notes its own types in the files that it writes (pandas does so, too): categories, nanoseconds, durations, lists of fixed or large
size. An engine that asks for the stored type is then told that the file has another.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.protocol import lack
from caudal.engine.settings import usable_cores
from caudal.stages.ingest.named_files import process_folder
from caudal.stages.ingest.packed import parts_prefix
from caudal.stages.ingest.physical import PhysicalColumn
from caudal.stages.ingest.raw import RawFile
from caudal.storage.place import readable

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


def as_stored(spark: SparkSession, files: Sequence[RawFile], used: Sequence[PhysicalColumn]) -> list[RawFile]:
    """Return files that hold the used columns with their stored types: the files themselves, or else copies with the same values.

    Parameters
    ----------
    files : files whose used columns have the same types
    used : some of their columns; those with 96 bits for a time keep them, since an engine reads these by their stored type

    Raises
    ------
    EngineLacks : Arrow does not read a file; Spark says why, or does
    """
    import pyarrow as pa

    folder = Path(tempfile.mkdtemp(dir=process_folder()))

    def stored(file: RawFile) -> RawFile:
        try:
            return file if _is_as_stored(file, used) else replace(file, path=_copy(file, used, folder))
        except (pa.ArrowException, OSError) as error:
            raise lack(session_engine(spark), Capability.PARQUET_TYPES, f"'{file.name}', which Arrow does not read,") from error

    with ThreadPoolExecutor(usable_cores()) as threads:
        return list(threads.map(stored, files))


def _is_as_stored(file: RawFile, used: Sequence[PhysicalColumn]) -> bool:
    """Return whether columns have the types that Parquet stores, by what Arrow reads and by what it has noted, of which it does not heed all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [column.name for column in used if column.native_type != "int96"]
    with pq.ParquetFile(readable(file.path)) as parquet:
        schemas = [parquet.schema_arrow]
        if noted := (parquet.metadata.metadata or {}).get(b"ARROW:schema"):
            schemas.append(pa.ipc.read_schema(pa.py_buffer(base64.b64decode(noted))))
    types = [schema.field(name).type for schema in schemas for name in names if name in schema.names]
    return all(stored_type(type) == type for type in types)


def stored_type(type: pa.DataType) -> pa.DataType:
    """Return the type by which Parquet stores what Arrow has noted to be of a type; times in nanoseconds are stored as counts."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_dictionary(type):
        return stored_type(type.value_type)
    if t.is_duration(type) or (t.is_timestamp(type) and type.unit == "ns"):
        return pa.int64()
    if t.is_date64(type):
        return pa.date32()
    if t.is_struct(type):
        return pa.struct([field.with_type(stored_type(field.type)) for field in type])
    if t.is_map(type):
        return pa.map_(stored_type(type.key_type), stored_type(type.item_type))
    if t.is_list(type) or t.is_large_list(type) or t.is_fixed_size_list(type):
        return pa.list_(type.value_field.with_type(stored_type(type.value_type)))
    return type


def _copy(file: RawFile, used: Sequence[PhysicalColumn], folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = folder / f"{parts_prefix(file)}.parquet"
    names, int96 = [column.name for column in used], {column.name for column in used if column.native_type == "int96"}
    with pq.ParquetFile(readable(file.path), coerce_int96_timestamp_unit="us") as parquet:
        fields = [parquet.schema_arrow.field(name) for name in names]
        types = [pa.timestamp("us", "UTC") if field.name in int96 else stored_type(field.type) for field in fields]
        schema = pa.schema([field.with_type(type) for field, type in zip(fields, types, strict=True)])
        with pq.ParquetWriter(target, schema, store_schema=False) as writer:
            for batch in parquet.iter_batches(columns=names):
                writer.write_table(pa.Table.from_batches([batch]).select(names).cast(schema))
    return target
