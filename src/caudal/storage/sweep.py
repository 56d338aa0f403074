"""Delete the files of Delta tables that no version names."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

from caudal.storage import delta_log
from caudal.storage.place import Place, relative_path, remove


def sweep(folder: Place, kept_names: Collection[str] = ()) -> int:
    """Delete files in a table's folder that no version names, left by a killed run. Return their number.

    Parameters
    ----------
    kept_names : names of files to keep although no version names them yet
    """
    if not folder.is_dir():
        return 0
    named = _named_ever(folder)
    deleted = 0
    stages: list[Place] = list(folder.glob("part-*"))
    for stage in stages:
        has_kept_files = False
        for path in stage.rglob("*"):
            if path.is_file():
                if relative_path(path, folder).as_posix() in named or path.name in kept_names:
                    has_kept_files = True
                else:
                    path.unlink()
                    deleted += 1
        if not has_kept_files:
            remove(stage)
    return deleted


def _named_ever(folder: Place) -> set[str]:
    log = folder / "_delta_log"
    named: set[str] = set()
    with ThreadPoolExecutor(8) as pool:
        for entry in pool.map(delta_log.actions, log.glob("*.json") if log.is_dir() else ()):
            named |= {unquote(action["add"]["path"]) for action in entry if "add" in action}
    return named
