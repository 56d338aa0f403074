"""Match rows in memory: which rows of two sides match, and which rows have arrived before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from caudal.declarations.join import JoinShape
from caudal.errors import StepFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pairs(left: pa.Table, right: pa.Table, shape: JoinShape) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers of the left and the right row of each pair: int64 [n], int64 [n]."""
    low, high, order = _match_ranges(left, right, shape)
    counts = high - low
    left_numbers = np.repeat(np.arange(len(left)), counts)
    ahead = np.arange(len(left_numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
    return left_numbers, order[np.repeat(low, counts) + ahead]


def has_match(left: pa.Table, right: pa.Table, shape: JoinShape) -> NDArray[np.bool_]:
    """Return which left rows have a right row: bool [n]."""
    low, high, _ = _match_ranges(left, right, shape)
    matched: NDArray[np.bool_] = high > low
    return matched


def join_pairs(
    left: pa.Table, right: pa.Table, shape: JoinShape, left_numbers: NDArray[np.int64], right_numbers: NDArray[np.int64]
) -> pa.Table:
    """Return the joined rows of pairs."""
    columns = [left.column(name).take(pa.array(left_numbers)) for name in shape.left]
    columns += [right.column(name).take(pa.array(right_numbers)) for name in shape.right]
    return pa.table(columns, names=list(shape.columns))


def unmatched(left: pa.Table, right: pa.Schema, shape: JoinShape) -> pa.Table:
    """Return the joined rows of left rows without a match."""
    columns = [left.column(name) for name in shape.left]
    columns += [pa.chunked_array([pa.nulls(len(left), right.field(name).type)]) for name in shape.right]
    return pa.table(columns, names=list(shape.columns))


def first_of_keys(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return the first row of each key."""
    return new_rows(rows, rows.slice(0, 0), keys)


def new_rows(rows: pa.Table, earlier: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return the first row of each key that is not among the earlier rows."""
    if not len(rows):
        return rows
    earlier_codes, codes = _codes(earlier, rows, keys)
    new = np.zeros(len(rows), bool)
    new[np.unique(codes, return_index=True)[1]] = True
    new &= ~np.isin(codes, earlier_codes)
    return rows if new.all() else rows.filter(pa.array(new))


def is_known(rows: pa.Table, earlier: pa.Table, keys: Sequence[str]) -> NDArray[np.bool_]:
    """Return which rows have keys that are among the earlier rows: bool [n]."""
    earlier_codes, codes = _codes(earlier, rows, keys)
    matched: NDArray[np.bool_] = np.isin(codes, earlier_codes)
    return matched


def moments_in_micros(rows: pa.Table, column: str) -> NDArray[np.int64]:
    """Return a column of moments in microseconds since 1970: int64 [n]."""
    return np.asarray(rows.column(column).cast(pa.timestamp("us", "UTC")).cast(pa.int64()), dtype=np.int64)


def _match_ranges(
    left: pa.Table, right: pa.Table, shape: JoinShape
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the start and end of each left row's matches in an order of the right rows, and that order."""
    for name in shape.on:
        _check_types(left.schema.field(name).type, right.schema.field(name).type, name, shape)
    left_codes, right_codes = _codes(left, right, shape.on)
    if shape.within_us is None or shape.right_at is None:
        order = np.argsort(right_codes, kind="stable")
        return (*_between(right_codes[order], left_codes, left_codes + 1, left_codes), order)
    left_times, right_times = moments_in_micros(left, shape.left_at), moments_in_micros(right, shape.right_at)
    times = np.unique(right_times)
    step = len(times) + 1  # places per code: one for each time, and an end
    order = np.lexsort((right_times, right_codes))
    place = (right_codes * step + np.searchsorted(times, right_times))[order]
    low = left_codes * step + np.searchsorted(times, left_times - shape.within_us, side="left")
    high = left_codes * step + np.searchsorted(times, left_times + shape.within_us, side="right")
    return (*_between(place, low, high, left_codes), order)


def _between(
    place: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64], codes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    null = codes < 0
    start, end = np.searchsorted(place, low), np.searchsorted(place, high)
    return np.where(null, 0, start), np.where(null, 0, end)


def _codes(left: pa.Table, right: pa.Table, names: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a code for the values of some columns, equal where the values are equal; -1 where one is null, which matches nothing."""
    left_count = len(left)
    codes, null = np.zeros(left_count + len(right), np.int64), np.zeros(left_count + len(right), bool)
    for name in names:
        left_values, right_values = _same_type(left.column(name), right.column(name))
        encoded = (
            pa.chunked_array([*left_values.chunks, *right_values.chunks], left_values.type).combine_chunks().dictionary_encode()
        )
        null |= np.asarray(encoded.is_null())
        values = np.asarray(encoded.indices.fill_null(0), dtype=np.int64)
        codes = np.unique(codes * max(len(encoded.dictionary), 1) + values, return_inverse=True)[1].astype(np.int64)
    codes[null] = -1
    return codes[:left_count], codes[left_count:]


def _same_type(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return two columns cast to one type."""
    common = next((type_ for kind, type_ in _FAMILIES if kind(left.type)), left.type)
    return left.cast(common), right.cast(common)


def _check_types(left: pa.DataType, right: pa.DataType, name: str, shape: JoinShape) -> None:
    """Raise StepFailed where values of two types cannot be equal."""
    if left != right and not any(kind(left) and kind(right) for kind, _ in _FAMILIES):
        raise StepFailed(
            f"Join '{shape.name}' is on '{name}', which is {left} on the left and {right} on the right.",
            fix="Cast one of them in a separate table.", where=shape.where, table=shape.name, column=name,
        )  # fmt: skip


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


_FAMILIES = ((pa.types.is_integer, pa.int64()), (pa.types.is_floating, pa.float64()), (_is_text, pa.string()))
