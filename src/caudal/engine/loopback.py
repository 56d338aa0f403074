"""Java programs on this machine, for this machine only: a free port, and an end together with this process."""

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
# The program ends when its standard input does, so that it does not outlive a killed Python process.
_TIED = 'exec 3<&0; (read _ <&3; kill $$ 2>/dev/null) & exec "$@" 3<&-'


def start_program(
    command: Sequence[str], log: Path, *, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that ends with this process; Ctrl-C does not reach it, and its output goes to ``log``."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["sh", "-c", _TIED, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )


def stop_program(process: subprocess.Popen[bytes], wait_s: float) -> None:
    """Ask a program to end, and kill it if it does not."""
    process.terminate()
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    close_pipe(process)


def kill_program(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and its children, as a power cut would."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    close_pipe(process)


def close_pipe(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe that ties the program to this process."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def free_port(port: int = 0) -> int:
    """Return a free port, ``port`` itself unless it is 0.

    Raises
    ------
    EnvironmentProblem : another program listens on the port
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
