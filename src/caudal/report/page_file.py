"""A page on the disk, whole at any moment."""

from __future__ import annotations

import secrets
from pathlib import Path


def write_page(path: Path, text: str) -> None:
    """Write a page, its folder too; a reader finds the old page or the new one, never half of one.

    What is not UTF-8, such as the name of a file, shows ``?`` and stops nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(text.encode("utf-8", errors="replace"))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
