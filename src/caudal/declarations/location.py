"""The place of a declaration in the user's files."""

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
            path = os.path.relpath(self.file)
        except ValueError:  # another drive on Windows
            path = self.file
        return f"{path if not path.startswith('..') else self.file}:{self.line}"


def outside() -> Location:
    """Return the innermost place in the call stack outside of caudal: the user's line that led here."""
    frame = sys._getframe(1)
    # A dataclass's constructor, written by Python, has no file.
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_OWN, "<string>")):
        frame = frame.f_back
    return Location(frame.f_code.co_filename, frame.f_lineno)


def caller(depth: int = 1) -> Location:
    """Return the place ``depth`` frames above the calling function."""
    frame = sys._getframe(depth + 1)
    return Location(frame.f_code.co_filename, frame.f_lineno)
