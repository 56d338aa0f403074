"""Commands in processes of their own, without each of them importing for seconds: ``Popen`` and ``run`` as `subprocess` has them.

Some three hundred of the tests' processes import pandas, scikit-learn, MLflow and Spark's Python before they do what is tested: two
to four seconds of a processor each, and what is tested is what happens afterwards. A zygote imports them once for a pytest process,
runs no thread, and forks for each command. The child takes over arguments, environment, folder and standard streams, seeds what is
random anew, and ends as an interpreter does; it dies by a signal like any other, and with the zygote.

What a child shares with its siblings is the seed of string hashes (tests that compare processes have one of them made ``fresh``) and
what the libraries have read at their import: a command whose environment differs there is started as it always was, and so is
everything where there is no `os.pidfd_open`. Tests of a start itself (imports, warnings, a terminal) use `subprocess`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import types
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from tests.documents import check_printed

# Read by an interpreter when it starts, or by a library when it is imported.
AT_START = (
    "ARROW",
    "FSSPEC",
    "GOMP",
    "HOME",
    "LANG",
    "LC_",
    "LD_",
    "LUIGI",
    "MALLOC",
    "MKL",
    "MLFLOW",
    "OMP",
    "OPENBLAS",
    "PYTHON",
    "TMPDIR",
)
OPTIONS = {"stdin", "stdout", "stderr", "text", "cwd", "env", "start_new_session"}
FORKS = Path(__file__).with_name("zygote_forks.py")


class Popen:
    """A command forked from the zygote; what tests use of `subprocess.Popen`, with the same meaning."""

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        text: bool = False,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.args = [os.fspath(part) for part in command]
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = None, None, None
        opened: list[int] = []

        def taken(stream: int | IO[Any] | None, number: int) -> tuple[int, IO[Any] | None]:
            if stream == subprocess.PIPE:
                ours, theirs = os.pipe()
                opened.append(theirs)
                return theirs, os.fdopen(ours, "r" if text else "rb")
            if stream == subprocess.DEVNULL:
                opened.append(os.open(os.devnull, os.O_RDWR))
                return opened[-1], None
            if stream is None or isinstance(stream, int):
                return number if stream is None else stream, None
            return stream.fileno(), None

        if stdin == subprocess.PIPE:
            zero, ours = os.pipe()
            opened.append(zero)
            self.stdin = os.fdopen(ours, "w" if text else "wb")
        else:
            zero, _ = taken(stdin, 0)
        one, self.stdout = taken(stdout, 1)
        two, self.stderr = (one, None) if stderr == subprocess.STDOUT else taken(stderr, 2)
        self._told, told = os.pipe()
        opened.append(told)
        self._closed = weakref.finalize(self, os.close, self._told)
        asked = {
            "command": self.args[1:],
            "cwd": os.fspath(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
            "start_new_session": start_new_session,
        }
        try:
            _zygote().ask(asked, [zero, one, two, told])
        finally:
            for descriptor in opened:
                os.close(descriptor)
        self._heard = b""
        while b"\n" not in self._heard:
            if not (more := os.read(self._told, 64)):
                raise ChildProcessError("the zygote died")
            self._heard += more
        self.pid = int(self._heard.split(b"\n")[0])

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal that ended it; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if until is None else max(0.0, until - time.monotonic())
            poll = select.poll()
            poll.register(self._told, select.POLLIN)
            if not poll.poll(None if left is None else left * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            more = os.read(self._told, 64)
            self._heard += more
            _, code, *rest = self._heard.split(b"\n")
            if rest:
                self.returncode = int(code)
            elif not more:
                self.returncode = -signal.SIGKILL  # the zygote died, and its children with it
        self._closed()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Read what it writes until it has ended."""
        until = None if timeout is None else time.monotonic() + timeout
        read: dict[str, Any] = {}

        def drain(name: str, stream: IO[Any]) -> None:
            with stream:
                read[name] = stream.read()

        streams = [(name, stream) for name in ("stdout", "stderr") if (stream := getattr(self, name)) and not stream.closed]
        readers = [threading.Thread(target=drain, args=one, daemon=True) for one in streams]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if until is None else max(0.0, until - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(None if until is None else max(0.0, until - time.monotonic()))
        return read.get("stdout"), read.get("stderr")

    def __enter__(self) -> Popen:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()


def start(command: Sequence[str | os.PathLike[str]], **options: Any) -> Any:
    """Start a command: forked from the zygote, or by `subprocess` where that would make a difference."""
    return Popen(command, **options) if _fits(command, options) else subprocess.Popen(command, **options)


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    timeout: float | None = None,
    check: bool = False,
    capture_output: bool = False,
    fresh: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a command to its end; ``fresh`` in an interpreter of its own after all."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = (subprocess.Popen if fresh else start)(command, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        done.check_returncode()
    check_printed(command, out)
    return done


@pytest.fixture
def forked_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes of benchmarks be forked, too."""
    instead = types.SimpleNamespace(**{**vars(subprocess), "Popen": start, "run": run})
    for module in ("benchmarks.stream.streaming", "benchmarks.stream.faults", "benchmarks.up.soak"):
        monkeypatch.setattr(f"{module}.subprocess", instead)


def _fits(command: Sequence[str | os.PathLike[str]], options: Mapping[str, Any]) -> bool:
    """Whether a child of the zygote would be what an interpreter of its own would be."""
    if not hasattr(os, "pidfd_open") or not options.keys() <= OPTIONS:
        return False
    program, first = (*map(str, command[:2]), "-")[:2]
    environment = os.environ if options.get("env") is None else options["env"]
    ours = program == sys.executable and (first in ("-m", "-c") or not first.startswith("-"))
    return ours and _at_start(environment) == _zygote().at_start


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


class _Zygote:
    """The process that has imported, as the tests see it."""

    def __init__(self) -> None:
        self.at_start = _at_start(os.environ)
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._door, theirs = socket.socketpair()
        with theirs:
            door, nothing = theirs.fileno(), subprocess.DEVNULL
            self.process = subprocess.Popen([sys.executable, FORKS, str(door)], pass_fds=[door], stdin=nothing, stdout=nothing)
        atexit.register(self.end)

    def ask(self, what: dict[str, Any], descriptors: list[int]) -> None:
        body = json.dumps(what).encode()
        with self._lock:
            socket.send_fds(self._door, [len(body).to_bytes(8, "big")], descriptors)
            self._door.sendall(body)

    def end(self) -> None:
        """Close the door: the zygote leaves, and what it has forked with it."""
        if os.getpid() == self.owner:
            self._door.close()
            self.process.wait()


_running: _Zygote | None = None
_starting = threading.Lock()


def _zygote() -> _Zygote:
    """Return the zygote of this process, started when there is none."""
    global _running
    with _starting:
        if _running is None or _running.owner != os.getpid() or _running.process.poll() is not None:
            _running = _Zygote()
        return _running
