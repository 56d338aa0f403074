"""A limit of requests within a period, counted together by all server processes without a lock that one could hold while it is killed."""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable
from pathlib import Path

from caudal.declarations.duration import text as duration_text

_CELL = 16  # bytes of a process: its counts of an even and of an odd window
_COUNT_BITS = 32
_MOST = (1 << _COUNT_BITS) - 1


class KeyLimit:
    """At most ``count`` requests within any ``period_s``, as a sliding window of two counts estimates it.

    Time is divided into windows of the period. What was counted in the window before weighs as much as still lies within the period. Each
    process writes only its own counts, each in one piece of eight bytes, and adds up those of all. Two processes that count at the same moment
    may let one request more through.

    Parameters
    ----------
    count : most requests within the period
    period_s : seconds
    file : Path, optional, where server processes count together
    process, processes : the number of this process, from 0, and of all
    clock : callable, monotonic seconds, the same for all processes

    Examples
    --------
    >>> limit = KeyLimit(2, 60.0, clock=lambda: 90.0)
    >>> limit.take(), limit.take(), limit.take()
    (True, True, False)
    >>> limit.wait_s()
    60.0
    """

    def __init__(
        self,
        count: int,
        period_s: float,
        *,
        file: Path | None = None,
        process: int = 0,
        processes: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.count, self.period_s, self._clock = count, period_s, clock
        size = _CELL * processes
        if file is None:
            self._cells = memoryview(bytearray(size)).cast("Q")
        else:
            with file.open("a+b") as opened:
                if opened.seek(0, 2) < size:
                    opened.truncate(size)
                self._cells = memoryview(mmap.mmap(opened.fileno(), size)).cast("Q")
        self._own = 2 * process
        self._lock = threading.Lock()

    def take(self, number: int = 1) -> bool:
        """Count requests, and return True; False where they would be too many, and are not counted."""
        with self._lock:
            window, share, current, before = self._counts()
            if current + before * (1 - share) + number > self.count:
                return False
            own = self._own + window % 2
            counted = self._counted(own, window)
            self._cells[own] = ((window & _MOST) << _COUNT_BITS) | (counted + number)
            return True

    def text(self) -> str:
        """Return the limit as people say it.

        Examples
        --------
        >>> KeyLimit(600, 60.0).text(), KeyLimit(10, 90.0).text()
        ('600 rows within 1 minute', '10 rows within 90 seconds')
        """
        return f"{self.count} row{'' if self.count == 1 else 's'} within {duration_text(self.period_s)}"

    def wait_s(self, number: int = 1) -> float:
        """Return after how many seconds so many requests could be counted, if no other comes; the period, where they never could."""
        with self._lock:
            _, share, current, before = self._counts()
        left = self.count - number
        if current + before * (1 - share) <= left:
            return 0.0
        if left < 0:
            return self.period_s
        if current <= left:  # once enough of the window before lies behind
            return (1 - (left - current) / before - share) * self.period_s
        return (1 - share + 1 - left / current) * self.period_s

    def _counts(self) -> tuple[int, float, int, int]:
        """Return the window, the share of it that is over, and the requests of all processes in it and in the one before."""
        now = self._clock() / self.period_s
        window = int(now)
        current = sum(self._counted(cell, window) for cell in range(window % 2, len(self._cells), 2))
        before = sum(self._counted(cell, window - 1) for cell in range((window - 1) % 2, len(self._cells), 2))
        return window, now - window, current, before

    def _counted(self, cell: int, window: int) -> int:
        value = self._cells[cell]
        return value & _MOST if value >> _COUNT_BITS == window & _MOST else 0
