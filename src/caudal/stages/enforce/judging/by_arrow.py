"""Judged rows that hold arrays of measured numbers, or many columns, written by Arrow in Spark's Python workers.

Java's writer of Parquet takes every number of an array by itself: for the 1,280 features of an image half a millisecond of
processor time, of 13 that the image takes in all; Arrow takes a tenth of it. For 2,000 columns Java takes seconds to plan and to compile, whatever the number of rows. A task writes files of its own and tells their names
when it ends; only those are put in their places, so what an attempt that died has left is in none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.engine.settings import WIDE_COLUMNS, is_local
from caudal.stages.enforce.judging.content import SEGMENT, VERDICT
from caudal.storage.place import Place, Remote, remove

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

NULL = "__HIVE_DEFAULT_PARTITION__"  # how Spark names the folder of null
MEASURED = ("array<float>", "array<double>")
HELD = 4 << 20
"""Bytes of rows that a task holds before it writes them, as a row group for each folder."""
HELD_WIDE = 64 << 20  # of many columns, each of which has a header and figures in every row group
_ATTEMPTS = "_attempts"
_FLAT = {"string", "boolean", "byte", "short", "integer", "long", "float", "double", "date", "timestamp", "timestamp_ntz"}


def fits(frame: DataFrame, folder: Place, by: Sequence[str]) -> bool:
    """Whether rows are worth it, for measured numbers or for many columns, and all that they hold is written as Spark would have.

    Bytes want row groups of another size, and workers on other machines may lack caudal.
    """
    kinds = [field.dataType for field in frame.schema.fields]
    return (
        (len(kinds) > WIDE_COLUMNS or any(kind.simpleString() in MEASURED for kind in kinds))
        and all(map(_known, kinds))
        and set(by) <= {SEGMENT}
        and not isinstance(folder, Remote)
        and is_local(str(frame.sparkSession.sparkContext.master))
    )


def write(frame: DataFrame, folder: Place, by: Sequence[str], segments: Sequence[str] = ()) -> None:
    """Write rows as Parquet under ``_verdict=…`` and the folders of ``by``; what was in ``folder`` is replaced.

    Raises
    ------
    ValueError : segments were announced, and a row is of another
    """
    if folder.exists():
        remove(folder)
    attempts = Path(str(folder)) / _ATTEMPTS
    attempts.mkdir(parents=True)
    into = [VERDICT, *by]
    announced = {f"{SEGMENT}={segment}" for segment in (*segments, NULL)}
    numbered = frame.toDF(*(f"c{place}" for place in range(len(frame.columns))))  # Spark would take a dot in a name for a field's
    # By an environment of their own these are other workers than those that embed, which keep a network once they have one.
    environment = frame.sparkSession.sparkContext.environment
    environment["CAUDAL_WORKER"] = "writes"
    try:
        written = numbered.mapInArrow(_worker(str(attempts), frame.columns, into), "name string, below string")
    finally:
        del environment["CAUDAL_WORKER"]
    for row in written.collect():
        if segments and announced.isdisjoint(row.below.split("/")):
            raise ValueError("A row is of a segment that was not announced.")
        target = Path(str(folder)) / row.below
        target.mkdir(parents=True, exist_ok=True)
        (attempts / row.name).rename(target / row.name)
    remove(folder / _ATTEMPTS)


def _known(kind: DataType) -> bool:
    from pyspark.sql.types import ArrayType

    return (kind.elementType if isinstance(kind, ArrayType) else kind).typeName() in _FLAT


def _worker(attempts: str, columns: list[str], by: list[str]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return what a task does: it writes its rows, and tells its files' names and the folders that they belong to."""

    def work(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        files: dict[str, _File] = {}
        held = 0
        for piece in pieces:
            held += piece.nbytes
            for below, rows in _apart(pa.RecordBatch.from_arrays(piece.columns, columns), by):
                if below not in files:
                    # In the order of the tasks, since the order of files decides the last digit of a mean.
                    files[below] = _File(f"{attempts}/part-{context.partitionId():05d}-{uuid.uuid4()}.parquet")
                files[below].held.append(rows)
            if held > (HELD_WIDE if len(columns) > WIDE_COLUMNS else HELD):
                held = 0
                for file in files.values():
                    file.write()
        for file in files.values():
            file.close()
        names = [file.path.rpartition("/")[2] for file in files.values()]
        yield pa.RecordBatch.from_arrays([pa.array(names, pa.string()), pa.array([*files], pa.string())], ["name", "below"])

    return work


def _apart(piece: pa.RecordBatch, by: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows of each folder, without the columns that the folder tells."""
    import pyarrow as pa
    import pyarrow.compute as pc

    folders = pc.binary_join_element_wise(
        *(pc.binary_join_element_wise(f"{name}=", pc.fill_null(piece.column(name), NULL), "") for name in by), "/"
    )
    rows = piece.select([name for name in piece.schema.names if name not in by])
    found = pc.unique(folders)
    for below in found:
        yield below.as_py(), rows if len(found) == 1 else pa.RecordBatch.filter(rows, pc.equal(folders, below))


class _File:
    """One file of a task; rows are held until there are enough for a row group."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.held: list[pa.RecordBatch] = []
        self._writer: Any = None

    def write(self) -> None:
        """Write what is held."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.held:
            return
        rows = pa.Table.from_batches(self.held)
        if self._writer is None:
            # Measured numbers hardly ever repeat: to look them up in a dictionary takes time and saves no room.
            plain = [field.name for field in rows.schema if not pa.types.is_nested(field.type)]
            self._writer = pq.ParquetWriter(self.path, rows.schema, use_dictionary=plain, write_page_checksum=True)
        self._writer.write_table(rows)
        self.held.clear()

    def close(self) -> None:
        """Write the rest, and the end of the file."""
        self.write()
        self._writer.close()
