"""Run a job of many tasks on Spark, then read its event log, and logs in which its tasks occur again and again: seconds and memory of a process each.

python -m benchmarks.event_log --tasks 10000 --times 1 10 100
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import zstandard

from caudal.compare.event_lines import event_lines
from caudal.engine import session, stop

_READ = r"""
import json, re, resource, sys, time
from pathlib import Path
from caudal.compare.event_log import read_event_log


def most_mb():  # getrusage would tell the most of the process that started this one
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


imports_mb = most_mb()
before = resource.getrusage(resource.RUSAGE_SELF)
begun = time.perf_counter()
log = read_event_log(Path(sys.argv[1]))
wall = time.perf_counter() - begun
after = resource.getrusage(resource.RUSAGE_SELF)
tasks = sum(stage.succeeded for stage in log.stages.values())
print(json.dumps({"wall_s": wall, "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "tasks": tasks, "bytes": log.bytes_read,
                  "memory_mb": most_mb(), "imports_mb": imports_mb}))
"""


def main() -> None:
    """Print a line for each log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of the job that Spark runs, in two stages")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 100], help="how often they occur in a log")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = _real_log(Path(folder), options.tasks)
        lines = [line for line in event_lines(log) if line]
        for times in options.times:
            path = log if times == 1 else _repeated(lines, times, Path(folder) / f"app-{times}.zstd")
            size = sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
            done = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
            told = json.loads(done.stdout)
            print(
                f"{told['tasks']:>9,} tasks, {size / 1e6:7.1f} MB ({told['bytes'] / 1e6:8.1f} unpacked): {told['wall_s']:6.2f} s, processor {told['cpu_s']:6.2f} s, "
                f"{told['memory_mb']:.0f} MB at most, {told['imports_mb']:.0f} before the reading",
                flush=True,
            )
            if path != log:
                path.unlink()


def _real_log(folder: Path, tasks: int) -> Path:
    """Run a query of two stages, a half of the tasks each, and return its log, as Spark 4 writes it unless told otherwise."""
    conf = {
        "spark.eventLog.enabled": "true", "spark.eventLog.dir": folder.as_uri(), "spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": str(tasks // 2),
        "spark.eventLog.rolling.enabled": "true",
    }  # fmt: skip
    spark = session(memory="2g", conf=conf)
    spark.range(1_000_000, numPartitions=tasks - tasks // 2).selectExpr("id % 1000 AS k", "id").groupBy("k").sum("id").write.format(
        "noop"
    ).mode("overwrite").save()
    stop()
    return next(file for file in folder.iterdir() if file.name.startswith("eventlog_v2_"))


def _repeated(lines: list[bytes], times: int, path: Path) -> Path:
    """Write a log in which the lines of tasks occur so many times."""
    ends = [line.startswith(b'{"Event":"SparkListenerTask') for line in lines]
    first, last = ends.index(True), len(ends) - ends[::-1].index(True)
    with path.open("wb") as file, zstandard.ZstdCompressor(level=1).stream_writer(file) as stream:
        stream.write(b"\n".join(lines[:first]) + b"\n")
        tasks = b"\n".join(line for line in lines[first:last] if line.startswith(b'{"Event":"SparkListenerTask')) + b"\n"
        for _ in range(times):
            stream.write(tasks)
        rest = [line for line in lines[first:last] if not line.startswith(b'{"Event":"SparkListenerTask')]
        stream.write(b"\n".join([*rest, *lines[last:]]) + b"\n")
    return path


if __name__ == "__main__":
    main()
