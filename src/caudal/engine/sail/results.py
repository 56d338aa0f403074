"""Results in a form in which two engines can be compared to the bit."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

NAN = "NaN"
NO_MESSAGE = "no message"
"""What the reason of a verdict begins with, where a case could not be put to Sail."""
JUDGED = "judged.pickle"
"""The file in which the verdicts are kept, by `Case.key`."""
KNOWN = "known.pickle"
"""The file in which Spark's results are kept, by form and text of the case."""


@dataclass
class Result:
    """What an engine makes of a case.

    Attributes
    ----------
    type : str, the type as Spark writes it; empty if the case was refused before it ran
    values : by row's number, the value in comparable form
    raised : the first line of the error by the number of each row that raises
    refused : str, the first line of the error that refuses the case for every row
    tried : bool, whether the rows that raise are to be tried on the other engine
    """

    type: str = ""
    values: dict[int, Hashable] = field(default_factory=dict)
    raised: dict[int, str] = field(default_factory=dict)
    refused: str = ""
    tried: bool = True


@dataclass(frozen=True)
class EngineAgreement:
    """What the comparison of one case says.

    Attributes
    ----------
    status : str, ``equal``, ``raises`` (equal but for rows for which Sail raises and Spark does not), ``digits`` (the last
        digits of doubles differ), ``order`` (they depend on the order in which rows are added), ``unsupported`` or ``different``
    example : where it differs, the input, Spark's result and Sail's
    """

    status: str
    example: tuple[str, str, str] | None = None
    reason: str = ""


EQUAL = EngineAgreement("equal")
RANKS = ("equal", "raises", "order", "digits", "unsupported", "different")
CLOSE = 1e-6
"""Relative difference up to which doubles differ in their last digits only; floats have seven."""


def worse(one: EngineAgreement, other: EngineAgreement) -> EngineAgreement:
    """Return the worse of two verdicts."""
    return one if RANKS.index(one.status) >= RANKS.index(other.status) else other


def are_close(one: Hashable, other: Hashable) -> bool:
    """Return whether two values in comparable form are numbers that differ in the last digits only."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    try:
        return math.isclose(float.fromhex(one), float.fromhex(other), rel_tol=CLOSE, abs_tol=1e-12)
    except (ValueError, OverflowError):
        return False


def comparable(column: pa.ChunkedArray | pa.Array) -> list[Hashable]:
    """Return the values of a column so that equal means equal to the bit, but for the bits of a NaN."""
    try:
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return [value for chunk in chunks for value in _values(chunk)]
    except KeyError:  # intervals of months, of which Arrow's Python has no values: not equal to anything
        return ["an interval of months"] * len(column)


def _values(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _values(array.dictionary_decode())
    if pa.types.is_floating(kind):
        return [None if value is None else NAN if value != value else value.hex() for value in array.to_pylist()]
    if pa.types.is_timestamp(kind):
        return list(array.cast(pa.timestamp("us", tz=kind.tz)).view(pa.int64()).to_pylist())
    if pa.types.is_date32(kind):
        return list(array.view(pa.int32()).to_pylist())
    if pa.types.is_duration(kind):
        return list(array.cast(pa.duration("us")).view(pa.int64()).to_pylist())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return list(array.cast(pa.large_string()).view(pa.large_binary()).to_pylist())
    if pa.types.is_string_view(kind):
        return _values(array.cast(pa.large_string()))
    if pa.types.is_decimal(kind):
        return [None if value is None else str(value) for value in array.to_pylist()]
    if pa.types.is_map(kind):
        keys, items = _values(array.keys), _values(array.items)
        start = array.offsets.to_pylist()
        first = start[0] if start else 0
        pairs = list(zip(keys, items, strict=True))
        shift = first if len(pairs) < (start[-1] if start else 0) else 0
        return [
            tuple(pairs[start[i] - shift : start[i + 1] - shift]) if valid else None
            for i, valid in enumerate(array.is_valid().to_pylist())
        ]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        flat, lengths = _values(array.flatten()), pc.list_value_length(array).to_pylist()
        lists, place = [], 0
        for length in lengths:
            lists.append(None if length is None else tuple(flat[place : place + length]))
            place += length or 0
        return lists
    if pa.types.is_struct(kind):
        fields = [_values(array.field(place)) for place in range(kind.num_fields)]
        return (
            [
                tuple(row) if valid else None
                for row, valid in zip(zip(*fields, strict=True), array.is_valid().to_pylist(), strict=True)
            ]
            if fields
            else [()] * len(array)
        )
    return list(array.to_pylist())


def error_line(error: BaseException | str) -> str:
    """Return the first line of an error, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def result_of_frame(name: str, frame: Any) -> Result:
    """Return the result of a whole query: its rows in their order if the name says so, else sorted."""
    schema = json.loads(frame.schema.json())
    result = Result(json.dumps([[each["name"], without_nullability(each["type"])] for each in schema["fields"]], sort_keys=True))
    table = frame.toArrow()
    rows: list[Any] = list(zip(*(comparable(column) for column in table.columns), strict=True)) if table.num_columns else []
    result.values = dict(enumerate(rows if name.startswith("in order") else sorted(rows, key=repr)))
    return result


def without_nullability(kind: Any) -> Any:
    """Return a type without what says where nulls may be."""
    if isinstance(kind, dict):
        return {
            name: without_nullability(value)
            for name, value in kind.items()
            if name not in ("nullable", "containsNull", "valueContainsNull", "metadata")
        }
    return [without_nullability(value) for value in kind] if isinstance(kind, list) else kind
