"""Load rows of a table version into a table of the warehouse: file by file, by ``COPY``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pc
from psycopg.sql import SQL, Identifier

from caudal.errors import StepFailed
from caudal.storage.delta import DAY, DataFile, Version
from caudal.tables.frames import arrow
from caudal.warehouses.types import copy_values

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow
    from psycopg.sql import Composable

ROWS, BYTES = 65_536, 16 << 20  # converted to text at once, at most


@dataclass(frozen=True)
class LoadResult:
    """The result of a load; ``zeros`` counts, by column, the texts from which zero characters were removed."""

    rows: int
    zeros: dict[str, int]


def copy_files(
    connection: Connection[TupleRow], into: Composable, version: Version, columns: Sequence[str], files: Iterable[DataFile]
) -> LoadResult:
    """Copy the rows of some files of a version.

    Raises
    ------
    StepFailed : the number of rows that arrived is not that of the version
    """
    names = SQL(", ").join(Identifier(name) for name in columns)
    rows, zeros, expected = 0, Counter[str](), 0
    with connection.cursor() as cursor:
        with cursor.copy(SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(into, names)) as copy:
            for file in files:
                expected += file.rows
                for batch in file_batches(version, file, columns):
                    copy.write(as_csv(batch, zeros))
                    rows += batch.num_rows
        arrived = cursor.rowcount
    if not rows == arrived == expected:
        raise StepFailed(f"The lake says {expected:,} rows, {rows:,} were read and {arrived:,} arrived.", fix="Run again.")
    return LoadResult(rows, dict(zeros))


def copy_table(connection: Connection[TupleRow], into: Composable, table: pa.Table) -> None:
    """Copy the rows of an Arrow table."""
    names = SQL(", ").join(Identifier(name) for name in table.column_names)
    with connection.cursor() as cursor, cursor.copy(SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(into, names)) as copy:
        for batch in table.to_batches(max_chunksize=ROWS):
            copy.write(as_csv(batch, Counter()))


def file_batches(version: Version, file: DataFile, columns: Sequence[str]) -> list[pa.RecordBatch]:
    """Return the rows of one file, with its day if ``columns`` has it."""
    one_file = replace(version, files=(file,))
    table = arrow(one_file, [name for name in columns if name != DAY])
    if DAY in columns:
        day = pa.repeat(pa.scalar(file.day, pa.string()), table.num_rows).cast(pa.date32())
        table = table.add_column(list(columns).index(DAY), DAY, day)
    rows_in_bytes = BYTES * table.num_rows // max(table.nbytes, 1)
    return list(table.to_batches(max_chunksize=max(1, min(ROWS, rows_in_bytes))))


def as_csv(batch: pa.RecordBatch, zeros: Counter[str]) -> bytes:
    """Return rows as CSV: an empty text is quoted, a null is not."""
    texts = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        text, zero_count = copy_values(column)
        texts.append(text)
        if zero_count:
            zeros[name] += zero_count
    out = pa.BufferOutputStream()
    pc.write_csv(pa.RecordBatch.from_arrays(texts, names=batch.schema.names), out, pc.WriteOptions(include_header=False))
    return bytes(out.getvalue())
