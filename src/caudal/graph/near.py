"""Find the product that a mistyped path meant."""

from __future__ import annotations

import os
from collections import deque
from itertools import islice
from pathlib import Path

from caudal.errors import nearest

LEVELS = 3
# These limits keep the search fast, also in a home folder or next to a lake of a million files.
MOST_FOLDERS = 400
MOST_ENTRIES = 5_000
SKIPPED = {"node_modules", "tests", "__pycache__"}


def product_near(requested: Path, file: str) -> Path | None:
    """Return the folder with ``file`` whose path is nearest to ``requested``; None where none is near.

    The search covers the working directory and the deepest existing parent folder of ``requested``. The last component decides;
    the by_path path decides where it is near to one product only.
    """
    if requested.suffix == ".py":
        similar_file = nearest(requested.name, (path.name for path in requested.parent.glob("*.py")))
        if similar_file:
            return requested.parent / similar_file
        requested = requested.parent
    meant = _absolute(requested)
    products = {_as_typed(folder, requested): folder.name for root in _search_roots(meant) for folder in _folders_with(root, file)}
    typed = _as_typed(meant, requested)
    if name := nearest(meant.name, products.values()):
        alike = [path for path, last in products.items() if last == name]
        return Path(nearest(typed, alike) or alike[0])
    by_path = nearest(typed, products)
    if by_path is None or nearest(typed, products.keys() - {by_path}):
        return None
    return Path(by_path)


def _absolute(path: Path) -> Path:
    """Return ``path`` as an absolute path without ``.`` and ``..``; links are not followed."""
    return Path(os.path.normpath(path.absolute()))


def _as_typed(folder: Path, requested: Path) -> str:
    """Return ``folder`` in the style of ``requested``: absolute where that is, else relative to the working directory."""
    return str(folder) if requested.is_absolute() else os.path.relpath(folder)


def _search_roots(meant: Path) -> list[Path]:
    working_folder = Path.cwd()
    nearby = next((folder for folder in meant.parents if folder.is_dir()), working_folder)
    return [working_folder] if nearby in (working_folder, Path(nearby.anchor)) else [nearby, working_folder]


def _folders_with(root: Path, file: str) -> list[Path]:
    """Return the folders at and below ``root`` that hold ``file``, the shallow ones first."""
    folders = []
    waiting = deque([(root, 0)])
    for _ in range(MOST_FOLDERS):
        if not waiting:
            break
        folder, level = waiting.popleft()
        try:
            if (folder / file).is_file():
                folders.append(folder)
                if level:  # folders within a product belong to it
                    continue
            if level == LEVELS:
                continue
            with os.scandir(folder) as entries:
                below = sorted(entry.name for entry in islice(entries, MOST_ENTRIES) if entry.is_dir(follow_symlinks=False))
        except OSError:  # not readable, or deleted meanwhile
            continue
        waiting.extend((folder / name, level + 1) for name in below if not name.startswith(".") and name not in SKIPPED)
    return folders
