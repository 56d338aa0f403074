"""A path that leads to no product → the product that was meant."""

from __future__ import annotations

import os
from collections import deque
from itertools import islice
from pathlib import Path

from caudal.errors import nearest

LEVELS = 3
# A mistyped path is answered at once, also in a home folder or beside a lake of a million files.
MOST_FOLDERS = 400
MOST_ENTRIES = 5_000
SKIPPED = {"node_modules", "tests", "__pycache__"}


def product_near(asked: Path, file: str) -> Path | None:
    """Return the folder holding ``file`` that ``asked`` was meant for, or None when none is near.

    It is looked for below the working directory and below the deepest folder on the way to ``asked`` that exists. The last
    component decides; the whole path does where it comes near to one product only.
    """
    if asked.suffix == ".py":
        beside = nearest(asked.name, (path.name for path in asked.parent.glob("*.py")))
        if beside:
            return asked.parent / beside
        asked = asked.parent
    meant = _whole(asked)
    found = {_typed(folder, asked): folder.name for root in _roots(meant) for folder in _holding(root, file)}
    typed = _typed(meant, asked)
    if name := nearest(meant.name, found.values()):
        alike = [path for path, last in found.items() if last == name]
        return Path(nearest(typed, alike) or alike[0])
    whole = nearest(typed, found)
    if whole is None or nearest(typed, found.keys() - {whole}):
        return None
    return Path(whole)


def _whole(path: Path) -> Path:
    """Return ``path`` from the root, without dots; links stay as they are."""
    return Path(os.path.normpath(path.absolute()))


def _typed(folder: Path, asked: Path) -> str:
    """Return ``folder`` as it is typed: from the root where ``asked`` is, else from the working directory."""
    return str(folder) if asked.is_absolute() else os.path.relpath(folder)


def _roots(meant: Path) -> list[Path]:
    here = Path.cwd()
    nearby = next((folder for folder in meant.parents if folder.is_dir()), here)
    return [here] if nearby in (here, Path(nearby.anchor)) else [nearby, here]


def _holding(root: Path, file: str) -> list[Path]:
    """Return the folders at and below ``root`` that hold ``file``, the shallow ones first."""
    found = []
    waiting = deque([(root, 0)])
    for _ in range(MOST_FOLDERS):
        if not waiting:
            break
        folder, level = waiting.popleft()
        try:
            if (folder / file).is_file():
                found.append(folder)
                if level:  # what lies in a product is its own
                    continue
            if level == LEVELS:
                continue
            with os.scandir(folder) as entries:
                below = sorted(entry.name for entry in islice(entries, MOST_ENTRIES) if entry.is_dir(follow_symlinks=False))
        except OSError:  # not for us to read, or gone
            continue
        waiting.extend((folder / name, level + 1) for name in below if not name.startswith(".") and name not in SKIPPED)
    return found
