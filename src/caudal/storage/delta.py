"""Delta tables: Spark writes the Parquet files, this commits them. Readers see the old version or the new one.

``deltalake`` (Rust) makes the commit, in milliseconds and without a JVM; see ADR 2. Every commit contains the identity and
the figures of the step that made it, so that after a kill the ledger can be synchronized with the data.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from caudal.errors import NotThere
from caudal.storage import delta_log
from caudal.storage.damage import VERIFY, damage_error, first_line
from caudal.storage.mirror import delta_address
from caudal.storage.place import Place, Remote, delta_options, readable, relative_path
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable, Schema as DeltaSchema
    from deltalake.transaction import AddAction, CommitProperties, RemoveAction

DAY = "_day"  # the partition column of tables partitioned by event-time day
NO_DAY = "__HIVE_DEFAULT_PARTITION__"  # how Spark names the folder of rows without an event time
_REMEMBERED = 64  # cached versions of remote tables: a version never changes, and reading one takes several requests
_seen: dict[tuple[Remote, int], Version] = {}

# Delta's library starts threads for the files that it opens at once, and each thread would keep freed memory of its own: a
# stream with ten commits per second grew by 100 MB in half an hour of event time, and by 65 MB with this. Read at import.
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0")


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table version."""

    path: str  # relative to the table's folder
    bytes: int
    rows: int
    day: str | None = None  # ISO date; None in tables without partitions and for rows without an event time
    sha256: str | None = field(default=None, compare=False)  # of its bytes as written, if the commit is to record it

    @property
    def segment(self) -> str | None:
        """The raw file that its rows come from, in tables that are partitioned by raw file."""
        match_ = re.search(r"_segment=([0-9a-f]+)/", self.path)
        return match_.group(1) if match_ else None


@dataclass(frozen=True)
class Version:
    """A published version of a table: its files, its schema (Spark JSON), and its commit info."""

    folder: Place
    number: int
    files: tuple[DataFile, ...]
    schema: Mapping[str, Any]
    partitioned: bool
    identity: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Rows in this version."""
        return sum(file.rows for file in self.files)

    @property
    def days(self) -> set[str | None]:
        """Days that hold rows."""
        return {file.day for file in self.files} if self.partitioned else set()

    def paths(self, days: Iterable[str | None] | None = None, segments: Iterable[str] | None = None) -> list[str]:
        """Return absolute file names, limited to days and raw files if given."""
        wanted_days, wanted_segments = None if days is None else set(days), None if segments is None else set(segments)
        return [
            str(self.folder / unquote(file.path))
            for file in self.files
            if (wanted_days is None or file.day in wanted_days) and (wanted_segments is None or file.segment in wanted_segments)
        ]


def version_of(folder: Place) -> int | None:
    """Return the number of the newest version, or None if there is no table.

    Version numbers have no gaps, so the few after the last checkpoint are looked up by name: a table of a stream has
    ten thousand versions a day, and listing them would take longer each time.
    """
    log = folder / "_delta_log"
    if isinstance(log, Remote):  # one listing; asking for a file that is not there takes two requests
        return max(delta_log.entry_versions(log), default=None)
    number = delta_log.checkpointed(log)
    if number is None or not delta_log.entry_of(log, number).exists():
        if not log.is_dir():
            return None
        return max(delta_log.entry_versions(log), default=None)
    while delta_log.entry_of(log, number + 1).exists():
        number += 1
    return number


def read_version(folder: Place, version: int | None = None) -> Version:
    """Return a version of a table, by default the newest.

    Raises
    ------
    NotThere : the table or version does not exist
    """
    if not isinstance(folder, Remote):
        return _read(folder, _open(folder, version))
    number = version_of(folder) if version is None else version
    cached = _seen.get((folder, number or 0))
    if cached is None or number is None:
        cached = _read(folder, _open(folder, number))
        if len(_seen) >= _REMEMBERED:
            _seen.pop(next(iter(_seen)))
        _seen[folder, cached.number] = cached
    return cached


def forget_tables() -> None:
    """Drop the cache of remote tables: a table may have been moved away and replaced by another."""
    _seen.clear()


def _read(folder: Place, table: DeltaTable) -> Version:
    actions = table.get_add_actions(flatten=True)
    columns = {name: actions.column(name).to_pylist() for name in ("path", "size_bytes", "num_records")}
    partitioned = DAY in table.metadata().partition_columns
    days = actions.column(f"partition.{DAY}").to_pylist() if partitioned and columns["path"] else [None] * len(columns["path"])
    files = sorted(
        (
            DataFile(str(path), int(size), int(rows or 0), _iso(day))
            for path, size, rows, day in zip(columns["path"], columns["size_bytes"], columns["num_records"], days, strict=True)
        ),
        key=lambda file: file.path,
    )
    return Version(
        folder, table.version(), tuple(files), json.loads(table.schema().to_json()), partitioned, identity(folder, table.version())
    )


def identity(folder: Place, version: int) -> dict[str, Any]:
    """Return caudal's part of a version's commit info; empty for commits that caudal did not make."""
    if isinstance(folder, Remote) and (cached := _seen.get((folder, version))) is not None:
        return dict(cached.identity)
    entry = delta_log.entry_of(folder / "_delta_log", version)
    try:
        content = entry.read_bytes()
    except FileNotFoundError:
        return {}
    return dict(json.loads(delta_log.info_of(entry, content.splitlines()).get("caudal", "{}")))


def staged(folder: Place, below: Place) -> list[DataFile]:
    """Return the Parquet files that Spark wrote under ``below``, which is in the table's folder."""

    def read_file(path: Place) -> DataFile:
        import pyarrow.parquet as pq

        with translate_storage_errors(path):
            opened = readable(path)
            with pq.ParquetFile(
                opened, pre_buffer=False
            ) as file:  # `read_metadata` looks for a file system for each path, which takes longer
                rows = file.metadata.num_rows
        days = [part.partition("=")[2] for part in relative_path(path, below).parts if part.startswith(f"{DAY}=")]
        day = days[0] if days and days[0] != NO_DAY else None
        return DataFile(relative_path(path, folder).as_posix(), path.stat().st_size, rows, day, _sum(opened))

    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(read_file, sorted(below.rglob("*.parquet"))))
    for file in files:
        if file.rows == 0:  # a task without rows; no version should name it
            (folder / unquote(file.path)).unlink()
    return [file for file in files if file.rows > 0]


def commit(
    folder: Place,
    files: Sequence[DataFile],
    schema: Mapping[str, object],
    *,
    partitioned: bool,
    replace: Literal["all", "none"] | set[str | None] | frozenset[str],
    identity: Mapping[str, object],
    removed_kept: str = "interval 36500 days",
) -> int:
    """Publish files as the table's next version, in one atomic step, and return its number.

    Parameters
    ----------
    replace : ``"all"`` removes every older file, ``"none"`` none of them, a set of days the files of these days, a frozenset of
        path fragments the files whose path contains one of them
    schema : Spark's schema JSON; with ``"all"`` it replaces the table's, else new columns are added to the table
    removed_kept : how long checkpoints list removed files; set when the table is created. The files themselves stay
    """
    from deltalake.exceptions import CommitFailedError

    before = version_of(folder)
    try:
        with translate_storage_errors(folder):
            _commit(folder, before, files, schema, partitioned, replace, identity, removed_kept)
    except CommitFailedError:
        # A server may have accepted the commit and died before it replied; the retry then fails because the commit exists.
        number = version_of(folder)
        if number is None or number == before or not isinstance(folder, Remote) or not _says(folder, number, identity):
            raise
        return number
    number = version_of(folder)
    assert number is not None
    return number


def _commit(
    folder: Place, before: int | None, files: Sequence[DataFile], schema: Mapping[str, Any], partitioned: bool,
    replace: str | set[str | None] | frozenset[str], identity: Mapping[str, Any], removed_kept: str,
) -> None:  # fmt: skip
    from deltalake import Schema
    from deltalake.transaction import PostCommitHookProperties, create_table_with_add_actions

    now_ms = int(time.time() * 1000)
    adds = [_add(file, partitioned, now_ms) for file in files]
    delta_schema = Schema.from_json(json.dumps(_storable(schema)))
    properties = _properties(identity, {file.path: file.sha256 for file in files if file.sha256 is not None}, len(files))
    # Nothing in the log expires; a search for expired entries would take longer with each version.
    hook_properties = PostCommitHookProperties(cleanup_expired_logs=False)
    partition_columns = [DAY] if partitioned else []
    options = delta_options(folder)
    if before is None:
        folder.mkdir(parents=True, exist_ok=True)
        create_table_with_add_actions(
            delta_address(folder), delta_schema, adds, mode="error", partition_by=partition_columns, commit_properties=properties,
            configuration={
                # Time travel by run has no limit: the log must never be cleaned up automatically.
                "delta.logRetentionDuration": "interval 36500 days",
                "delta.deletedFileRetentionDuration": removed_kept,
            },
            storage_options=options,
        )  # fmt: skip
        return
    table = _open(folder, None)
    if replace == "all":
        if table.metadata().partition_columns != partition_columns:
            create_table_with_add_actions(
                delta_address(folder),
                delta_schema,
                adds,
                mode="overwrite",
                partition_by=partition_columns,
                commit_properties=properties,
                storage_options=options,
            )
        else:
            table.create_write_transaction(
                [*adds],
                "overwrite",
                delta_schema,
                partition_by=partition_columns,
                commit_properties=properties,
                post_commithook_properties=hook_properties,
            )
    else:
        older = [] if replace == "none" else _read(folder, table).files
        if _widen(table, delta_schema):
            table = _open(folder, None)
        removes = [_remove(file, partitioned, now_ms) for file in older if _leaves(file, replace)]
        table.create_write_transaction(
            [*adds, *removes],
            "append",
            table.schema(),
            partition_by=partition_columns,
            commit_properties=properties,
            post_commithook_properties=hook_properties,
        )


def _properties(
    identity: Mapping[str, object], hashes: Mapping[str, str] | None = None, adds: int | None = None
) -> CommitProperties:
    from deltalake.transaction import CommitProperties

    metadata = {
        "caudal": json.dumps(identity, default=str, allow_nan=False),
        **({delta_log.SUMS: json.dumps(hashes)} if hashes else {}),
    }
    metadata |= {} if adds is None else {delta_log.ADDS: str(adds)}
    return CommitProperties(custom_metadata=metadata, max_commit_retries=0)


def _sum(opened_file: Path | pa.NativeFile) -> str | None:
    """Return the hash of a file that is about to be published; None for a large remote file: its server has checksums of its
    own."""
    import pyarrow as pa

    if isinstance(opened_file, Path):
        with opened_file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    if isinstance(opened_file, pa.BufferReader):
        opened_file.seek(0)
        return hashlib.sha256(opened_file.read()).hexdigest()
    return None


def _says(folder: Place, number: int, expected: Mapping[str, Any]) -> bool:
    return bool(identity(folder, number) == json.loads(json.dumps(expected, default=str)))


def checkpoint(folder: Place) -> None:
    """Write a checkpoint of the log, so that a reader need not read every commit."""
    _open(folder, None).create_checkpoint()


def _open(folder: Place, version: int | None) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        with translate_storage_errors(folder):
            return DeltaTable(delta_address(folder), version=version, storage_options=delta_options(folder))
    except (TableNotFoundError, DeltaError) as error:
        newest = version_of(folder)
        if newest is None:
            raise NotThere(f"There is no table in {folder}.", fix="Run the product first.", table=folder.name) from None
        if version is not None and not 0 <= version <= newest:
            raise NotThere(
                f"Table '{folder.name}' has no version {version}; it has 0 to {newest}.", table=folder.name, cause=str(error)
            ) from None
        raise damage_error(
            f"The log of table '{folder.name}' is damaged: {first_line(error)}.", VERIFY, table=folder.name
        ) from error


def _add(file: DataFile, partitioned: bool, now_ms: int) -> AddAction:
    from deltalake.transaction import AddAction

    values = {DAY: file.day} if partitioned else {}
    return AddAction(file.path, file.bytes, values, now_ms, True, json.dumps({"numRecords": file.rows}))


def _remove(file: DataFile, partitioned: bool, now_ms: int) -> RemoveAction:
    from deltalake.transaction import RemoveAction

    return RemoveAction(file.path, True, now_ms, file.bytes, {DAY: file.day} if partitioned else None)


def _leaves(file: DataFile, replace: str | set[str | None] | frozenset[str]) -> bool:
    if isinstance(replace, frozenset):
        return any(fragment in file.path for fragment in replace)
    return not isinstance(replace, str) and file.day in replace


def _widen(table: DeltaTable, schema: DeltaSchema) -> bool:
    """Add a schema's new columns to a table, and return whether there were any."""
    existing = {field.name for field in table.schema().fields}
    new = [field for field in schema.fields if field.name not in existing]
    if new:
        table.alter.add_columns(new)
    return bool(new)


def _storable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with every column nullable: expectations enforce non-null values, the file format does not."""
    return {**schema, "fields": [{**field, "nullable": True} for field in schema["fields"]]}


def _iso(day: object) -> str | None:
    if day is None:
        return None
    return day.isoformat() if isinstance(day, dt.date) else str(day)
