"""What Spark's Python workers of this machine are forked from: ``python -m caudal.engine.daemon pyspark.worker``, started by Spark.

PySpark's own daemon, with what every task pays for otherwise done once before the first fork. Measured with a dozen tasks of
images: 11 % of the workers' time.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import socket
import sys
import zipimport

from pyspark import daemon

IMPORTED = ("pandas", "pyarrow")  # by each worker that is given Arrow data


def main() -> None:
    """Fork workers until Spark closes the input."""
    if sys.platform == "linux":  # on macOS a library that was used before a fork may not work after it
        for name in IMPORTED:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # A worker asks at each task whether modules have come, and Python then reads the lists of PySpark's own archives again, 0.1 s
    # each time. Archives do not change under a running Spark; new ones have new names.
    zipimport.zipimporter.invalidate_caches = _as_it_was  # type: ignore[assignment]
    # After each task a worker looks through all objects for rubbish; those that are there now are none.
    gc.collect()
    gc.freeze()
    daemon.worker = _until_java_goes
    daemon.manager()  # type: ignore[no-untyped-call]


_worker = daemon.worker


def _until_java_goes(sock: socket.socket, authenticated: bool) -> int:
    """Do a task as PySpark's worker does; where Java has closed the socket, an idle worker ends without a word about it."""
    try:
        return int(_worker(sock, authenticated))  # type: ignore[no-untyped-call]
    except (BrokenPipeError, ConnectionResetError):
        return 1


def _as_it_was(_: zipimport.zipimporter) -> None:
    """Read nothing again."""


if __name__ == "__main__":
    main()
