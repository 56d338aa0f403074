"""Rows as JSON, to the letter as Spark's ``to_json`` writes them (nulls included), made by Arrow and Python.

For engines whose own ``to_json`` writes times or numbers in another form. Only rows that are set aside are ever written so.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPED = r'[\x00-\x1f"\\]'
_SHORT = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}


def rows_as_json(columns: Sequence[pa.Array], names: Sequence[str]) -> pa.StringArray:
    """Return each row of some columns, at least one, as a JSON object.

    Raises
    ------
    TypeError : a column is of a type whose text is not known to be Spark's

    Examples
    --------
    >>> rows_as_json([pa.array([1e7, 0.5]), pa.array(["a", None])], ["x", "y"]).to_pylist()
    ['{"x":1.0E7,"y":"a"}', '{"x":0.5,"y":null}']
    """
    parts: list[pa.Array | str] = []
    for place, (column, name) in enumerate(zip(columns, names, strict=True)):
        parts += ["{" if place == 0 else ",", f"{_text(name)}:", _column_as_json(column)]
    return pc.binary_join_element_wise(*parts, "}", "")


def _column_as_json(column: pa.Array) -> pa.StringArray:
    """Return the texts of a column's values: most by Arrow, the others value by value."""
    kind, t = column.type, pa.types
    if t.is_timestamp(kind) or t.is_date(kind):
        texts = _times_as_json(column)
    elif t.is_boolean(kind) or t.is_integer(kind):
        texts = column.cast(pa.string())
    elif t.is_float64(kind) or t.is_float32(kind):
        texts = _numbers_as_json(column)
    elif (t.is_string(kind) or t.is_large_string(kind)) and not pc.any(pc.match_substring_regex(column, _ESCAPED)).as_py():
        texts = pc.binary_join_element_wise('"', column.cast(pa.string()), '"', "")
    else:
        write = _writer(kind)
        texts = pa.array([None if value is None else write(value) for value in column.to_pylist()], pa.string())
    return pc.fill_null(texts, "null")


def _numbers_as_json(numbers: pa.Array) -> pa.StringArray:
    """Return floating-point numbers as Java writes them; Arrow has the same digits, and in plain notation only lacks the ``.0`` of whole ones."""
    texts = numbers.cast(pa.string())
    texts = pc.if_else(pc.match_substring(texts, "."), texts, pc.binary_join_element_wise(texts, ".0", ""))
    size = pc.abs(numbers)
    least, most = (pa.scalar(bound, numbers.type) for bound in (1e-3, 1e7))
    is_plain = pc.or_(pc.equal(size, pa.scalar(0, numbers.type)), pc.and_(pc.greater_equal(size, least), pc.less(size, most)))
    others = pc.invert(pc.fill_null(is_plain, True))
    if not pc.any(others).as_py():
        return texts
    write = _writer(numbers.type)
    return pc.replace_with_mask(
        texts, others, pa.array([write(value) for value in numbers.filter(others).to_pylist()], pa.string())
    )


def _times_as_json(times: pa.Array) -> pa.StringArray:
    """Return days, or times in milliseconds, an instant in UTC; a year of more than four digits has a sign."""
    zone = ""
    if pa.types.is_timestamp(times.type):
        zone = "" if times.type.tz is None else "Z"
        times = pc.floor_temporal(times.cast(pa.timestamp(times.type.unit)), unit="millisecond").cast(pa.timestamp("ms"))
    signed = pc.replace_substring_regex(times.cast(pa.string()), r"^(\d{5})", r"+\1")
    return pc.binary_join_element_wise('"', pc.replace_substring(signed, " ", "T"), zone, '"', "")


def _value_as_json(value: object, write: Callable[..., str]) -> str:
    return "null" if value is None else write(value)


def _writer(kind: pa.DataType) -> Callable[..., str]:
    """Return the function that writes a value of a type that is not null."""
    t = pa.types
    if t.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if t.is_integer(kind):
        return str
    if t.is_float64(kind):
        return _double
    if t.is_float32(kind):
        return _float
    if t.is_decimal(kind):
        return lambda value: str(Decimal(value))
    if t.is_string(kind) or t.is_large_string(kind):
        return _text
    if t.is_binary(kind) or t.is_large_binary(kind):
        return lambda value: f'"{base64.b64encode(value).decode()}"'
    if t.is_date(kind):
        return lambda value: f'"{value.isoformat()}"'
    if t.is_timestamp(kind):
        return _instant if kind.tz else _wall_time
    if t.is_list(kind) or t.is_large_list(kind):
        write = _writer(kind.value_type)
        return lambda values: "[" + ",".join(_value_as_json(value, write) for value in values) + "]"
    if t.is_struct(kind):
        fields = [(_text(field.name), field.name, _writer(field.type)) for field in kind]
        return lambda value: "{" + ",".join(f"{key}:{_value_as_json(value[name], write)}" for key, name, write in fields) + "}"
    if t.is_null(kind):
        return str
    raise TypeError(f"A column of type {kind} as JSON is not known to be as Spark writes it.")


def _text(value: str) -> str:
    """Return a text as Jackson quotes it: no sign is escaped that need not be, and hexadecimal digits are capitals."""
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _CONTROL.sub(lambda sign: _SHORT.get(sign.group(), f"\\u{ord(sign.group()):04X}"), quoted)


def _double(value: float) -> str:
    return _java_number(value, repr(value))


def _float(value: float) -> str:
    return _java_number(value, np.format_float_scientific(np.float32(value), unique=True, trim="-"))


def _java_number(value: float, digits_text: str) -> str:
    """Return a number as Java writes it: in plain notation from 10^-3 up to 10^7, beyond as ``1.0E7``."""
    if math.isnan(value) or math.isinf(value):
        return json.dumps({True: "NaN"}.get(math.isnan(value), "Infinity" if value > 0 else "-Infinity"))
    sign, digits, exponent = Decimal(digits_text).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    before = "-" if sign else ""
    if value == 0:
        return f"{before}0.0"
    magnitude = len(text) + exponent - 1
    if -3 <= magnitude < 7:
        if magnitude < 0:
            return f"{before}0.{'0' * (-magnitude - 1)}{text}"
        whole, fraction = text[: magnitude + 1].ljust(magnitude + 1, "0"), text[magnitude + 1 :]
        return f"{before}{whole}.{fraction or '0'}"
    return f"{before}{text[0]}.{text[1:] or '0'}E{magnitude}"


def _wall_time(value: dt.datetime) -> str:
    return f'"{value.replace(tzinfo=None).isoformat(timespec="milliseconds")}"'


def _instant(value: dt.datetime) -> str:
    utc = value.astimezone(dt.UTC).replace(tzinfo=None)
    return f'"{utc.isoformat(timespec="milliseconds")}Z"'
