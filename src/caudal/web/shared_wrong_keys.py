"""Addresses that sent wrong keys, counted together by all server processes in a mapped file."""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from caudal.web.visitors import WrongKeys

_SETS, _WAYS = 4096, 4
_CELL = struct.Struct(
    "<Qd"
)  # a mark of the address with the number of its wrong keys, and the time of the newest; 0 where the cell is free
_TRIES = (1 << 16) - 1


class SharedWrongKeys(WrongKeys):
    """Wrong keys by address, as `WrongKeys` counts them, for processes that write one file.

    An address has one of four cells; where all are taken it takes that of the address whose newest wrong key is oldest. Looking needs no lock; a process
    that counts holds one, which ends with the process.

    Parameters
    ----------
    file : Path, where all processes count
    salt : of the marks of addresses
    clock : callable, monotonic seconds, the same for all processes
    """

    def __init__(self, file: Path, salt: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._file, self._salt = file, salt[:16]
        self._place = lru_cache(1024)(self._new_place)  # each request asks for that of its address twice
        size = _SETS * _WAYS * _CELL.size
        with file.open("a+b") as opened:
            if opened.seek(0, 2) < size:
                opened.truncate(size)
            self._cells = mmap.mmap(opened.fileno(), size)

    def count(self, caller: str) -> None:
        """Record a wrong key."""
        with self._lock, _locked(self._file):
            mark, cells = self._place(caller)
            found = [(*_CELL.unpack_from(self._cells, cell), cell) for cell in cells]
            own = next((each for each in found if each[0] & ~_TRIES == mark), None)
            tries, cell = (0, min(found, key=lambda each: each[1])[2]) if own is None else (own[0] & _TRIES, own[2])
            _CELL.pack_into(self._cells, cell, mark | min(tries + 1, _TRIES), self._clock())

    def forget(self, caller: str) -> None:
        """Record a right key: the address has no wrong keys any more."""
        mark, cells = self._place(caller)
        for cell in cells:
            if _CELL.unpack_from(self._cells, cell)[0] & ~_TRIES == mark:
                with self._lock, _locked(self._file):
                    _CELL.pack_into(self._cells, cell, 0, 0.0)

    def tries(self, caller: str) -> tuple[int, float]:
        """Return the number of wrong keys in a row, and the time of the newest."""
        mark, cells = self._place(caller)
        for cell in cells:
            value, at = _CELL.unpack_from(self._cells, cell)
            if value & ~_TRIES == mark:
                return value & _TRIES, at
        return 0, 0.0

    def _new_place(self, caller: str) -> tuple[int, range]:
        """Return the mark of an address, which is never 0, and where its cells begin."""
        number = int.from_bytes(blake2b(caller.encode(), digest_size=8, salt=self._salt).digest())
        first = number % _SETS * _WAYS * _CELL.size
        return (number & ~_TRIES) | (1 << 63), range(first, first + _WAYS * _CELL.size, _CELL.size)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a file's lock; it ends with the block, and with the process."""
    import fcntl  # not on Windows, where one process serves

    with file.open("rb") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
