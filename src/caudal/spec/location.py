"""Where in the user's files a thing was declared."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """A file and a line, printed the way editors open them."""

    file: str
    line: int

    def __str__(self) -> str:
        try:
            shown = os.path.relpath(self.file)
        except ValueError:  # another drive on Windows
            shown = self.file
        return f"{shown if not shown.startswith('..') else self.file}:{self.line}"


def caller(depth: int = 1) -> Location:
    """Return the place ``depth`` frames above the function that asks."""
    frame = sys._getframe(depth + 1)
    return Location(frame.f_code.co_filename, frame.f_lineno)
