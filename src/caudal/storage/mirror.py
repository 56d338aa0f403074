"""Alternative names for folders whose path a library cannot handle: links that exist as long as this process.

``deltalake`` writes to the given folder, but reads from that path decoded as a URL, so ``a%20b`` becomes ``a b`` and a backslash a
slash; it refuses control characters. Such a table is presented to it in a folder with another name, in which the log is a link to the table's
own: ``deltalake`` reads and writes only the log, and data files are named relative to the table.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from caudal.storage.place import Place

_WINDOWS = os.name == "nt"  # a backslash separates folders there, and links need a privilege
_NOT_PLAIN = re.compile(r"[^\w/.+=,@ \-]", re.ASCII)
_UNSPEAKABLE = re.compile(r"%|\\|[\x00-\x1f\x7f]")


def delta_address(folder: Place) -> str:
    """Return the address under which ``deltalake`` finds a table."""
    if not isinstance(folder, Path) or _WINDOWS or not _UNSPEAKABLE.search(str(folder)):
        return str(folder)
    mirror = _mirrors() / _digest(folder)
    link, log = mirror / "_delta_log", folder.absolute() / "_delta_log"
    if not link.is_symlink():
        log.mkdir(parents=True, exist_ok=True)
        mirror.mkdir(exist_ok=True)
        link.symlink_to(log, target_is_directory=True)
    return str(mirror)


def plain_folder(folder: Path) -> Path:
    """Return a path of plain characters to a folder, for a library that treats paths as URLs: the folder itself, or a link to
    it."""
    if _WINDOWS or not _NOT_PLAIN.search(str(folder)):
        return folder
    link = _mirrors() / f"{_digest(folder)}-link"
    if not link.is_symlink():
        link.symlink_to(folder, target_is_directory=True)
    return link


def _digest(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]


@functools.cache
def _mirrors() -> Path:
    temporary = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="caudal-names-", dir="/tmp" if _NOT_PLAIN.search(temporary) else temporary))  # noqa: S108
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # removes the links, not their targets
    return folder
