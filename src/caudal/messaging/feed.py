"""The live feed of a product: numbered updates of its stream, written by one process and followed by others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from caudal.errors import EnvironmentProblem
from caudal.messaging.updates import Update
from caudal.storage.lease import lease

MOST_BYTES = 16 * 2**20
KEPT = 4  # files: some minutes of a busy stream, for a page that is opened late or reloaded

_WAIT_S = 10.0


class _Place(NamedTuple):
    """A byte of a file, the number of the last line before it, and the file's inode (0: not known)."""

    file: Path
    at: int
    number: int
    inode: int = 0


class Feed:
    """Updates as JSON lines in ``<first number>.jsonl``; a line's place in its file is its number.

    Appending locks the feed while a line is written, so that several queries of a product can share it. Readers
    take no lock: they stop at the end of the last line. The feed is only for display, so a loss by a power cut does not
    matter; the ledger keeps what matters.

    Parameters
    ----------
    folder : Path, ``<home>/live/<product>``
    most_bytes : a file that has reached this size is closed and the next one begun
    kept : number of files that are kept
    """

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES, files_kept: int = KEPT) -> None:
        self.folder, self._most_bytes, self._kept = folder, most_bytes, files_kept
        self._known: _Place | None = None  # the end of the last read, so that the next one reads only what is new

    def append(self, update: Update) -> int:
        """Write an update and return its number: 1 is the first, and a restart goes on counting.

        NumPy arrays and scalars may be in it; NaN becomes ``null``.

        Raises
        ------
        EnvironmentProblem : the disk does not accept it; no part of it is left
        """
        line = orjson.dumps(update, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS) + b"\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        with lease(self.folder / "lock", self.folder.name, wait_s=_WAIT_S):
            place = self._end()
            if place.at >= self._most_bytes or not place.file.name:
                place = _Place(self.folder / f"{place.number + 1:012d}.jsonl", 0, place.number)
            inode = _write(place, line)
            self._known = _Place(place.file, place.at + len(line), place.number + 1, inode)
            if place.at == 0:
                for oldest in self._files()[: -self._kept]:
                    oldest.unlink(missing_ok=True)
        return place.number + 1

    def tail(self, after: int) -> list[tuple[int, Update]]:
        """Return the kept updates with a number above ``after``, each with its number."""
        return [(number, orjson.loads(line)) for number, line in self.lines(after)]

    def lines(self, after: int) -> list[tuple[int, bytes]]:
        """Return the same as ``tail``, each update as its JSON line."""
        numbered = []
        for place, lines in self._from(after):
            numbered += [(number, line) for number, line in enumerate(lines, place.number + 1) if number > after]
        return numbered

    def end(self) -> int:
        """Return the number of the last update, 0 if there is none."""
        return self._end().number

    def _end(self) -> _Place:
        end = _Place(Path(), 0, 0)
        files = self._files()
        if not files:
            return end
        for place, lines in self._from(_first(files[-1]) - 1, resume=True):
            end = _Place(place.file, place.at + sum(map(len, lines)) + len(lines), place.number + len(lines))
        return end

    def _from(self, after: int, resume: bool = False) -> Iterator[tuple[_Place, list[bytes]]]:
        """Yield the complete lines of each file, from the one with the line after ``after`` on, and their start."""
        files = self._files()
        first = max((index for index, file in enumerate(files) if _first(file) <= after + 1), default=0)
        for file in files[first:]:
            last_end = self._known
            try:
                with file.open("rb") as opened:
                    status = os.fstat(opened.fileno())
                    inode = status.st_ino
                    place = _Place(file, 0, _first(file) - 1, inode)
                    # Another inode, or fewer bytes: the folder was emptied, and a new feed has begun in it.
                    is_same_file = last_end and (last_end.file, last_end.inode) == (file, inode) and last_end.at <= status.st_size
                    if last_end and is_same_file and (resume or last_end.number <= after):
                        place = last_end
                    opened.seek(place.at)
                    new = opened.read()
            except FileNotFoundError:  # rotated away meanwhile
                continue
            complete = new[: new.rfind(b"\n") + 1]
            lines = complete.split(b"\n")[:-1]
            self._known = _Place(file, place.at + len(complete), place.number + len(lines), inode)
            yield place, lines

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.jsonl"))


def _first(file: Path) -> int:
    return int(file.stem)


def _write(place: _Place, line: bytes) -> int:
    handle = os.open(place.file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        os.ftruncate(handle, place.at)  # removes the partial line of a writer that died
        written = os.pwrite(handle, line, place.at)
        if written < len(line):
            os.ftruncate(handle, place.at)
            raise OSError(f"{written} of {len(line)} bytes were taken")
        return os.fstat(handle).st_ino
    except OSError as error:
        raise EnvironmentProblem(
            f"The live feed cannot be written: {error.strerror or error}.",
            where=str(place.file),
            fix="See whether the disk is full.",
        ) from None
    finally:
        os.close(handle)
