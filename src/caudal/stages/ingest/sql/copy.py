"""Read PostgreSQL's COPY into Arrow: the rows as CSV, parsed by Arrow; for columns with plain text."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.types as t

from caudal.stages.ingest.sql.columns import SourceColumn

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection
    from sqlalchemy.sql import ClauseElement

BLOCK = 4 << 20  # bytes that are parsed at once; a longer row is read through the driver's cursor


def can_copy(connection: Connection, columns: Sequence[SourceColumn]) -> bool:
    """Return whether each column's text is its value: lists and bytes have another notation."""
    return connection.dialect.name == "postgresql" and not any(
        column.type is None or t.is_nested(column.type) or t.is_binary(column.type) for column in columns
    )


def copy_batches(connection: Connection, statement: ClauseElement, columns: Sequence[SourceColumn]) -> Generator[pa.RecordBatch]:
    """Yield the rows of a statement.

    Raises
    ------
    pyarrow.ArrowInvalid : a value that Arrow cannot read, such as an infinite time
    """
    compiled = statement.compile(dialect=connection.dialect)
    parameters = dict(compiled.params)
    sql = str(compiled) if parameters else str(compiled).replace("%%", "%")
    names = [column.name for column in columns]
    # An empty text is quoted and a null is not, which distinguishes them.
    types = pc.ConvertOptions(
        column_types={column.name: column.type for column in columns}, true_values=["t"], false_values=["f"], null_values=[""],
        strings_can_be_null=True, quoted_strings_can_be_null=False,
    )  # fmt: skip
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY ({sql}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')", parameters or None) as copy,
    ):
        rows = io.BufferedReader(_Rows(copy), 1 << 16)
        if not rows.peek(1):
            return
        with pc.open_csv(
            pa.PythonFile(rows, "r"), read_options=pc.ReadOptions(column_names=names, block_size=BLOCK), convert_options=types,
            parse_options=pc.ParseOptions(newlines_in_values=True),
        ) as reader:  # fmt: skip
            yield from reader


class _Rows(io.RawIOBase):
    """The output of COPY, as a file."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self.copy, self.rest = copy, memoryview(b"")

    def readable(self) -> bool:
        """Return True: the stream can only be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the bytes that have arrived."""
        if not self.rest:
            self.rest = memoryview(self.copy.read())
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size
