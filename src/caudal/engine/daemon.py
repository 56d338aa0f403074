"""The process from which Spark forks its Python workers: ``python -m caudal.engine.daemon pyspark.worker``, started by Spark.

PySpark's own daemon, but the start-up work of every task is done once, before the first fork. Measured with a dozen tasks of
images, this saves 11 % of the workers' time.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import socket
import sys
import zipimport

from pyspark import daemon

IMPORTED = ("pandas", "pyarrow")  # by each worker that gets Arrow data


def fork_workers() -> None:
    """Fork workers until Spark closes the input."""
    if sys.platform == "linux":  # on macOS a library that was used before a fork may not work after it
        for name in IMPORTED:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # At each task a worker invalidates the import caches, and Python then reads the directories of PySpark's archives again, 0.1 s
    # each time. Archives do not change while Spark runs; new ones have new names.
    zipimport.zipimporter.invalidate_caches = _keep_caches  # type: ignore[assignment]
    # After each task a worker runs the garbage collector; the objects that exist now need not be scanned.
    gc.collect()
    gc.freeze()
    daemon.worker = _run_task
    daemon.manager()  # type: ignore[no-untyped-call]


_worker = daemon.worker


def _run_task(sock: socket.socket, authenticated: bool) -> int:
    """Run a task as PySpark's worker does; if Java has closed the socket, an idle worker ends without an error message."""
    try:
        return int(_worker(sock, authenticated))  # type: ignore[no-untyped-call]
    except (BrokenPipeError, ConnectionResetError):
        return 1


def _keep_caches(_: zipimport.zipimporter) -> None:
    """Do nothing: no cache is invalidated."""


if __name__ == "__main__":
    fork_workers()
