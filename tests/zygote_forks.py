"""The process that has imported, and forks: ``python zygote_forks.py DOOR``, started by `tests.zygote`.

A request is a length and a JSON document; with it come the descriptors of standard input, output and error, and of a pipe that is
told the child's number, and later its exit code. When the door is closed, or this process is killed, its children die.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
import types
from pathlib import Path
from typing import Any

# Together what the commands of most tests import; what is not here, a child imports itself.
IMPORTED = (
    "caudal.cli",
    "caudal.batch.batch",
    "caudal.batch.flow",
    "caudal.observers.openlineage.outbox",
    "caudal.commands.parity",
    "caudal.commands.replay",
    "caudal.streaming.stream",
    "caudal.report.page",
    "caudal.registry.register",
    "caudal.engine",
    "caudal.stages.detect",
    "caudal.stages.predict.batch",
    "caudal.stages.simulate",
    "caudal.stages.train.training",
    "alembic.command",
    "deltalake",
    "jinja2",
    "joblib",
    "luigi",
    "mlflow.sklearn",
    "pandas",
    "pyarrow.dataset",
    "pyspark.sql.pandas.functions",
    "scipy.stats",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "skops.io",
)
KILLED_WITH_PARENT = 1  # PR_SET_PDEATHSIG
PIPES = 4  # a request's descriptors


def main() -> None:
    """Import, fork for each request, and be the command in the child."""
    door = socket.socket(fileno=int(sys.argv[1]))
    door.set_inheritable(False)
    for name in IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    importlib.import_module("call_sites").leave_out_call_sites()  # this file's folder is on the path, not the repository
    gc.collect()
    gc.freeze()  # the collector would write to pages that are shared
    asked = served(door)
    if asked is not None:
        become(*asked)


def served(door: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each request; returns it in the child, and None here when the door is closed."""
    ready = selectors.DefaultSelector()
    ready.register(door, selectors.EVENT_READ)
    here = os.getpid()
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for key, _ in ready.select():
                if key.data is not None:
                    ready.unregister(key.fd)
                    ended(key.fd, *key.data)
                    continue
                head, descriptors, *_ = socket.recv_fds(door, 8, PIPES)
                if not head:
                    return None
                asked = json.loads(whole(door, int.from_bytes(head, "big")))
                child = os.fork()
                if not child:
                    ctypes.CDLL(None).prctl(KILLED_WITH_PARENT, signal.SIGKILL)
                    if os.getppid() != here:
                        os._exit(1)
                    for one in [one for one in ready.get_map().values() if one.data is not None]:
                        os.close(one.fd)
                        os.close(one.data[1])
                    ready.close()
                    door.close()
                    return asked, descriptors
                told = descriptors.pop()
                for one in descriptors:
                    os.close(one)
                with contextlib.suppress(BrokenPipeError):
                    os.write(told, f"{child}\n".encode())
                ready.register(os.pidfd_open(child), selectors.EVENT_READ, (child, told))
    return None


def whole(door: socket.socket, length: int) -> bytes:
    """Return so many bytes."""
    found = b""
    while len(found) < length:
        found += door.recv(length - len(found))
    return found


def ended(descriptor: int, child: int, told: int) -> None:
    """Tell how a child has ended."""
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody asks any more
        os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os.close(descriptor)
    os.close(told)


def become(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Be the interpreter of a command; the caller returns from it, and ends as an interpreter ends."""
    if asked["start_new_session"]:
        os.setsid()
    for number, one in enumerate(descriptors[:3]):
        os.dup2(one, number)
    for one in descriptors:
        os.close(one)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # Python's own is seeded at a fork
    main = types.ModuleType("__main__")
    main.__dict__.update(__annotations__={}, __builtins__=builtins)
    sys.modules["__main__"] = main
    first, *rest = asked["command"]
    if first == "-m":
        sys.argv, sys.path[0] = ["-m", *rest[1:]], asked["cwd"]
        runpy._run_module_as_main(rest[0])  # what ``python -m`` does
    elif first == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv, sys.path[0] = [first, *rest], str(Path(first).resolve().parent)
        main.__dict__.update(__file__=first, __cached__=None)
        exec(compile(Path(first).read_bytes(), first, "exec"), main.__dict__)


if __name__ == "__main__":
    main()
