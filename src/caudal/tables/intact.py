"""Check whether a stored file still is what was stored. ADR 28 tells which check covers which bytes, and its cost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from caudal.errors import CaudalError
from caudal.storage import delta, delta_log
from caudal.storage.damage import damage_error, first_line, is_damage, translate_damage
from caudal.storage.place import Place, place, relative_path
from caudal.storage.storage_errors import translate_storage_errors

_BLOCK = 1 << 20
_AT_ONCE = 8
SMALL_BYTES = 256 << 10
"""Files up to this size are hashed before they are read: the footer, which no page checksum covers, is a large part of them."""
_ENTRIES = 2000  # a log with more entries is not read for hashes
_KEPT = 100_000
_whole: set[str] = set()  # files that this process has verified
_written: dict[
    Path, tuple[int, dict[str, str]]
] = {}  # by table: the version up to which its log was read, and the hashes of the added files


def sha256_of(file: Place) -> str:
    """Return the hash of a file's bytes."""
    digest = hashlib.sha256()
    with translate_storage_errors(file), file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def fault_of(file: Place | str, *, bytes: int | None = None, sha256: str | None = None, deep: bool = True) -> str | None:
    """Return a description of what is wrong with a stored Parquet file, or None.

    Parameters
    ----------
    bytes, sha256 : size and hash of the file as it was written, if known
    deep : whether every page is decoded; header and footer are checked in any case
    """
    from caudal.storage.parquet import open_parquet

    path = place(file) if isinstance(file, str) else file
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return f"'{path}' is gone"
    if bytes is not None and size != bytes:
        return f"'{path}' has {size:,} bytes, and {bytes:,} were written"
    if sha256 is not None and (actual := sha256_of(path)) != sha256:
        return f"'{path}' is not as it was written: sha256 {actual[:16]}…, written {sha256[:16]}…"
    try:
        with open_parquet(path) as parquet:
            for group in range(parquet.num_row_groups) if deep else ():
                parquet.read_row_group(group, use_threads=False)
    except Exception as error:  # noqa: BLE001 - a reader may raise anything on other bytes
        description = getattr(error, "what", None)
        return description.rstrip(".") if description else f"'{path}' is not as it was written: {first_line(error)}"
    return None


@contextmanager
def name_damaged_file(paths: Callable[[], Iterable[Place | str]], label: str) -> Iterator[None]:
    """Raise an error that names the damaged file if the block cannot read many stored files; they are then checked one by one.

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
                raise damage_error(f"{label}: {fault}.", file=str(path)) from error
        if is_damage(str(error)):
            raise damage_error(f"{label} is not as it was written: {first_line(error)}.") from error
        raise


def check_small(version: delta.Version, paths: Sequence[str], *, small_only: bool = True) -> None:
    """Check that a version's small files have the hashes in their commits; each file is read once per process.

    A remote lake relies on its server's checksums, and a table of more than 2,000 versions on `caudal verify`.

    Parameters
    ----------
    small_only : False where the reader ignores the checksums of pages: then large files are checked too

    Raises
    ------
    StorageDamaged : a file is not as it was written, or is gone
    """
    folder = version.folder
    if not isinstance(folder, Path) or version.number > _ENTRIES:
        return
    checked = {
        str(folder / unquote(file.path)): unquote(file.path)
        for file in version.files
        if not small_only or file.bytes <= SMALL_BYTES
    }
    unverified = [path for path in paths if path in checked and path not in _whole]
    if not unverified:
        return
    sums = _sums(folder, version.number)
    unverified = [path for path in unverified if checked[path] in sums]  # commits of older caudal versions have no hashes
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for path, sha256 in zip(unverified, threads.map(_sha256_of_stored, map(Path, unverified)), strict=True):
            if sha256 != sums[checked[path]]:
                raise damage_error(
                    f"Table '{folder.name}' is damaged: '{path}' is not as it was written.", table=folder.name, file=path
                )
    if len(_whole) > _KEPT:
        _whole.clear()
    _whole.update(unverified)


def _sha256_of_stored(file: Path) -> str:
    with translate_damage(file):
        return sha256_of(file)


def _sums(folder: Path, number: int) -> dict[str, str]:
    """Return the hashes of the files that a table's versions have added."""
    read_up_to, sums = _written.get(folder, (-1, {}))
    if read_up_to > number:  # another table has taken its place
        read_up_to, sums = -1, {}
    for version in range(read_up_to + 1, number + 1):
        entry = delta_log.entry_of(folder / "_delta_log", version)
        if entry.is_file():
            sums |= delta_log.sums_of(delta_log.actions(entry))
    _written[folder] = number, sums
    return sums


def missing_files(version: delta.Version) -> list[str]:
    """Describe the files of a table's version that are missing or have another size than was written; no file is opened."""
    expected = {unquote(file.path): file.bytes for file in version.files}
    faults = []
    for path, size in sizes(version.folder, list(expected)).items():
        if size is None:
            faults.append(f"'{version.folder / path}' is gone")
        elif size != expected[path]:
            faults.append(f"'{version.folder / path}' has {size:,} bytes, and {expected[path]:,} were written")
    return faults


def sizes(folder: Place, paths: Sequence[str]) -> dict[str, int | None]:
    """Return the sizes of files in a folder, None for a missing file; a remote folder is listed once."""
    if isinstance(folder, Path):
        return {path: _size(folder / path) for path in paths}
    listed = {relative_path(file, folder).as_posix(): file.stat().st_size for file in folder.rglob("*")} if paths else {}
    return {path: listed.get(path) for path in paths}


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def hash_files(files: Sequence[Place]) -> list[str]:
    """Return the hashes of files, reading several at once."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(sha256_of, files))
