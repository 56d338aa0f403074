"""PostgreSQL's COPY → Arrow: the rows as CSV, parsed by Arrow; for columns whose text is plain."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from caudal.stages.ingest.sql.columns import Column

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection

BLOCK = 4 << 20  # bytes that are parsed at once; a longer row takes the cursor


def copyable(connection: Connection, found: Sequence[Column]) -> bool:
    """Tell whether each column's text says its value: lists and bytes have a notation of their own."""
    import pyarrow.types as t

    return connection.dialect.name == "postgresql" and not any(
        one.type is None or t.is_nested(one.type) or t.is_binary(one.type) for one in found
    )


def copied(connection: Connection, statement: Any, found: Sequence[Column]) -> Generator[pa.RecordBatch]:
    """Yield the rows of a statement.

    Raises
    ------
    pyarrow.ArrowInvalid : a value, such as an infinite time, that Arrow does not read
    """
    import pyarrow as pa
    import pyarrow.csv as pc

    said = statement.compile(dialect=connection.dialect)
    given = dict(said.params)
    asked = str(said) if given else str(said).replace("%%", "%")
    names = [one.name for one in found]
    # An empty text is quoted and no null is, so the two stay apart.
    types = pc.ConvertOptions(
        column_types={one.name: one.type for one in found}, true_values=["t"], false_values=["f"], null_values=[""],
        strings_can_be_null=True, quoted_strings_can_be_null=False,
    )  # fmt: skip
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY ({asked}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')", given or None) as copy:
        rows = io.BufferedReader(_Rows(copy), 1 << 16)
        if not rows.peek(1):
            return
        with pc.open_csv(
            pa.PythonFile(rows, "r"), read_options=pc.ReadOptions(column_names=names, block_size=BLOCK), convert_options=types,
            parse_options=pc.ParseOptions(newlines_in_values=True),
        ) as reader:  # fmt: skip
            yield from reader


class _Rows(io.RawIOBase):
    """What COPY sends, as a file."""

    def __init__(self, copy: Any) -> None:
        self.copy, self.rest = copy, memoryview(b"")

    def readable(self) -> bool:
        """It can be read, and nothing else."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what has come."""
        if not self.rest:
            self.rest = memoryview(self.copy.read())
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size
