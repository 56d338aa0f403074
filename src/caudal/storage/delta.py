"""Delta tables: Spark writes the Parquet files, this commits them. Readers see the old version or the new one.

The commit is made by ``deltalake`` (Rust), in milliseconds and without a JVM; see ADR 2. Every commit carries the identity and
the figures of the step that made it, so that the ledger can be brought back in step with the data after a kill.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from caudal.errors import NotThere
from caudal.storage import delta_log
from caudal.storage.damage import VERIFY, damaged, first_line
from caudal.storage.mirror import delta_address
from caudal.storage.place import Place, Remote, below as seen_from, delta_options, remove, source
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    from deltalake import DeltaTable

DAY = "_day"  # the partition column of tables partitioned by event-time day
NO_DAY = "__HIVE_DEFAULT_PARTITION__"  # how Spark names the folder of rows without an event time
_REMEMBERED = 64  # versions of remote tables: a version never changes, and reading one takes some requests
_seen: dict[tuple[Remote, int], Version] = {}

# Threads of Delta's library come and go with the files that it opens at once, and each would have freed memory of its own to keep: a
# stream that commits ten times a second came to hold 100 MB more in half an hour of event time, and 65 so. Read when it is imported.
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0")


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table version."""

    path: str  # relative to the table's folder
    bytes: int
    rows: int
    day: str | None = None  # ISO date; None in tables without partitions and for rows without an event time
    sha256: str | None = field(default=None, compare=False)  # of its bytes as they were written, where a commit is to tell it

    @property
    def segment(self) -> str | None:
        """The raw file that its rows come from, in tables that are written so."""
        found = re.search(r"_segment=([0-9a-f]+)/", self.path)
        return found.group(1) if found else None


@dataclass(frozen=True)
class Version:
    """A published version of a table: its files, its schema (Spark JSON), and what the commit said of itself."""

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
        """Return absolute file names, of the given days and raw files only where given."""
        wanted, those = None if days is None else set(days), None if segments is None else set(segments)
        return [
            str(self.folder / unquote(file.path))
            for file in self.files
            if (wanted is None or file.day in wanted) and (those is None or file.segment in those)
        ]


def version_of(folder: Place) -> int | None:
    """Return the number of the newest version, or None where there is no table.

    Versions follow one another without a gap, so the few after the last checkpoint are looked for by name: a table of a stream has
    ten thousand versions a day, and listing them would take longer each time.
    """
    log = folder / "_delta_log"
    if isinstance(log, Remote):  # one listing; asking for a file that is not there takes two requests
        return max(delta_log.numbers(log), default=None)
    number = delta_log.checkpointed(log)
    if number is None or not delta_log.entry_of(log, number).exists():
        if not log.is_dir():
            return None
        return max(delta_log.numbers(log), default=None)
    while delta_log.entry_of(log, number + 1).exists():
        number += 1
    return number


def read(folder: Place, version: int | None = None) -> Version:
    """Return a table's version, the newest unless told.

    Raises
    ------
    NotThere : there is no such table or version
    """
    if not isinstance(folder, Remote):
        return _read(folder, _open(folder, version))
    number = version_of(folder) if version is None else version
    known = _seen.get((folder, number or 0))
    if known is None or number is None:
        known = _read(folder, _open(folder, number))
        if len(_seen) >= _REMEMBERED:
            _seen.pop(next(iter(_seen)))
        _seen[folder, known.number] = known
    return known


def forget() -> None:
    """Look at every remote table anew: one may have been moved away and another be in its place."""
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
    """Return what the commit of a version said of itself; empty for commits that caudal did not make."""
    if isinstance(folder, Remote) and (known := _seen.get((folder, version))) is not None:
        return dict(known.identity)
    entry = delta_log.entry_of(folder / "_delta_log", version)
    try:
        content = entry.read_bytes()
    except FileNotFoundError:
        return {}
    return dict(json.loads(delta_log.info_of(entry, content.splitlines()).get("caudal", "{}")))


def staged(folder: Place, below: Place) -> list[DataFile]:
    """Return the Parquet files that Spark left under ``below``, which lies in the table's folder."""

    def measured(path: Place) -> DataFile:
        import pyarrow.parquet as pq

        with translate_storage_errors(path):
            held = source(path)
            rows = pq.read_metadata(held).num_rows
        days = [part.partition("=")[2] for part in seen_from(path, below).parts if part.startswith(f"{DAY}=")]
        day = days[0] if days and days[0] != NO_DAY else None
        return DataFile(seen_from(path, folder).as_posix(), path.stat().st_size, rows, day, _sum(held))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(measured, sorted(below.rglob("*.parquet"))))
    for file in found:
        if file.rows == 0:  # a task without rows; no version is to name it
            (folder / unquote(file.path)).unlink()
    return [file for file in found if file.rows > 0]


def commit(
    folder: Place,
    files: Sequence[DataFile],
    schema: Mapping[str, Any],
    *,
    partitioned: bool,
    replace: Literal["all", "none"] | set[str | None] | frozenset[str],
    identity: Mapping[str, Any],
    removed_kept: str = "interval 36500 days",
) -> int:
    """Publish files as the table's next version, in one atomic step, and return its number.

    Parameters
    ----------
    replace : ``"all"`` takes every older file out, ``"none"`` none of them, a set of days those of these days, a frozenset of
        path fragments those whose path holds one of them
    schema : Spark's JSON; with ``"all"`` it becomes the table's, else new columns are added to the table's
    removed_kept : how long checkpoints tell of files that were taken out; said when the table is made. The files themselves stay
    """
    from deltalake.exceptions import CommitFailedError

    before = version_of(folder)
    try:
        with translate_storage_errors(folder):
            _commit(folder, before, files, schema, partitioned, replace, identity, removed_kept)
    except CommitFailedError:
        # A server can have taken the commit and died before it said so; asked again, it says that there is one.
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
    said = _properties(identity, {file.path: file.sha256 for file in files if file.sha256 is not None}, len(files))
    # Nothing of the log expires; to look whether anything has would take longer with each version.
    after = PostCommitHookProperties(cleanup_expired_logs=False)
    by = [DAY] if partitioned else []
    options = delta_options(folder)
    if before is None:
        folder.mkdir(parents=True, exist_ok=True)
        create_table_with_add_actions(
            delta_address(folder), delta_schema, adds, mode="error", partition_by=by, commit_properties=said,
            configuration={
                # Time travel by run is for ever: nothing of the log is cleaned up behind our back.
                "delta.logRetentionDuration": "interval 36500 days",
                "delta.deletedFileRetentionDuration": removed_kept,
            },
            storage_options=options,
        )  # fmt: skip
        return
    table = _open(folder, None)
    if replace == "all":
        if table.metadata().partition_columns != by:
            create_table_with_add_actions(
                delta_address(folder),
                delta_schema,
                adds,
                mode="overwrite",
                partition_by=by,
                commit_properties=said,
                storage_options=options,
            )
        else:
            table.create_write_transaction(
                adds, "overwrite", delta_schema, partition_by=by, commit_properties=said, post_commithook_properties=after
            )
    else:
        older = [] if replace == "none" else _read(folder, table).files
        if _widen(table, delta_schema):
            table = _open(folder, None)
        removes = [_remove(file, partitioned, now_ms) for file in older if _leaves(file, replace)]
        table.create_write_transaction(
            [*adds, *removes], "append", table.schema(), partition_by=by, commit_properties=said, post_commithook_properties=after
        )


def _properties(identity: Mapping[str, Any], hashes: Mapping[str, str] | None = None, adds: int | None = None) -> Any:
    from deltalake.transaction import CommitProperties

    told = {
        "caudal": json.dumps(identity, default=str, allow_nan=False),
        **({delta_log.SUMS: json.dumps(hashes)} if hashes else {}),
    }
    told |= {} if adds is None else {delta_log.ADDS: str(adds)}
    return CommitProperties(custom_metadata=told, max_commit_retries=0)


def _sum(held: Any) -> str | None:
    """Return the hash of a file that is about to be published; None of a large remote one: its server keeps sums of its own."""
    import pyarrow as pa

    if isinstance(held, Path):
        with held.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    if isinstance(held, pa.BufferReader):
        held.seek(0)
        return hashlib.sha256(held.read()).hexdigest()
    return None


def _says(folder: Place, number: int, said: Mapping[str, Any]) -> bool:
    return bool(identity(folder, number) == json.loads(json.dumps(said, default=str)))


def checkpoint(folder: Place) -> None:
    """Sum up the log, so that a reader need not read every commit of it."""
    _open(folder, None).create_checkpoint()


def sweep(folder: Place, kept_names: Collection[str] = ()) -> int:
    """Take away what a dead run left in a table's folder: files that no version names. Returns how many went.

    Parameters
    ----------
    kept_names : names of files that stay although no version names them yet
    """
    if not folder.is_dir():
        return 0
    named = _named_ever(folder)
    gone = 0
    stages: list[Place] = list(folder.glob("part-*"))
    for stage in stages:
        kept = False
        for path in stage.rglob("*"):
            if path.is_file():
                if seen_from(path, folder).as_posix() in named or path.name in kept_names:
                    kept = True
                else:
                    path.unlink()
                    gone += 1
        if not kept:
            remove(stage)
    return gone


def _named_ever(folder: Place) -> set[str]:
    log = folder / "_delta_log"
    named: set[str] = set()
    with ThreadPoolExecutor(8) as pool:
        for entry in pool.map(delta_log.actions, log.glob("*.json") if log.is_dir() else ()):
            named |= {unquote(action["add"]["path"]) for action in entry if "add" in action}
    return named


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
        raise damaged(f"The log of table '{folder.name}' is damaged: {first_line(error)}.", VERIFY, table=folder.name) from error


def _add(file: DataFile, partitioned: bool, now_ms: int) -> Any:
    from deltalake.transaction import AddAction

    values = {DAY: file.day} if partitioned else {}
    return AddAction(file.path, file.bytes, values, now_ms, True, json.dumps({"numRecords": file.rows}))


def _remove(file: DataFile, partitioned: bool, now_ms: int) -> Any:
    from deltalake.transaction import RemoveAction

    return RemoveAction(file.path, True, now_ms, file.bytes, {DAY: file.day} if partitioned else None)


def _leaves(file: DataFile, replace: str | set[str | None] | frozenset[str]) -> bool:
    if isinstance(replace, frozenset):
        return any(fragment in file.path for fragment in replace)
    return not isinstance(replace, str) and file.day in replace


def _widen(table: DeltaTable, schema: Any) -> bool:
    """Add columns that are new to a table and tell whether there were any."""
    have = {field.name for field in table.schema().fields}
    new = [field for field in schema.fields if field.name not in have]
    if new:
        table.alter.add_columns(new)
    return bool(new)


def _storable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with every column nullable: the expectations say what must not be null, the file format does not."""
    return {**schema, "fields": [{**field, "nullable": True} for field in schema["fields"]]}


def _iso(day: object) -> str | None:
    if day is None:
        return None
    return day.isoformat() if isinstance(day, dt.date) else str(day)
