"""Rows in memory: which belong together, and which have come before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from caudal.declarations.join import Shape
from caudal.errors import StepFailed

Array = np.ndarray[Any, Any]


def pairs(left: pa.Table, right: pa.Table, shape: Shape) -> tuple[Array, Array]:
    """Return the row numbers of the left and the right row of each pair: int64 [n], int64 [n]."""
    low, high, order = _ranges(left, right, shape)
    counts = high - low
    mine = np.repeat(np.arange(len(left)), counts)
    ahead = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
    return mine, order[np.repeat(low, counts) + ahead]


def has_match(left: pa.Table, right: pa.Table, shape: Shape) -> Array:
    """Tell which left rows have a right row: bool [n]."""
    low, high, _ = _ranges(left, right, shape)
    found: Array = high > low
    return found


def joined(left: pa.Table, right: pa.Table, shape: Shape, mine: Array, theirs: Array) -> pa.Table:
    """Return the rows of pairs."""
    columns = [left.column(name).take(pa.array(mine)) for name in shape.left]
    columns += [right.column(name).take(pa.array(theirs)) for name in shape.right]
    return pa.table(columns, names=list(shape.columns))


def alone(left: pa.Table, right: pa.Schema, shape: Shape) -> pa.Table:
    """Return the rows of left rows without a match."""
    columns = [left.column(name) for name in shape.left]
    columns += [pa.chunked_array([pa.nulls(len(left), right.field(name).type)]) for name in shape.right]
    return pa.table(columns, names=list(shape.columns))


def first(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return rows without those whose keys have come before in them."""
    return fresh(rows, rows.slice(0, 0), keys)


def fresh(rows: pa.Table, known: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return rows whose keys come neither among the known nor earlier in them."""
    if not len(rows):
        return rows
    theirs, mine = _codes(known, rows, keys)
    new = np.zeros(len(rows), bool)
    new[np.unique(mine, return_index=True)[1]] = True
    new &= ~np.isin(mine, theirs)
    return rows if new.all() else rows.filter(pa.array(new))


def among(rows: pa.Table, known: pa.Table, keys: Sequence[str]) -> Array:
    """Tell which rows have keys that are among the known: bool [n]."""
    theirs, mine = _codes(known, rows, keys)
    found: Array = np.isin(mine, theirs)
    return found


def micros(rows: pa.Table, column: str) -> Array:
    """Return a column of moments in microseconds since 1970: int64 [n]."""
    return np.asarray(rows.column(column).cast(pa.timestamp("us", "UTC")).cast(pa.int64()), dtype=np.int64)


def _ranges(left: pa.Table, right: pa.Table, shape: Shape) -> tuple[Array, Array, Array]:
    """Return an order of the right rows, and for each left row from where to where in it its matches lie."""
    for name in shape.on:
        _hold_alike(left.schema.field(name).type, right.schema.field(name).type, name, shape)
    mine, theirs = _codes(left, right, shape.on)
    if shape.within_us is None or shape.right_at is None:
        order = np.argsort(theirs, kind="stable")
        return (*_between(theirs[order], mine, mine + 1, mine), order)
    at, moments = micros(left, shape.left_at), micros(right, shape.right_at)
    times = np.unique(moments)
    step = len(times) + 1  # a code's places: one for each time there is, and an end
    order = np.lexsort((moments, theirs))
    place = (theirs * step + np.searchsorted(times, moments))[order]
    low = mine * step + np.searchsorted(times, at - shape.within_us, side="left")
    high = mine * step + np.searchsorted(times, at + shape.within_us, side="right")
    return (*_between(place, low, high, mine), order)


def _between(place: Array, low: Array, high: Array, mine: Array) -> tuple[Array, Array]:
    null = mine < 0
    start, end = np.searchsorted(place, low), np.searchsorted(place, high)
    return np.where(null, 0, start), np.where(null, 0, end)


def _codes(left: pa.Table, right: pa.Table, names: Sequence[str]) -> tuple[Array, Array]:
    """Return a number for the values of some columns, the same where they are equal; -1 where one is null, which equals nothing."""
    many = len(left)
    codes, null = np.zeros(many + len(right), np.int64), np.zeros(many + len(right), bool)
    for name in names:
        mine, theirs = _alike(left.column(name), right.column(name))
        told = pa.chunked_array([*mine.chunks, *theirs.chunks], mine.type).combine_chunks().dictionary_encode()
        null |= np.asarray(told.is_null())
        values = np.asarray(told.indices.fill_null(0), dtype=np.int64)
        codes = np.unique(codes * max(len(told.dictionary), 1) + values, return_inverse=True)[1].astype(np.int64)
    codes[null] = -1
    return codes[:many], codes[many:]


def _alike(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return two columns in one type."""
    common = next((type_ for kind, type_ in _FAMILIES if kind(left.type)), left.type)
    return left.cast(common), right.cast(common)


def _hold_alike(left: pa.DataType, right: pa.DataType, name: str, shape: Shape) -> None:
    """Raise where values of two types cannot be equal."""
    if left != right and not any(kind(left) and kind(right) for kind, _ in _FAMILIES):
        raise StepFailed(
            f"Join '{shape.name}' is on '{name}', which is {left} on the left and {right} on the right.",
            fix="Cast one of them in a table of its own.", where=shape.where, table=shape.name, column=name,
        )  # fmt: skip


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


_FAMILIES = ((pa.types.is_integer, pa.int64()), (pa.types.is_floating, pa.float64()), (_is_text, pa.string()))
