"""The worker processes of a stream, each told what to compute by a thread of this process.

They are started as new programs, not forked: this process has threads of Java, gRPC and librdkafka. They start when there is much to do for
the first time, and end when there has been little for a while.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection

from caudal.engine.settings import usable_cores
from caudal.errors import EnvironmentProblem
from caudal.inspection.cgroup import group_limits
from caudal.inspection.scope import InspectionScope
from caudal.streaming.task import TaskResult
from caudal.streaming.worker import PartFailure, PartTask, receive_object, send_object

log = logging.getLogger(__name__)

MOST_BY_DEFAULT = 4
IDLE_S = 60.0
"""Seconds without a part after which workers end; they take memory."""
_PROGRAM = (
    "from caudal.streaming.worker import serve_parts; serve_parts()"  # not -m: classes of the module would have another name there
)
_END_S = 5.0
_MOST_FAILURES = 3


class WorkerProblem(EnvironmentProblem):
    """A worker has died, or could not compute its part; the part is computed by this process."""


def default_workers() -> int:
    """Return how many workers there are where nobody says: one for each core that this process may use, four at most; 1 means that there
    are none, and that this process computes by itself."""
    if sys.platform == "win32":  # no handle can be passed on
        return 1
    quota = group_limits(InspectionScope()).cores
    return max(1, min(MOST_BY_DEFAULT, usable_cores(), int(quota[0]) if quota else MOST_BY_DEFAULT))


class StreamWorkers:
    """Processes that compute parts of micro-batches, shared by the streams of this process.

    Parameters
    ----------
    count : number of processes; with 1 there are none
    idle_s : float, seconds without a part after which they end
    """

    def __init__(self, count: int, idle_s: float = IDLE_S) -> None:
        self.count, self._idle_s = count, idle_s
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._used, self._failures = 0.0, 0

    def ready(self) -> bool:
        """Return whether the workers can take parts; if they have not been started, this starts them."""
        with self._lock:
            if self.count < 2 or self._failures >= _MOST_FAILURES:
                return False
            if not self._workers:
                self._workers = [_Worker(number) for number in range(self.count)]
                self._used = time.monotonic()
            return all(worker.ready() for worker in self._workers)

    @property
    def started(self) -> bool:
        """Whether there are workers that take parts, or are about to."""
        return bool(self._workers) and self._failures < _MOST_FAILURES

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that are at work."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    def submit(self, number: int, task: PartTask) -> Future[TaskResult]:
        """Return the future result of a part, computed by the worker of a number.

        The future raises `WorkerProblem` if the worker dies or fails.
        """
        self._used = time.monotonic()
        return self._workers[number % self.count].submit(task)

    def note(self, problem: WorkerProblem | None) -> None:
        """Log a failure, or remember that a part succeeded; after three failures in succession no part is given to workers any more."""
        with self._lock:
            self._failures = 0 if problem is None else self._failures + 1
            if problem is not None:
                log.warning(
                    "%s The stream computes its part again, and goes on%s.",
                    problem.what,
                    " without workers" if self._failures >= _MOST_FAILURES else "",
                )

    def rest(self) -> None:
        """End the workers if they have had nothing to do for a while."""
        with self._lock:
            if self._workers and time.monotonic() - self._used > self._idle_s and not any(worker.busy for worker in self._workers):
                self._end()

    def close(self) -> None:
        """End the workers."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        for worker in self._workers:
            worker.close()
        self._workers = []


class _Worker:
    """A worker process, and the thread that talks to it."""

    def __init__(self, number: int) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, f"stream worker {number}")
        self._waiting = 0
        self._starting: Future[None] = self._thread.submit(self._start)

    @property
    def busy(self) -> bool:
        return self._waiting > 0

    def ready(self) -> bool:
        """Return whether the process waits for parts; one that has ended is started again."""
        if not self._starting.done():
            return False
        if self._connection is None:
            self._starting = self._thread.submit(self._start)
            return False
        return True

    def submit(self, task: PartTask) -> Future[TaskResult]:
        self._waiting += 1
        return self._thread.submit(self._compute, task)

    def close(self) -> None:
        self._thread.submit(self._stop)
        self._thread.shutdown()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno()), str(os.getpid())]
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
            )
        connection = Connection(ours.detach())
        with contextlib.suppress(EOFError, OSError):
            receive_object(connection)
            self._connection = connection
            return
        connection.close()

    def _compute(self, task: PartTask) -> TaskResult:
        try:
            if self._connection is None:
                raise EOFError
            send_object(self._connection, task)
            result: TaskResult | PartFailure = receive_object(self._connection)
        except (EOFError, OSError):
            code = self._stop()
            raise WorkerProblem(f"A worker of the stream has ended with exit code {code}.") from None
        finally:
            self._waiting -= 1
        if isinstance(result, PartFailure):
            raise WorkerProblem(f"A worker of the stream failed ({result.reason}).")
        return result

    def _stop(self) -> int | None:
        """Close the socket, at which the process ends, and return its exit code."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self.process is None:
            return None
        try:
            return self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None
