"""Ends a Python worker of this process's Spark while it embeds."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

from benchmarks.images.measure import family, is_worker


@contextlib.contextmanager
def kill_a_worker(killed: list[int], wanted: bool) -> Iterator[None]:
    """Kill one worker once it has worked for a second of processor time; its number is put into ``killed``."""
    ended = threading.Event()

    def watch() -> None:
        began: dict[int, float] = {}
        while not ended.is_set() and not killed:
            for pid in family()[1:]:
                if is_worker(pid):
                    spent = _spent(pid)
                    if spent - began.setdefault(pid, spent) > 1.0:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                            killed.append(pid)
                        break
            time.sleep(0.1)

    thread = threading.Thread(target=watch, daemon=True)
    if wanted:
        thread.start()
    yield
    ended.set()
    if wanted:
        thread.join()


def _spent(pid: int) -> float:
    from benchmarks.images.measure import _TICK, _stat

    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / _TICK if fields else 0.0
