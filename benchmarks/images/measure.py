"""Processor time and memory of this process and all below it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def family(root: int | None = None) -> list[int]:
    """Return the process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root or os.getpid()]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += parents.get(one, [])
    return found


def processor_s() -> float:
    """Return the processor time of the family so far, children that have ended included."""
    return sum(sum(map(int, fields[11:15])) / _TICK for pid in family() if (fields := _stat(pid)))


def command(pid: int) -> str:
    """Return a process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_worker(pid: int) -> bool:
    """Whether a process is one of Spark's Python workers, or what they are forked from."""
    said = command(pid)
    return "java" not in said and "spark.daemon" in said.replace("/", ".")  # Java's own command names the module that it starts


class Checkpoint:
    """The largest memory of Java, of the workers together and of this process, looked at while a block runs."""

    def __init__(self, every_s: float = 0.25) -> None:
        self.every_s, self.most = every_s, {"driver": 0, "java": 0, "workers": 0}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Checkpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.is_set():
            now = dict.fromkeys(self.most, 0)
            for pid in family():
                said = command(pid)
                kind = "driver" if pid == os.getpid() else "java" if "java" in said else "workers"
                now[kind] += resident(pid)
            self.most = {name: max(now[name], most) for name, most in self.most.items()}
            time.sleep(self.every_s)


def resident(pid: int) -> int:
    """Return the bytes that are a process's own share (PSS), pages of forks counted once."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a process's line from its state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
