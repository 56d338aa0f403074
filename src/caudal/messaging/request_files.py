"""The files in which servers write the requests that they have answered, and from which these are landed: lines behind a header that names the columns.

A server appends whole lines to a file that it opens and locks for each append. Whoever takes the file locks it and gives it another name, so it may be taken at
any time, whether the server lives or not, and no line is in two files. A line that breaks off, because its server was killed or the disk was full, is none.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caudal.storage.lease import lock

OPEN, FINISHED = ".open", ".rows"
PATIENCE_S = 5.0  # for a lock, which is held while lines are appended

Columns = Sequence[tuple[str, str]]
"""Names and types: ``string | long | double | boolean | timestamp_utc | timestamp | strings``. Times are microseconds since 1970."""


class RequestFile:
    """A file of one server process that is appended to.

    Parameters
    ----------
    folder : Path, it must exist
    columns : of all its rows
    """

    def __init__(self, folder: Path, columns: Columns) -> None:
        self.path = folder / f"{int(time.time()):010d}-{secrets.token_hex(8)}{OPEN}"
        self._header = header_line(columns)

    def append(self, lines: bytes) -> int:
        """Append whole lines and return the size of the file.

        Raises
        ------
        OSError : they could not be written; the file is as it was
        """
        while True:
            with _locked(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as handle:
                if not _is_at(handle, self.path):  # taken between the opening and the lock
                    continue
                size = os.fstat(handle).st_size
                content = lines if size else self._header + lines
                try:
                    _write(handle, content)
                except OSError:
                    os.ftruncate(handle, size)
                    raise
                return size + len(content)

    def finish(self) -> None:
        """Give what was written to those who land it."""
        take(self.path)


@dataclass(frozen=True)
class RequestLines:
    """The content of a file: its columns, its rows, and how many lines are none."""

    columns: Columns
    rows: list[list[Any]]
    unreadable: int


def header_line(columns: Columns) -> bytes:
    """Return the first line of a file."""
    return json.dumps({"columns": [list(column) for column in columns]}).encode() + b"\n"


def take(file: Path) -> Path | None:
    """Take a file that may still be appended to, and return it under its new name; None where there is nothing in it.

    Its server goes on in a new file.
    """
    try:
        with _locked(file, os.O_RDWR) as handle:
            if not _is_at(handle, file) or not os.fstat(handle).st_size:
                return None
            finished = file.with_name(f"{file.name.removesuffix(OPEN)}-{time.time_ns()}{FINISHED}")
            file.rename(finished)
            return finished
    except FileNotFoundError:
        return None


def take_all(folder: Path) -> list[Path]:
    """Take the files that servers append to, and return all that are finished."""
    for file in sorted(folder.glob(f"*{OPEN}")):
        take(file)
    return finished_files(folder)


def finished_files(folder: Path, patience_s: float = math.inf) -> list[Path]:
    """Return the files that are finished, in order of their names, and those that have not been appended to for a time."""
    abandoned = [file for file in folder.glob(f"*{OPEN}") if _age_s(file) >= patience_s] if patience_s < math.inf else []
    return sorted([*folder.glob(f"*{FINISHED}"), *abandoned])


def all_files(folder: Path) -> list[Path]:
    """Return all files, those that servers append to among them."""
    return sorted([*folder.glob(f"*{OPEN}"), *finished_files(folder)])


def read_request_lines(file: Path) -> RequestLines:
    """Return the content of a file; a last line without an end is left out, and counted."""
    with file.open("rb") as opened:
        lines = opened.read().split(b"\n")
    unreadable = int(bool(lines.pop()))
    columns: list[tuple[str, str]] = []
    rows: list[list[Any]] = []
    for number, line in enumerate(lines):
        try:
            content = json.loads(line)
            if not number:
                columns = [(str(name), str(kind)) for name, kind in content["columns"]]
            elif len(content) != len(columns):
                raise ValueError(f"{len(content)} values")
            else:
                rows.append(content)
        except (ValueError, KeyError, TypeError):
            unreadable += 1
    return RequestLines(columns, rows, unreadable)


def rewrite(file: Path, columns: Columns, rows: Sequence[Sequence[Any]]) -> None:
    """Replace the content of a finished file, whose time of change stays."""
    stat = file.stat()
    draft = file.with_suffix(".draft")
    draft.write_bytes(header_line(columns) + b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows))
    os.utime(draft, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    draft.replace(file)


@contextmanager
def _locked(file: Path, flags: int) -> Iterator[int]:
    handle = os.open(file, flags, 0o644)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not lock(handle):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"'{file}' is locked")
            time.sleep(0.005)
        yield handle
    finally:
        os.close(handle)


def _age_s(file: Path) -> float:
    """Return the seconds since a file was appended to; none where it was given another name meanwhile."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_at(handle: int, file: Path) -> bool:
    """Return whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _write(handle: int, content: bytes) -> None:
    written = memoryview(content)
    while written:
        written = written[os.write(handle, written) :]
