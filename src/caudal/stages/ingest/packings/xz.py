"""Files packed by xz."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import IO

PACKING, ORDER, MAGIC = ".xz", 13, b"\xfd7zXZ\x00"


def open_file(path: Path) -> IO[bytes]:
    """Return the content of a file on this machine."""
    return lzma.open(path)
