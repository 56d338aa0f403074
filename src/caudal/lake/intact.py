"""Is a stored file still what was stored? What covers which bytes, and what it costs, is told in ADR 28."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from caudal.lake import delta
from caudal.lake.away import answering
from caudal.lake.damage import first_line
from caudal.lake.place import Place, below, place

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK = 1 << 20
_AT_ONCE = 8


def sha256_of(file: Place) -> str:
    """Return the hash of a file's bytes."""
    digest = hashlib.sha256()
    with answering(file), file.open("rb") as opened:
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
    from caudal.lake.parquet import opened

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
