"""Processor time and memory of processes and their descendants, looked at while they work."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable

from caudal.extras import require

EVERY_S = 0.2


class Resources:
    """Looks at processes every `EVERY_S` in a thread of its own; a process that lives shorter may be missed.

    Parameters
    ----------
    roots : returns the numbers of the processes whose descendants count with them; of those that ran before only what they use from now on

    Attributes
    ----------
    peak_bytes : int, the most memory in use at one moment; what processes share counts in each
    """

    def __init__(self, roots: Callable[[], Iterable[int]]) -> None:
        self._psutil = require("psutil", extra="compare", for_="caudal compare")
        self._roots = roots
        self._cpu_s: dict[tuple[int, float], float] = {}
        self._before: dict[tuple[int, float], float] = {}
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="resources", daemon=True)
        self._look()
        self._before = dict(self._cpu_s)

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time since the beginning."""
        return sum(used - self._before.get(key, 0.0) for key, used in self._cpu_s.items())

    def __enter__(self) -> Resources:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        psutil, total = self._psutil, 0
        seen = {}
        for root in self._roots():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(root)
                for each in (process, *process.children(recursive=True)):
                    seen[each.pid] = each
        for process in seen.values():
            with contextlib.suppress(psutil.Error), process.oneshot():
                times = process.cpu_times()
                self._cpu_s[(process.pid, process.create_time())] = times.user + times.system
                total += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, total)
