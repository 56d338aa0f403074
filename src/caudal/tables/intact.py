"""Is a stored file still what was stored? What covers which bytes, and what it costs, is told in ADR 28."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from caudal.errors import CaudalError
from caudal.storage import delta, delta_log
from caudal.storage.damage import damaged, first_line, is_damage, stored
from caudal.storage.place import Place, below, place
from caudal.storage.storage_errors import translate_storage_errors

_BLOCK = 1 << 20
_AT_ONCE = 8
SMALL_BYTES = 256 << 10
"""Up to here a file is hashed before it is read: of small files the footer, which no page's checksum covers, is a large part."""
_ENTRIES = 2000  # a log of more entries is not read for it
_KEPT = 100_000
_whole: set[str] = set()  # files that this process has found to be as they were written
_written: dict[Path, tuple[int, dict[str, str]]] = {}  # of a table's log up to a version: the hashes of the files that it brought


def sha256_of(file: Place) -> str:
    """Return the hash of a file's bytes."""
    digest = hashlib.sha256()
    with translate_storage_errors(file), file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def fault_of(file: Place | str, *, bytes: int | None = None, sha256: str | None = None, deep: bool = True) -> str | None:
    """Return what is wrong with a stored Parquet file, in words, or None.

    Parameters
    ----------
    bytes, sha256 : of the file as it was written, where they are known
    deep : whether every page is decoded; its header and footer are looked at in any case
    """
    from caudal.storage.parquet import opened

    path = place(file) if isinstance(file, str) else file
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return f"'{path}' is gone"
    if bytes is not None and size != bytes:
        return f"'{path}' has {size:,} bytes, and {bytes:,} were written"
    if sha256 is not None and (have := sha256_of(path)) != sha256:
        return f"'{path}' is not as it was written: sha256 {have[:16]}…, written {sha256[:16]}…"
    try:
        with opened(path) as parquet:
            for group in range(parquet.num_row_groups) if deep else ():
                parquet.read_row_group(group, use_threads=False)
    except Exception as error:  # noqa: BLE001 - whatever a reader makes of other bytes
        told = getattr(error, "what", None)
        return told.rstrip(".") if told else f"'{path}' is not as it was written: {first_line(error)}"
    return None


@contextmanager
def reading(paths: Callable[[], Iterable[Any]], what: str) -> Iterator[None]:
    """Tell which of many stored files is damaged when the block cannot read them: they are looked at one by one then.

    Raises
    ------
    StorageDamaged : one is
    """
    try:
        yield
    except CaudalError:
        raise
    except Exception as error:
        for path in paths():
            if (fault := fault_of(path)) is not None:
                raise damaged(f"{what}: {fault}.", file=str(path)) from error
        if is_damage(str(error)):
            raise damaged(f"{what} is not as it was written: {first_line(error)}.") from error
        raise


def check_small(version: delta.Version, paths: Sequence[str]) -> None:
    """Hold that the small ones of a version's files have the hashes that their commits tell; each is read once a process.

    A remote lake is left to its server's checksums, and a table of more than 2,000 versions to `caudal verify`.

    Raises
    ------
    StorageDamaged : one is not as it was written, or is gone
    """
    folder = version.folder
    if not isinstance(folder, Path) or version.number > _ENTRIES:
        return
    small = {str(folder / unquote(file.path)): unquote(file.path) for file in version.files if file.bytes <= SMALL_BYTES}
    asked = [path for path in paths if path in small and path not in _whole]
    if not asked:
        return
    sums = _sums(folder, version.number)
    asked = [path for path in asked if small[path] in sums]  # versions of before told none
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for path, sha256 in zip(asked, threads.map(_sha256_of_stored, map(Path, asked)), strict=True):
            if sha256 != sums[small[path]]:
                raise damaged(f"Table '{folder.name}' is damaged: '{path}' is not as it was written.", table=folder.name, file=path)
    if len(_whole) > _KEPT:
        _whole.clear()
    _whole.update(asked)


def _sha256_of_stored(file: Path) -> str:
    with stored(file):
        return sha256_of(file)


def _sums(folder: Path, number: int) -> dict[str, str]:
    """Return the hashes of the files that a table's versions have brought."""
    known, sums = _written.get(folder, (-1, {}))
    if known > number:  # another table has its place
        known, sums = -1, {}
    for version in range(known + 1, number + 1):
        entry = delta_log.entry_of(folder / "_delta_log", version)
        if entry.is_file():
            sums |= delta_log.sums_of(delta_log.actions(entry))
    _written[folder] = number, sums
    return sums


def missing(version: delta.Version) -> list[str]:
    """Return in words which files of a table's version are not there, or have another size than was written; no file is opened."""
    wanted = {unquote(file.path): file.bytes for file in version.files}
    faults = []
    for path, size in sizes(version.folder, list(wanted)).items():
        if size is None:
            faults.append(f"'{version.folder / path}' is gone")
        elif size != wanted[path]:
            faults.append(f"'{version.folder / path}' has {size:,} bytes, and {wanted[path]:,} were written")
    return faults


def sizes(folder: Place, paths: Sequence[str]) -> dict[str, int | None]:
    """Return the sizes of files in a folder, None where there is none; a remote folder is listed once."""
    if isinstance(folder, Path):
        return {path: _size(folder / path) for path in paths}
    listed = {below(file, folder).as_posix(): file.stat().st_size for file in folder.rglob("*")} if paths else {}
    return {path: listed.get(path) for path in paths}


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def hashes(files: Sequence[Place]) -> list[str]:
    """Return the hashes of files, several read at once."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(sha256_of, files))
