"""Files packed by gzip."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO

PACKING, ORDER, MAGIC = ".gz", 10, b"\x1f\x8b"
UNPACKED_BY_SPARK = True  # of text: its workers unpack them in the stream


def open_file(path: Path) -> IO[bytes]:
    """Return the content of a file on this machine."""
    return gzip.open(path)  # type: ignore[return-value]
