"""Zip archives, of which the chosen members are read (``packed.py``)."""

from __future__ import annotations

from caudal.stages.ingest.raw import is_zip
from caudal.storage.place import Place

PACKING, ORDER, MAGIC = ".zip", 14, b"PK"
HOLDS_MEMBERS = True


def fault(path: Place) -> str | None:
    """Return why an archive is incomplete, or None: its directory is at its end."""
    return None if is_zip(path) else "is truncated: it has no zip directory at its end"
