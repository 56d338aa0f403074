"""The Spark settings of a session, each with its reason; what a caller passes in ``conf`` wins."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

UTC = "-Duser.timezone=UTC"
"""For every Java process that reads rows: JDBC converts times by Java's time zone, and some times do not exist in other zones."""
WIDE_COLUMNS = 100
"""Number of columns up to which Spark compiles a stage as a whole (spark.sql.codegen.maxFields); wider stages are slow."""
_GIB = 1024**3
_SOCKET = f".{'0' * 36}.sock"  # as long as PySpark's names
_LONGEST_SOCKET = 103  # bytes of a path; the limit of macOS is the lowest


def session_settings(*, master: str, cores: int, memory: str, class_path: Sequence[Path], folder: Path) -> dict[str, str]:
    """Return the settings of a session.

    Parameters
    ----------
    master : str, Spark's master URL
    cores : int, tasks that can run at once
    memory : str, the driver's heap, such as ``4g``
    class_path : the connectors' jars; a local session gets them from `caudal.engine.jvm.spark_environment`
    folder : Path, for everything that Spark writes besides the data; nothing goes to the working directory
    """
    chosen = {
        # Time zones are declared at the source; between the stages there is only UTC.
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # The default of 200 is meant for clusters; on small tables each partition is overhead.
        "spark.sql.shuffle.partitions": str(2 * cores),
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # Listing a few thousand folders is faster here than as a job.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        # Version 2 would let the files of a task that failed half-way be seen; the rename of version 1 is cheap on a disk, and on
        # S3 the magic committer takes its place.
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        # Refuse pages whose bytes have changed on disk; by default Spark writes checksums without verifying them.
        "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
        "spark.driver.memory": memory,
    }
    if is_local(master) or master.startswith("spark://127.0.0.1:"):
        chosen |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.local.dir": str(folder)}
        chosen["spark.hadoop.hadoop.tmp.dir"] = str(folder)  # where S3A buffers uploads
        if holds_sockets(folder):
            # Over TCP a Python worker waits 40 ms in each task, because Java delays small packets until the last one is acknowledged.
            chosen |= {"spark.python.unix.domain.socket.enabled": "true", "spark.python.unix.domain.socket.dir": str(folder)}
    if is_local(master):
        chosen["spark.python.daemon.module"] = "caudal.engine.daemon"  # the process has the jars on its class path already
    else:
        chosen["spark.executor.extraJavaOptions"] = UTC
        if class_path:
            chosen["spark.jars"] = ",".join(map(str, class_path))
    if any(jar.name.startswith("io.delta_") for jar in class_path):
        chosen |= {
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            # By default Delta replays its log with 50 tasks, which takes seconds for a small table.
            "spark.databricks.delta.snapshotPartitions": "2",
        }
    return chosen


def is_local(master: str) -> bool:
    """Return whether driver and executor are one process on this machine."""
    return master == "local" or master.startswith("local[")


def holds_sockets(folder: Path) -> bool:
    """Return whether Java and Python can use Unix sockets in a folder: not on Windows, and only with short paths."""
    return sys.platform != "win32" and len(os.fsencode(folder / _SOCKET)) <= _LONGEST_SOCKET


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def default_memory() -> str:
    """Return the driver's heap: two fifths of the memory, from 1 to 4 GiB; Python workers need the rest."""
    return f"{int(min(4.0, max(1.0, 0.4 * usable_memory() / _GIB)) * 1024)}m"


def usable_memory() -> int:
    """Return the memory of the machine in bytes, or of the container if that is less."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        machine = 8 * _GIB
    try:
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # not in a container, or "max"
        return machine
