"""Files packed by bzip2."""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import IO

PACKING, ORDER, MAGIC = ".bz2", 11, b"BZh"
UNPACKED_BY_SPARK = True  # of text: its workers unpack them in the stream


def open_file(path: Path) -> IO[bytes]:
    """Return the content of a file on this machine."""
    return bz2.open(path)
