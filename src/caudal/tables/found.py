"""Rows of a table version that match a condition, file by file: each knows the commit that brought it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from caudal.storage import delta, delta_log
from caudal.storage.damage import stored
from caudal.storage.parquet import dataset
from caudal.storage.place import Place

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Found:
    """Rows of one data file, and the version whose commit brought the file."""

    file: delta.DataFile
    version: int
    rows: pa.Table


def matching(
    version: delta.Version, wanted: Callable[[pa.Table], pa.Array], *, days: Iterable[str | None] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[Found]:  # fmt: skip
    """Yield the rows for which ``wanted`` gives true; files without any are left out."""
    import pyarrow as pa
    from deltalake import Schema

    whole = pa.schema(Schema.from_json(json.dumps(dict(version.schema))).to_arrow())
    schema = pa.schema([field for field in whole if field.name != delta.DAY and (columns is None or field.name in columns)])
    brought = brought_in(version.folder, version.number)
    among = None if days is None else set(days)
    for file in version.files:
        if among is not None and file.day not in among:
            continue
        path = version.folder / unquote(file.path)
        with stored(path, f"Table '{version.folder.name}'"):
            rows = dataset([str(path)], schema).to_table()
        found = rows.filter(wanted(rows))
        if len(found):
            yield Found(file, brought.get(unquote(file.path), version.number), found)


def brought_in(folder: Place, until: int) -> dict[str, int]:
    """Return for each file that a table has ever named, up to a version, the version that brought it."""
    brought: dict[str, int] = {}
    for entry in delta_log.commits(folder):
        if int(entry.stem) > until:
            continue
        for action in delta_log.actions(entry):
            if "add" in action:
                brought[unquote(action["add"]["path"])] = int(entry.stem)
    return brought
