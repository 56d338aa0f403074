"""Writing a page file atomically."""

from __future__ import annotations

import secrets
from pathlib import Path


def write_page(path: Path, text: str) -> None:
    """Write a page, and its folder where it is missing; a reader sees the old page or the new one, never half of one.

    Characters that UTF-8 cannot encode, which file names may hold, become ``?``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(text.encode("utf-8", errors="replace"))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
