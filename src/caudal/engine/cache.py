"""The user's cache folder, for files that are expensive to create and safe to delete."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from platformdirs import user_cache_path


def cache_dir(*parts: str) -> Path:
    """Return the folder ``parts`` below the user's cache, created if it is missing.

    ``CAUDAL_CACHE`` names the cache, else it is where the system keeps caches: ``XDG_CACHE_HOME/caudal`` or ``~/.cache/caudal`` on Linux. Where
    an earlier caudal has made ``~/.cache/caudal`` on another system, that is it.
    """
    chosen = os.environ.get("CAUDAL_CACHE")
    before = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caudal"
    root = Path(chosen) if chosen else before if before.expanduser().is_dir() else user_cache_path("caudal", appauthor=False)
    folder = root.expanduser().absolute().joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def put_file(target: Path, content: bytes, *, mode: int = 0o644) -> Path:
    """Write ``content`` at ``target`` so that other processes see the complete file or none; return ``target``."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary = Path(name)
        temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def put_folder(finished: Path, target: Path) -> Path:
    """Move the folder ``finished`` to ``target``; if another process has already created ``target``, keep that one."""
    try:
        finished.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(finished, ignore_errors=True)
    return target
