"""Versions of rows in landed files: which files hold a key that a newer file holds again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caudal.lake.landing import LandedFile
from caudal.lake.parquet import read

if TYPE_CHECKING:
    import pyarrow as pa


def in_order(files: Sequence[LandedFile]) -> list[LandedFile]:
    """Return the files of extractions, oldest first; corrections, which are rows by themselves, are left out."""
    return sorted((file for file in files if file.kind != "correction"), key=lambda file: (file.seq, file.path))


def touched(old: Sequence[LandedFile], new: Sequence[LandedFile], key: Sequence[str]) -> set[str]:
    """Return the segments of old files that hold a key of the new ones."""
    import pyarrow as pa

    if not new or not old:
        return set()
    again = pa.concat_tables([_keys(file, key) for file in new], promote_options="permissive")
    return {file.segment for file in old if _meet(_keys(file, key), again)}


def superseded(files: Sequence[LandedFile], key: str) -> list[tuple[str, str]]:
    """Return segment and key of every row whose key a newer file holds again."""
    newest: dict[str, str] = {}
    gone: list[tuple[str, str]] = []
    for file in in_order(files):
        for one in _keys(file, [key]).column(0).to_pylist():
            if one in newest:
                gone.append((newest[one], one))
            newest[one] = file.segment
    return gone


def _keys(file: LandedFile, key: Sequence[str]) -> pa.Table:
    return read(file.stored, key).replace_schema_metadata()


def _meet(one: pa.Table, other: pa.Table) -> bool:
    import pyarrow as pa

    try:
        return bool(one.cast(other.schema).join(other, one.column_names, join_type="left semi").num_rows)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):  # a key of another type: look at the file again
        return True
