"""Whether two versions of a table hold the same rows, to the bit and whatever their order, and in which columns they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEY = "caudalcomparison"  # of sixteen letters, as pandas wants it
_MISSING = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class HashedRows:
    """The rows of a table as one number for each value: equal values have equal numbers.

    Parameters
    ----------
    columns : by name, 64 bits a row
    types : of the columns, by name
    """

    columns: Mapping[str, NDArray[np.uint64]]
    types: Mapping[str, str]
    count: int

    def rows(self, names: Sequence[str]) -> NDArray[np.uint64]:
        """Return a number for each row, made of some columns."""
        combined = np.full(self.count, 1469598103934665603, dtype=np.uint64)
        for name in names:
            combined = (combined ^ self.columns[name]) * _MIX
            combined ^= combined >> np.uint64(29)
        return combined

    def digest(self, names: Sequence[str]) -> str:
        """Return a text that is the same for the same rows, of the same types, in any order."""
        ordered = np.sort(self.rows(names))
        header = repr([(name, self.types[name]) for name in names]).encode()
        return hashlib.sha256(header + ordered.tobytes()).hexdigest()[:16]

    def same_types(self, other: HashedRows, names: Sequence[str]) -> bool:
        """Return whether another table has these columns, of the same types."""
        return all(other.types.get(name) == self.types[name] for name in names)


def hashed_rows(table: pa.Table) -> HashedRows:
    """Return a table's rows as numbers; columns of caudal's own, whose names begin with ``_``, are left out."""
    names = sorted(name for name in table.column_names if not name.startswith("_"))
    return HashedRows(
        {name: _hashed(table.column(name)) for name in names}, {name: str(table.schema.field(name).type) for name in names}, table.num_rows
    )  # fmt: skip


def lost_and_doubled(truth: HashedRows, other: HashedRows, names: Sequence[str]) -> tuple[int, int]:
    """Return how many rows of the truth the other lacks, and how many it has beyond the truth's."""
    counts = pd.Series(truth.rows(names)).value_counts().sub(pd.Series(other.rows(names)).value_counts(), fill_value=0)
    return int(counts[counts > 0].sum()), int(-counts[counts < 0].sum())


def differing_rows(first: HashedRows, second: HashedRows, name: str) -> int:
    """Return how many values of a column one table has more than the other: all of them where types differ."""
    if first.types.get(name) != second.types.get(name):
        return max(first.count, second.count)
    lost, doubled = lost_and_doubled(first, second, (name,))
    return max(lost, doubled)


def largest_difference(first: pa.ChunkedArray, second: pa.ChunkedArray) -> float | None:
    """Return the largest relative difference of numbers, each column in order of size; None where they are no numbers or not as many."""
    if not (pa.types.is_floating(first.type) and pa.types.is_floating(second.type)):
        return None
    values, others = (np.sort(each.drop_null().to_numpy().astype("float64")) for each in (first, second))
    if len(values) != len(others) or not len(values):
        return None
    size = np.maximum(np.abs(values), np.abs(others))
    with np.errstate(invalid="ignore", divide="ignore"):
        differences = np.where(values == others, 0.0, np.abs(values - others) / size)
    return float(np.nanmax(differences)) if np.isfinite(differences).any() else None


def _hashed(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    missing = np.asarray(column.is_null())
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_floating(kind):  # to the bit: 0.0 is not -0.0
        bits = column.fill_null(0.0).to_numpy().astype("float64").view("uint64")
        hashed = pd.util.hash_array(bits)
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        hashed = pd.util.hash_array(column.cast(pa.int64()).fill_null(0).to_numpy())
    elif pa.types.is_date32(kind):
        hashed = pd.util.hash_array(column.cast(pa.int32()).cast(pa.int64()).fill_null(0).to_numpy())
    elif pa.types.is_timestamp(kind):
        hashed = pd.util.hash_array(column.cast(pa.timestamp("us", kind.tz)).cast(pa.int64()).fill_null(0).to_numpy())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        hashed = _hashed_texts(column.fill_null("").to_numpy(zero_copy_only=False))
    else:
        texts = np.array([repr(value) for value in column.to_pylist()], dtype=object)
        hashed = _hashed_texts(texts)
    return np.where(missing, _MISSING, hashed.astype(np.uint64))


def _hashed_texts(texts: NDArray[np.object_]) -> NDArray[np.uint64]:
    return pd.util.hash_array(texts, hash_key=_KEY, categorize=True)
