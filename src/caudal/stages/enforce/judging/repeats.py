"""Find written rows that repeat the key of another row.

Shuffling whole rows to bring equal keys together would cost more than writing them, and reading the keys beforehand makes Spark compute
them twice. So rows are written first; then only the key columns are read back, partition by partition, and compared by Arrow. Rows
whose key occurs more than once, usually few, are moved out of their files and compared exactly (`write.settle`). For the cost, see
``benchmarks/README.md`` (5 million rows with a key of 40 characters, of which 979 repeat one).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from caudal.engine.settings import usable_cores
from caudal.stages.enforce.judging.content import REASONS
from caudal.stages.enforce.judging.profile import parquet
from caudal.storage.parquet import WRITTEN, count_file_rows, open_written
from caudal.storage.place import Place, overwrite, readable, relative_path, writable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]  # bool, one a row of a file


class UniqueRule(Protocol):
    """What is read of a rule ``unique``."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns whose values together occur once."""

    @property
    def nulls(self) -> str:
        """Whether nulls are ``equal`` or ``distinct``."""


MANY = 50_000_000  # rows of a partition up to which this process compares keys; in a larger one, Spark compares all rows


@dataclass(frozen=True)
class Key:
    """The columns of a key, without those that folders are named after."""

    columns: tuple[str, ...]
    nulls_equal: bool = False


def move_repeats(folder: Place, verdicts: Sequence[str], waiting: str, keys: Sequence[Key], rules: set[str]) -> bool:
    """Move rows whose key is repeated from their files to the folder ``waiting``; return whether there were any.

    Parameters
    ----------
    folder : written rows, ``<verdict>/<partitions>/*.parquet``
    verdicts : the folders of the verdicts, that of good rows first
    keys : the key of each rule; rows of different partitions are never compared
    rules : names of all rules; a row with any other reason could not be read and is not compared
    """
    groups: dict[PurePath, list[tuple[Place, bool]]] = {}
    for verdict in verdicts:
        for file in parquet(folder / verdict):
            groups.setdefault(relative_path(file.parent, folder / verdict), []).append((file, verdict != verdicts[0]))

    def move_group(group: tuple[PurePath, list[tuple[Place, bool]]]) -> bool:
        partition, files = group
        moved = False
        for position, ((file, _), mask) in enumerate(zip(files, _find_repeats(files, keys, rules), strict=True)):
            if mask.any():  # a task gives its files of both verdicts the same name
                _move_rows(file, mask, folder / waiting / partition / f"{position}-{file.name}")
                moved = True
        return moved

    with ThreadPoolExecutor(usable_cores()) as threads:
        return any(list(threads.map(move_group, sorted(groups.items()))))


def _find_repeats(files: Sequence[tuple[Place, bool]], keys: Sequence[Key], rules: set[str]) -> list[Mask]:
    """Return for each file (given with whether its rows have reasons) which of its rows have a key that occurs more than once in all files."""
    lengths = [count_file_rows(file) for file, _ in files]
    ends = np.cumsum(lengths)
    if ends[-1] > MANY:
        return [np.ones(length, bool) for length in lengths]
    names = list(dict.fromkeys(name for key in keys for name in key.columns))
    tables, unread_of = [], []
    for (file, reasons), length in zip(files, lengths, strict=True):
        with open_written(file) as opened:
            table = opened.read([*names, REASONS] if reasons else names, use_threads=False)
        unread_of.append(_unreadable(table.column(REASONS), rules) if reasons else np.zeros(length, bool))
        tables.append(table)
    unread = np.concatenate(unread_of)
    all_keys = pa.concat_tables([table.select(names) for table in tables])
    repeated = np.zeros(len(unread), bool)
    for key in keys:
        if not key.columns:  # the folder is the key
            repeated[:] = len(repeated) > 1
            continue
        code, complete = _codes([all_keys.column(name) for name in key.columns])
        compared = np.flatnonzero((complete | key.nulls_equal) & ~unread)
        if len(compared):
            repeated[compared] |= np.bincount(code[compared])[code[compared]] > 1
    return np.split(repeated, ends[:-1])


def _unreadable(reasons: pa.ChunkedArray, rules: set[str]) -> Mask:
    """Return which rows were set aside because they could not be read; no rule judges them."""
    if reasons.null_count == len(reasons):
        return np.zeros(len(reasons), bool)
    has_reasons = pc.greater(pc.list_value_length(reasons), 0).fill_null(False)
    unread = np.zeros(len(reasons), bool)
    first_reasons = pc.list_element(reasons.filter(has_reasons), 0)
    unread[np.asarray(has_reasons)] = ~np.asarray(pc.is_in(first_reasons, value_set=pa.array(sorted(rules), pa.string())))
    return unread


def _codes(columns: Sequence[pa.ChunkedArray]) -> tuple[NDArray[np.int64], Mask]:
    """Return a code for each row, equal only for rows with equal keys, and whether no part of the key is null."""
    codes: NDArray[np.int64] = np.zeros(0, np.int64)
    complete: Mask = np.zeros(0, bool)
    for place, column in enumerate(columns):
        code, is_valid, size = _codes_of_column(column)
        complete = is_valid if place == 0 else complete & is_valid
        # Renumbered each time, so that the product of sizes cannot overflow.
        codes = code if place == 0 else np.unique(codes * size + code, return_inverse=True)[1]
    return codes, complete


def _codes_of_column(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], Mask, int]:
    values = pa.array([repr(value) for value in column.to_pylist()]) if pa.types.is_nested(column.type) else column.combine_chunks()
    if pa.types.is_floating(values.type):
        values = pc.add(values, pa.scalar(0.0, values.type))  # -0.0 and 0.0 are one value, as they are for Spark
    coded = values.dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    is_valid = np.asarray(column.is_valid())
    return np.asarray(coded.indices.fill_null(len(coded.dictionary))).astype(np.int64), is_valid, len(coded.dictionary) + 1


def _move_rows(file: Place, mask: Mask, waiting: Place) -> None:
    """Move the rows of a file that a mask selects into another file; the remaining rows replace the file."""
    with pq.ParquetFile(readable(file)) as parquet_file:
        codec = parquet_file.metadata.row_group(0).column(0).compression.lower()
        table = parquet_file.read()
    waiting.parent.mkdir(parents=True, exist_ok=True)
    with writable(waiting) as to:
        pq.write_table(table.filter(mask), to, compression=codec, **WRITTEN)
    if mask.all():
        file.unlink()
        return
    remainder = file.with_name("." + file.name)
    with writable(remainder) as to:
        pq.write_table(table.filter(~mask), to, compression=codec, **WRITTEN)
    overwrite(file, remainder)


def keys_of(rules: Sequence[UniqueRule], within: Sequence[str], by: Sequence[str]) -> Iterator[Key]:
    """Yield the key of each ``unique`` rule, with the columns that divide the table and are not folders."""
    for rule in rules:
        yield Key(
            (*(name for name in within if name not in by), *(name for name in rule.keys if name not in by)), rule.nulls == "equal"
        )
