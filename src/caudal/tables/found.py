"""Rows of a table version that match a condition, file by file, each with the version that added the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import pyarrow as pa
from deltalake import Schema

from caudal.storage import delta, delta_log
from caudal.storage.damage import translate_damage
from caudal.storage.parquet import dataset
from caudal.storage.place import Place


@dataclass(frozen=True)
class MatchedRows:
    """Rows of one data file, and the version that added the file."""

    file: delta.DataFile
    version: int
    rows: pa.Table


def matching(
    version: delta.Version, condition: Callable[[pa.Table], pa.Array], *, days: Iterable[str | None] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[MatchedRows]:  # fmt: skip
    """Yield the rows for which ``condition`` returns true; files without matches are skipped."""
    full_schema = pa.schema(Schema.from_json(json.dumps(dict(version.schema))).to_arrow())
    schema = pa.schema([field for field in full_schema if field.name != delta.DAY and (columns is None or field.name in columns)])
    version_by_path = version_by_file(version.folder, version.number)
    wanted_days = None if days is None else set(days)
    for file in version.files:
        if wanted_days is not None and file.day not in wanted_days:
            continue
        path = version.folder / unquote(file.path)
        with translate_damage(path, f"Table '{version.folder.name}'"):
            rows = dataset([str(path)], schema).to_table()
        matches = rows.filter(condition(rows))
        if len(matches):
            yield MatchedRows(file, version_by_path.get(unquote(file.path), version.number), matches)


def version_by_file(folder: Place, until: int) -> dict[str, int]:
    """Return the version that added each file that a table has ever named, up to a version."""
    version_by_path: dict[str, int] = {}
    for entry in delta_log.commits(folder):
        if int(entry.stem) > until:
            continue
        for action in delta_log.actions(entry):
            if "add" in action:
                version_by_path[unquote(action["add"]["path"])] = int(entry.stem)
    return version_by_path
