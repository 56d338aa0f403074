"""Write judged rows by Arrow in the engine's Python workers: those that hold arrays of measured numbers, or many columns, and every row
on an engine whose own writer would write other files.

Java's Parquet writer handles each number of an array by itself: for the 1,280 features of an image that takes half a millisecond of
processor time, of 13 for the whole image; Arrow takes a tenth of it. For 2,000 columns Java needs seconds to plan and to compile,
whatever the number of rows. Each task writes its own files and returns their names when it ends. Only those files are moved to
their folders, so files of an attempt that died are never published.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql.types import ArrayType, StructField, StructType

from caudal.engine.capability import Capability
from caudal.engine.choice import can, has_local_workers
from caudal.engine.known_schema import with_known_schema
from caudal.engine.row_json import rows_as_json
from caudal.engine.settings import WIDE_COLUMNS
from caudal.stages.enforce.judging.content import COUNTED, MOST_BYTES, RAW, SEGMENT, VERDICT, json_columns
from caudal.storage.place import Place, Remote, remove

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

NULL = "__HIVE_DEFAULT_PARTITION__"  # how Spark names the folder of null
MEASURED = ("array<float>", "array<double>")
PENDING_BYTES = 4 << 20
"""Bytes of rows that a task collects before it writes them, as a row group for each folder: few, since rows may hold images and many tasks
write at once."""
PENDING_BYTES_FLAT = 64 << 20
"""The same for many columns, each of which has a header and figures in every row group, and on an engine whose workers share a process."""
_ATTEMPTS = "_attempts"
_FLAT = {"string", "boolean", "byte", "short", "integer", "long", "float", "double", "date", "timestamp", "timestamp_ntz"}


def is_needed(frame: DataFrame) -> bool:
    """Return whether the engine's own writer would write files without checksums, or lose rows without a day."""
    return not can(frame.sparkSession, Capability.PARQUET_WRITER)


def is_suited(frame: DataFrame, folder: Place, by: Sequence[str]) -> bool:
    """Return whether writing by Arrow is faster (measured numbers or many columns) and gives the same files as Spark for every type of the frame.

    Columns of bytes are excluded because they need row groups of another size; clusters, because their workers may lack caudal.
    """
    kinds = [field.dataType for field in frame.schema.fields]
    return (
        (len(kinds) > WIDE_COLUMNS or any(kind.simpleString() in MEASURED for kind in kinds))
        and all(map(_is_supported, kinds))
        and set(by) <= {SEGMENT}
        and not isinstance(folder, Remote)
        and has_local_workers(frame.sparkSession)
    )


def write_by_arrow(
    frame: DataFrame, folder: Place, by: Sequence[str], segments: Sequence[str] = (), *, append: bool = False
) -> dict[str, int]:
    """Write rows as Parquet under ``_verdict=…`` and the folders of ``by``, and return how often each flag is true, by its name.

    Parameters
    ----------
    frame : DataFrame; columns whose names begin with `COUNTED` are flags, which are counted and not written
    append : whether the contents of ``folder`` are kept; else they are replaced

    Raises
    ------
    ValueError : segments were announced, and a row belongs to another one
    """
    if folder.exists() and not append:
        remove(folder)
    attempts = Path(str(folder)) / _ATTEMPTS
    attempts.mkdir(parents=True)
    folder_columns = [VERDICT, *by]
    announced = {f"{SEGMENT}={segment}" for segment in (*segments, NULL)}
    places = [StructField(f"c{place}", field.dataType) for place, field in enumerate(frame.schema.fields)]
    # Spark would take a dot in a name for a field's.
    renamed = with_known_schema(frame.toDF(*(field.name for field in places)), StructType(places))
    flags = [name.removeprefix(COUNTED) for name in frame.columns if name.startswith(COUNTED)]
    stored = _StoredRows(_stored_schema(frame), tuple(json_columns(frame))) if is_needed(frame) else None
    worker = _worker(str(attempts), frame.columns, folder_columns, stored)
    with _writing_workers(frame.sparkSession):
        files = renamed.mapInArrow(worker, "name string, below string, counts array<bigint>")
    counts = dict.fromkeys(flags, 0)
    for row in files.collect():
        if segments and announced.isdisjoint(row.below.split("/")):
            raise ValueError("A row is of a segment that was not announced.")
        target = Path(str(folder)) / row.below
        target.mkdir(parents=True, exist_ok=True)
        (attempts / row.name).rename(target / row.name)
        for flag, count in zip(flags, row.counts, strict=True):
            counts[flag] += count
    remove(folder / _ATTEMPTS)
    return counts


@contextmanager
def _writing_workers(spark: SparkSession) -> Iterator[None]:
    """Let Spark start separate workers for what is planned in the block: those that embed images keep a network once it is loaded."""
    if not can(spark, Capability.RDD):
        yield
        return
    environment = spark.sparkContext.environment
    environment["CAUDAL_WORKER"] = "writes"
    try:
        yield
    finally:
        del environment["CAUDAL_WORKER"]


def _stored_schema(frame: DataFrame) -> pa.Schema:
    """Return the columns of the files as Arrow's types: every column may be null, as Spark writes it."""
    from pyspark.sql.pandas.types import to_arrow_type

    return pa.schema([(field.name, to_arrow_type(field.dataType)) for field in frame.schema.fields])


def _is_supported(kind: DataType) -> bool:
    return (kind.elementType if isinstance(kind, ArrayType) else kind).typeName() in _FLAT


def _worker(
    attempts: str, columns: list[str], by: list[str], stored: _StoredRows | None
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return the function that each task runs: it writes the task's rows and yields its files' names, the folders that they belong to, and the
    counts of flags."""

    has_images = stored is not None and any(pa.types.is_binary(field.type) for field in stored.schema)
    is_flat = (stored is not None or len(columns) > WIDE_COLUMNS) and not has_images
    most_bytes = PENDING_BYTES_FLAT if is_flat else PENDING_BYTES

    def write_rows(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        # In the order of the tasks, since the order of files decides the last digit of a mean.
        task = context.partitionId() if context is not None else 0
        files: dict[str, _File] = {}
        pending_bytes = 0
        for piece in _in_larger_pieces(pieces, columns):
            pending_bytes += piece.nbytes
            for folder, rows in _split_by_folder(piece if stored is None else stored.of(piece), by):
                if folder not in files:
                    files[folder] = _File(f"{attempts}/part-{task:05d}-{uuid.uuid4()}.parquet", stored is None)
                files[folder].add(rows)
            if pending_bytes > most_bytes:
                pending_bytes = 0
                for file in files.values():
                    file.write()
        for file in files.values():
            file.close()
        names = [file.path.rpartition("/")[2] for file in files.values()]
        counts = pa.array([file.counts for file in files.values()], pa.list_(pa.int64()))
        yield pa.RecordBatch.from_arrays(
            [pa.array(names, pa.string()), pa.array([*files], pa.string()), counts], ["name", "below", "counts"]
        )

    return write_rows


def _in_larger_pieces(pieces: Iterable[pa.RecordBatch], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield rows in pieces of some megabytes: engines hand over a few thousand rows at a time, and each piece is divided among many folders."""
    collected: list[pa.RecordBatch] = []
    collected_bytes = 0
    for piece in pieces:
        collected.append(pa.RecordBatch.from_arrays(piece.columns, columns))
        collected_bytes += piece.nbytes
        if collected_bytes > PENDING_BYTES:
            yield _one(collected)
            collected, collected_bytes = [], 0
    if collected:
        yield _one(collected)


def _one(pieces: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)


@dataclass(frozen=True)
class _StoredRows:
    """Rows as Spark would write them, made of the rows of an engine that differs in nested names, in what it calls required, and in JSON.

    Parameters
    ----------
    schema : the columns with their types
    json_columns : the columns that the JSON of a row holds
    """

    schema: pa.Schema
    json_columns: tuple[str, ...]

    def of(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows with the types of the schema, and with the JSON of those that are set aside and have none yet."""
        columns = [column.cast(field.type) for column, field in zip(rows.columns, self.schema, strict=True)]
        typed = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        lacking = pc.and_(pc.equal(typed.column(VERDICT), "quarantined"), pc.is_null(typed.column(RAW)))
        if not pc.any(lacking).as_py():
            return typed
        rows = typed.filter(lacking)
        values = [_without_images(rows.column(name)) for name in self.json_columns]
        texts = rows_as_json(values, self.json_columns) if values else pa.array(["{}"] * len(rows), pa.string())
        raw = pc.replace_with_mask(typed.column(RAW), lacking, texts)
        return typed.set_column(typed.schema.get_field_index(RAW), RAW, raw)


def _without_images(column: pa.Array) -> pa.Array:
    """Return a column, of bytes without those that are too long to be read as text."""
    if not pa.types.is_binary(column.type):
        return column
    return pc.if_else(pc.less_equal(pc.binary_length(column), MOST_BYTES), column, pa.scalar(None, column.type))


def _split_by_folder(piece: pa.RecordBatch, by: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows of each folder, without the columns that the folder's name holds."""
    names, folder_of_row = _folders(piece, by)
    rows = piece.select([name for name in piece.schema.names if name not in by])
    if len(names) == 1:
        yield names[0], rows
        return
    # One sort instead of a filter for each folder; rows of a folder keep their order.
    sorted_rows = rows.take(pa.array(np.argsort(folder_of_row, kind="stable")))
    ends = np.cumsum(np.bincount(folder_of_row))
    for folder, start, end in zip(names, [0, *ends[:-1]], ends, strict=True):
        yield folder, sorted_rows.slice(start, end - start)


def _folders(piece: pa.RecordBatch, by: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of the folders that have rows, and for each row its folder's place among them."""
    codes: NDArray[np.int64] = np.zeros(len(piece), np.int64)
    labels: list[list[str]] = []
    for name in by:
        coded = piece.column(name).dictionary_encode()
        values = coded.dictionary.cast(pa.string()).to_pylist()
        codes = codes * (len(values) + 1) + np.asarray(coded.indices.fill_null(len(values)))
        labels.append([f"{name}={value}" for value in [*values, NULL]])
    distinct, folder_of_row = np.unique(codes, return_inverse=True)
    names = []
    for code in distinct.tolist():
        parts = []
        for values_of_column in reversed(labels):
            code, place = divmod(code, len(values_of_column))
            parts.append(values_of_column[place])
        names.append("/".join(reversed(parts)))
    return names, folder_of_row


class _File:
    """One file of a task; it collects rows until there are enough for a row group, and counts the flags."""

    def __init__(self, path: str, as_spark: bool) -> None:
        self.path = path
        self.counts: list[int] = []
        self._pending: list[pa.RecordBatch] = []
        self._as_spark = as_spark
        self._file: pa.OSFile | None = None
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.RecordBatch) -> None:
        """Collect rows."""
        flags = [name for name in rows.schema.names if name.startswith(COUNTED)]
        counts = [int(pc.sum(rows.column(name)).as_py() or 0) for name in flags]
        self.counts = [before + count for before, count in zip(self.counts or [0] * len(flags), counts, strict=True)]
        self._pending.append(rows.drop_columns(flags) if flags else rows)

    def write(self) -> None:
        """Write the collected rows as a row group."""
        if not self._pending:
            return
        rows = pa.Table.from_batches(self._pending)
        if self._writer is None:
            # Measured numbers hardly ever repeat: a dictionary of them would take time and save no space. Nor do bytes.
            plain = [field.name for field in rows.schema if not (pa.types.is_nested(field.type) or pa.types.is_binary(field.type))]
            self._file = pa.OSFile(self.path, "wb")
            self._writer = pq.ParquetWriter(
                self._file, rows.schema, use_dictionary=plain, write_page_checksum=True, store_schema=self._as_spark
            )
        self._writer.write_table(rows)
        self._pending.clear()

    def close(self) -> None:
        """Write the remaining rows and the file's footer."""
        self.write()
        assert self._writer is not None  # a file has been opened for some rows
        assert self._file is not None
        self._writer.close()
        self._file.close()
