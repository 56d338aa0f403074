"""Several server processes that accept on one socket, forked from one that only supervises them."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from caudal.engine.settings import usable_cores
from caudal.errors import EnvironmentProblem
from caudal.inspection.cgroup import group_limits
from caudal.inspection.scope import InspectionScope

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
STOP_S = 40.0  # longer than a server takes for its current requests
BRIEF_S = 5.0  # a process that ends sooner has a reason that the next one will have too
MOST_BRIEF = 5
MOST_BY_DEFAULT = 4  # each has the models in memory


def can_fork() -> bool:
    """Return whether processes can be forked here: not on Windows, and on macOS libraries of the system do not survive it."""
    return sys.platform not in ("win32", "darwin")


def default_processes() -> int:
    """Return how many server processes there are where nobody says: one for each core that this process may use, four at most."""
    if not can_fork():
        return 1
    quota = group_limits(InspectionScope()).cores
    return max(1, min(MOST_BY_DEFAULT, usable_cores(), int(quota[0]) if quota else MOST_BY_DEFAULT))


@dataclass
class _Member:
    number: int
    process: BaseProcess
    messages: Connection
    started: float


class ServerProcesses:
    """Processes that do the same work, each of which is replaced if it ends.

    Parameters
    ----------
    count : number of processes
    work : run in each process, with its number from 0, which one that replaces it gets too, and a function that sends a message to this one
    receive : called here with each message
    tick : called here some times a second, once all messages that have come are taken, with the numbers of the processes
    """

    def __init__(
        self,
        count: int,
        work: Callable[[int, Callable[[Any], None]], None],
        receive: Callable[[Any], None],
        tick: Callable[[Collection[int]], None],
    ) -> None:
        self.count, self._work, self._receive, self._tick = count, work, receive, tick
        self._fork = multiprocessing.get_context("fork")
        self._members: list[_Member] = []
        self._stopping = False
        self._brief = 0

    def run(self) -> None:
        """Start the processes, and supervise them until SIGINT or SIGTERM; then let them finish their requests.

        Raises
        ------
        EnvironmentProblem : they end again and again as soon as they have begun
        """
        handlers = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._members = [self._start(number) for number in range(self.count)]
            while not self._stopping:
                self._look(LOOK_EVERY_S)
                self._tick({member.process.pid or 0 for member in self._members})
        finally:
            self._end()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start(self, number: int) -> _Member:
        messages, sending = self._fork.Pipe(duplex=False)
        process = self._fork.Process(target=self._run_member, args=(number, sending, messages), name="server")
        process.start()
        sending.close()
        return _Member(number, process, messages, time.monotonic())

    def _run_member(self, number: int, sending: Connection, messages: Connection) -> None:
        """Do the work in a new process."""
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # Ctrl-C comes to all processes of a terminal; this one waits for its parent's word
        messages.close()
        for other in self._members:
            other.messages.close()

        def send(message: Any) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionError):
                sending.send(message)

        self._work(number, send)
        sending.close()

    def _look(self, seconds: float) -> None:
        """Take all messages that come within some time, and replace processes that have ended."""
        while ready := wait([member.messages for member in self._members], seconds):
            for member in list(self._members):
                if member.messages in ready:
                    self._take(member)
            seconds = 0.0

    def _take(self, member: _Member) -> None:
        try:
            self._receive(member.messages.recv())
        except (EOFError, OSError):  # it has ended
            member.process.join()
            member.messages.close()
            self._members.remove(member)
            if not self._stopping:
                self._replace(member)

    def _replace(self, ended: _Member) -> None:
        is_brief = time.monotonic() - ended.started < BRIEF_S
        self._brief = self._brief + 1 if is_brief else 0
        if self._brief >= MOST_BRIEF:
            raise EnvironmentProblem(
                f"Server processes end as soon as they have begun, the last with exit code {ended.process.exitcode}.",
                fix="Look at the log above, or serve with '--processes 1'.",
            )
        log.error("server process %s has ended with exit code %s, and is replaced", ended.process.pid, ended.process.exitcode)
        self._members.append(self._start(ended.number))

    def _end(self) -> None:
        """Stop the processes, and take their last messages."""
        self._stopping = True
        for member in self._members:
            member.process.terminate()
        until = time.monotonic() + STOP_S
        while self._members and time.monotonic() < until:
            self._look(LOOK_EVERY_S)
        for member in self._members:
            member.process.kill()
            member.process.join()
