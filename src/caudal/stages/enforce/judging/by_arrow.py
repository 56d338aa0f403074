"""Write judged rows that hold arrays of measured numbers, or many columns, by Arrow in Spark's Python workers.

Java's Parquet writer handles each number of an array by itself: for the 1,280 features of an image that takes half a millisecond of
processor time, of 13 for the whole image; Arrow takes a tenth of it. For 2,000 columns Java needs seconds to plan and to compile,
whatever the number of rows. Each task writes its own files and returns their names when it ends. Only those files are moved to
their folders, so files of an attempt that died are never published.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql.types import ArrayType

from caudal.engine.settings import WIDE_COLUMNS, is_local
from caudal.stages.enforce.judging.content import SEGMENT, VERDICT
from caudal.storage.place import Place, Remote, remove

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

NULL = "__HIVE_DEFAULT_PARTITION__"  # how Spark names the folder of null
MEASURED = ("array<float>", "array<double>")
PENDING_BYTES = 4 << 20
"""Bytes of rows that a task collects before it writes them, as a row group for each folder."""
PENDING_BYTES_WIDE = 64 << 20  # of many columns, each of which has a header and figures in every row group
_ATTEMPTS = "_attempts"
_FLAT = {"string", "boolean", "byte", "short", "integer", "long", "float", "double", "date", "timestamp", "timestamp_ntz"}


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
        and is_local(str(frame.sparkSession.sparkContext.master))
    )


def write_by_arrow(frame: DataFrame, folder: Place, by: Sequence[str], segments: Sequence[str] = ()) -> None:
    """Write rows as Parquet under ``_verdict=…`` and the folders of ``by``; the contents of ``folder`` are replaced.

    Raises
    ------
    ValueError : segments were announced, and a row belongs to another one
    """
    if folder.exists():
        remove(folder)
    attempts = Path(str(folder)) / _ATTEMPTS
    attempts.mkdir(parents=True)
    folder_columns = [VERDICT, *by]
    announced = {f"{SEGMENT}={segment}" for segment in (*segments, NULL)}
    renamed = frame.toDF(*(f"c{place}" for place in range(len(frame.columns))))  # Spark would take a dot in a name for a field's
    # Spark starts separate workers for another environment: those that embed images keep a network once it is loaded.
    environment = frame.sparkSession.sparkContext.environment
    environment["CAUDAL_WORKER"] = "writes"
    try:
        files = renamed.mapInArrow(_worker(str(attempts), frame.columns, folder_columns), "name string, below string")
    finally:
        del environment["CAUDAL_WORKER"]
    for row in files.collect():
        if segments and announced.isdisjoint(row.below.split("/")):
            raise ValueError("A row is of a segment that was not announced.")
        target = Path(str(folder)) / row.below
        target.mkdir(parents=True, exist_ok=True)
        (attempts / row.name).rename(target / row.name)
    remove(folder / _ATTEMPTS)


def _is_supported(kind: DataType) -> bool:
    return (kind.elementType if isinstance(kind, ArrayType) else kind).typeName() in _FLAT


def _worker(attempts: str, columns: list[str], by: list[str]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return the function that each task runs: it writes the task's rows and yields its files' names and the folders that they belong to."""

    def write_rows(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None
        files: dict[str, _File] = {}
        pending_bytes = 0
        for piece in pieces:
            pending_bytes += piece.nbytes
            for folder, rows in _split_by_folder(pa.RecordBatch.from_arrays(piece.columns, columns), by):
                if folder not in files:
                    # In the order of the tasks, since the order of files decides the last digit of a mean.
                    files[folder] = _File(f"{attempts}/part-{context.partitionId():05d}-{uuid.uuid4()}.parquet")
                files[folder].pending.append(rows)
            if pending_bytes > (PENDING_BYTES_WIDE if len(columns) > WIDE_COLUMNS else PENDING_BYTES):
                pending_bytes = 0
                for file in files.values():
                    file.write()
        for file in files.values():
            file.close()
        names = [file.path.rpartition("/")[2] for file in files.values()]
        yield pa.RecordBatch.from_arrays([pa.array(names, pa.string()), pa.array([*files], pa.string())], ["name", "below"])

    return write_rows


def _split_by_folder(piece: pa.RecordBatch, by: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows of each folder, without the columns that the folder's name holds."""
    folders = pc.binary_join_element_wise(
        *(pc.binary_join_element_wise(f"{name}=", pc.fill_null(piece.column(name), NULL), "") for name in by), "/"
    )
    rows = piece.select([name for name in piece.schema.names if name not in by])
    distinct = pc.unique(folders)
    for folder_ in distinct:
        yield folder_.as_py(), rows if len(distinct) == 1 else pa.RecordBatch.filter(rows, pc.equal(folders, folder_))


class _File:
    """One file of a task; it collects rows until there are enough for a row group."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pending: list[pa.RecordBatch] = []
        self._writer: pq.ParquetWriter | None = None

    def write(self) -> None:
        """Write the collected rows as a row group."""
        if not self.pending:
            return
        rows = pa.Table.from_batches(self.pending)
        if self._writer is None:
            # Measured numbers hardly ever repeat: a dictionary of them would take time and save no space.
            plain = [field.name for field in rows.schema if not pa.types.is_nested(field.type)]
            self._writer = pq.ParquetWriter(self.path, rows.schema, use_dictionary=plain, write_page_checksum=True)
        self._writer.write_table(rows)
        self.pending.clear()

    def close(self) -> None:
        """Write the remaining rows and the file's footer."""
        self.write()
        assert self._writer is not None  # a file has been opened for some rows
        self._writer.close()
