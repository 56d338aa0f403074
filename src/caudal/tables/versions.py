"""Keys in several landed files: which files hold a key that a newer file holds again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from caudal.storage.parquet import read_parquet
from caudal.tables.landing import LandedFile


def in_order(files: Sequence[LandedFile]) -> list[LandedFile]:
    """Return the files of extractions, oldest first; corrections, which are independent rows, are left out."""
    return sorted((file for file in files if file.kind != "correction"), key=lambda file: (file.seq, file.path))


Named = Callable[[str], str]
"""Translates a key of older files to its current form."""


def segments_with_keys(
    old: Sequence[LandedFile], new: Sequence[LandedFile], key: Sequence[str], named: Named | None = None
) -> set[str]:
    """Return the segments of old files that hold a key of the new ones; ``named`` is for keys of a single column."""
    if not new or not old:
        return set()
    new_keys = pa.concat_tables([_keys(file, key, named) for file in new], promote_options="permissive")
    return {file.segment for file in old if _meet(_keys(file, key, named), new_keys)}


def superseded(files: Sequence[LandedFile], key: str, named: Named | None = None) -> list[tuple[str, str]]:
    """Return segment and key of every row whose key a newer file holds again."""
    newest: dict[str, str] = {}
    replaced: list[tuple[str, str]] = []
    for file in in_order(files):
        for value in _keys(file, [key], named).column(0).to_pylist():
            if value in newest:
                replaced.append((newest[value], value))
            newest[value] = file.segment
    return replaced


def _keys(file: LandedFile, key: Sequence[str], named: Named | None = None) -> pa.Table:
    keys = read_parquet(file.stored, key).replace_schema_metadata()
    if named is None:
        return keys
    return pa.table({key[0]: pa.array([named(value) for value in keys.column(0).to_pylist()], keys.schema.field(0).type)})


def _meet(keys: pa.Table, other_keys: pa.Table) -> bool:
    try:
        return bool(keys.cast(other_keys.schema).join(other_keys, keys.column_names, join_type="left semi").num_rows)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):  # a key of another type: look at the file again
        return True
