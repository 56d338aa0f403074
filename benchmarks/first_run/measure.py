"""What a command costs: wall time, processor time and peak memory, all of its descendants included."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answer import NoAnswer
from benchmarks.images.measure import family, resident

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_PATIENCE_S = 900.0
_LEFT_BEHIND_S = 20.0


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Parameters
    ----------
    wall_s : until the command itself ended
    processor_s : user and system, of the command and all that it started
    peak_mb : largest sum of the processes' own shares of memory (PSS), looked at five times a second
    load : of the machine, before
    """

    wall_s: float
    processor_s: float
    peak_mb: float
    load: float


def cost(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path) -> Cost:
    """Run a command in a folder and return what it took.

    Raises
    ------
    NoAnswer : it broke or took longer than a quarter of an hour; the message has its last words
    """
    # Java outlives the Python that started it by a moment: it becomes a child of this process, so that its time is counted too.
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    load, before, began = os.getloadavg()[0], _children_s(), time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    peak = [0]
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, ended), daemon=True)
    watcher.start()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"'{_words(command)}' did not end in {_PATIENCE_S:.0f} s") from None
    finally:
        wall_s = time.perf_counter() - began
        ended.set()
        watcher.join()
        _reap()
    if process.returncode:
        raise NoAnswer(f"'{_words(command)}' ended with {process.returncode}: {log.read_text(errors='replace').strip()[-1500:]}")
    return Cost(round(wall_s, 2), round(_children_s() - before, 2), round(peak[0] / 1e6), round(load, 1))


def _watch(pid: int, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(0.2):
        peak[0] = max(peak[0], sum(resident(member) for member in family(pid)))


def _reap() -> None:
    """Wait for what a command left behind, so that its time is counted; end what does not end."""
    until = time.monotonic() + _LEFT_BEHIND_S
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0) or time.monotonic() < until:
            time.sleep(0.05)
        for pid in family()[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _words(command: Sequence[str | Path]) -> str:
    return " ".join(Path(part).name if isinstance(part, Path) else part for part in command)
