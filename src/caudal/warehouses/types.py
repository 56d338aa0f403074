"""Translate Arrow types to PostgreSQL's, and values to what `COPY` reads."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as t

_SAME = {
    "bool": "boolean", "int8": "smallint", "int16": "smallint", "int32": "integer", "int64": "bigint", "float": "real",
    "double": "double precision", "date32[day]": "date", "time64[us]": "time without time zone", "null": "text",
}  # fmt: skip


def type_of(arrow: pa.DataType) -> str:
    """Return PostgreSQL's type for an Arrow type, written as the catalog writes it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> type_of(pa.decimal128(10, 2)), type_of(pa.list_(pa.int64())), type_of(pa.struct([("a", pa.int8())]))
    ('numeric(10,2)', 'bigint[]', 'jsonb')
    """
    if (same := _SAME.get(str(arrow))) is not None:
        return same
    if t.is_decimal(arrow):
        return f"numeric({arrow.precision},{arrow.scale})"
    if t.is_timestamp(arrow):
        return "timestamp with time zone" if arrow.tz else "timestamp without time zone"
    if t.is_binary(arrow) or t.is_large_binary(arrow) or t.is_binary_view(arrow) or t.is_fixed_size_binary(arrow):
        return "bytea"
    if _is_list(arrow) and not t.is_nested(arrow.value_type):
        return f"{type_of(arrow.value_type)}[]"
    return "jsonb" if t.is_nested(arrow) else "text"


def copy_values(column: pa.Array) -> tuple[pa.Array, int]:
    """Return a column in the form that Arrow's CSV writer gives to `COPY`, and the number of values that lost zero characters.

    PostgreSQL cannot store a text with a zero character.
    """
    kind = column.type
    if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
        return _without_zero(column.cast(pa.large_string()) if t.is_string_view(kind) else column)
    if t.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz="UTC" if kind.tz else None)), 0
    if type_of(kind) == "bytea":
        return pa.array([None if value is None else "\\x" + value.hex() for value in column.to_pylist()], pa.string()), 0
    if type_of(kind).endswith("[]"):
        return _array(column)
    if t.is_nested(kind):
        documents = pa.array([None if value is None else _json(value, kind) for value in column.to_pylist()], pa.large_string())
        text = pc.replace_substring(documents, "\\u0000", "")
        return text, int(pc.sum(pc.not_equal(documents, text)).as_py() or 0)
    if t.is_decimal(kind) or t.is_time(kind):
        return column.cast(pa.string()), 0
    return column, 0


def _is_list(arrow: pa.DataType) -> bool:
    return bool(t.is_list(arrow) or t.is_large_list(arrow) or t.is_fixed_size_list(arrow))


def _without_zero(text: pa.Array) -> tuple[pa.Array, int]:
    count = int(pc.sum(pc.match_substring(text, "\0")).as_py() or 0)
    return (pc.replace_substring(text, "\0", ""), count) if count else (text, 0)


def _array(column: pa.Array) -> tuple[pa.Array, int]:
    """Return lists in PostgreSQL's notation: ``{1,2}``."""
    values, zero_count = copy_values(column.flatten())
    text = values.cast(pa.string())
    if t.is_large_string(values.type) or t.is_string(values.type):
        for mark in ("\\", '"'):
            text = pc.replace_substring(text, mark, "\\" + mark)
        text = pc.binary_join_element_wise('"', text, '"', "")
    text = text.fill_null("NULL")
    lengths = pc.list_value_length(column).cast(pa.int32()).fill_null(0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, text), ",")
    whole = pc.binary_join_element_wise("{", joined, "}", "")
    return pc.if_else(column.is_null(), None, whole), zero_count


def _json(value: object, kind: pa.DataType) -> str:
    return json.dumps(_plain(value, kind), ensure_ascii=True)


def _plain(value: Any, kind: pa.DataType) -> object:
    """Return a nested value in JSON's types; a number that JSON lacks becomes text."""
    if value is None:
        return None
    if t.is_struct(kind):
        return {field.name: _plain(value[field.name], field.type) for field in kind}
    if t.is_map(kind):
        return {str(key): _plain(item, kind.item_type) for key, item in value}
    if _is_list(kind):
        return [_plain(item, kind.value_type) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
