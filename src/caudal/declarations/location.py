"""Where in the user's files a thing was declared."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120 (a prefix of what frames hold)


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


def outside() -> Location:
    """Return the nearest place above that is not caudal's own: where the user has written what is wrong."""
    frame = sys._getframe(1)
    # A dataclass's constructor, written by Python, has no file.
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_OWN, "<string>")):
        frame = frame.f_back
    return Location(frame.f_code.co_filename, frame.f_lineno)


def caller(depth: int = 1) -> Location:
    """Return the place ``depth`` frames above the function that asks."""
    frame = sys._getframe(depth + 1)
    return Location(frame.f_code.co_filename, frame.f_lineno)
