"""Java programs of our own on this machine, for this machine only: a port that is free, an end that comes with ours."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from caudal.errors import EnvironmentProblem

HOST = "127.0.0.1"
# The program ends when its standard input does, so that it does not outlive a Python that is killed.
_TIED = 'exec 3<&0; (read _ <&3; kill $$ 2>/dev/null) & exec "$@" 3<&-'


def launched(
    command: Sequence[str], log: Path, *, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that ends with us; Ctrl-C does not reach it, and what it says is in ``log``."""
    with log.open("ab") as said:
        return subprocess.Popen(
            ["sh", "-c", _TIED, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )


def ended(process: subprocess.Popen[bytes], wait_s: float) -> None:
    """Ask a program to end, and make it end when it does not."""
    process.terminate()
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    let_go(process)


def killed(process: subprocess.Popen[bytes]) -> None:
    """End a program, and what it has started, as a power cut would."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    let_go(process)


def let_go(process: subprocess.Popen[bytes]) -> None:
    """Close what ties the program to us."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def free_port(port: int = 0) -> int:
    """Return a port that can be listened on, ``port`` itself unless it is 0.

    Raises
    ------
    EnvironmentProblem : another program listens there
    """
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            raise EnvironmentProblem(
                f"Port {port} is taken: another program listens on {HOST}:{port}.",
                fix="Give another --port, or 0 for a free one.",
                port=port,
            ) from None
        return int(trial.getsockname()[1])
