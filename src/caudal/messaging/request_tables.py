"""Files of logged requests as Arrow tables, with the types that their servers gave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from caudal.messaging.request_files import RequestLines, read_request_lines

TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(), "long": pa.int64(), "int": pa.int32(), "double": pa.float64(), "boolean": pa.bool_(),
    "timestamp_utc": pa.timestamp("us", "UTC"), "timestamp": pa.timestamp("us"), "strings": pa.list_(pa.string()),
}  # fmt: skip


def read_requests(file: Path) -> tuple[pa.Table, int]:
    """Return the requests of a file, and how many of its lines are none."""
    lines = read_request_lines(file)
    return requests_table(lines), lines.unreadable


def requests_table(lines: RequestLines) -> pa.Table:
    """Return the rows of a file as a table."""
    columns = zip(*lines.rows, strict=True) if lines.rows else ([] for _ in lines.columns)
    arrays = [_array(list(values), kind) for values, (_, kind) in zip(columns, lines.columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=[name for name, _ in lines.columns])


def _array(values: list[Any], kind: str) -> pa.Array:
    try:
        return pa.array(values, TYPES[kind])
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can write and no table can hold
        return pa.array(
            [value.encode("utf-8", "replace").decode() if isinstance(value, str) else value for value in values], TYPES[kind]
        )
