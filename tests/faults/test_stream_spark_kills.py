"""A stream that Spark computes is ended by SIGTERM of its group of processes, and then by kill -9: before and after each act that leaves a trace, and
while tasks work. Its tables are those of a stream in this process that nobody disturbed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import zygote
from tests.faults.test_stream_kills import KILLER, PRODUCT, assert_same, caudal, tables

from caudal.tables.home import Home

pytestmark = [pytest.mark.slow(minutes=3), pytest.mark.faults, pytest.mark.timeout(1800)]
OPTIONS = ("--once", "--end", "--publish", "0.05")
# What is recorded is published by the next start before it starts Spark: the second, third and fourth of these deaths need no Java.
MOMENTS = (
    "at:after save memory",  # recorded, and Spark does not know: what it computes again is left out
    "at:before append sensor_seconds",
    "at:after append sensor_seconds",
    "at:after append samples",
    "at:before save memory",  # nothing is recorded: Spark computes the micro-batch again
    "soon:after Gather",  # tasks are at work
)
BATCH = {"KILLED_BATCH_BYTES": "50000"}  # a dozen micro-batches


def test_ended_and_killed_again_and_again(tmp_path: Path) -> None:
    here, spark, log = tmp_path / "here", tmp_path / "spark", tmp_path / "log"
    assert caudal("replay", str(PRODUCT), "--home", str(here), "--rate", "0", "--seconds", "20", "--devices", "2", log=log) == 0
    shutil.copytree(here / "streams", spark / "streams")
    assert caudal("stream", str(PRODUCT), "--home", str(here), *OPTIONS, log=log) == 0
    ended_by_a_signal_to_all(spark, log)
    died = [streamed(spark, tmp_path / f"log-{number}", when) != 0 for number, when in enumerate(MOMENTS)]
    assert all(died), died
    assert streamed(spark, tmp_path / "last") == 0
    assert_same(tables(spark), tables(here))


def streamed(home: Path, log: Path, when: str = "count") -> int:
    """Run the stream on Spark until it has read all, or dies; return the exit code."""
    return caudal("stream", str(PRODUCT), "--home", str(home), *OPTIONS, "--on", "spark", when=when, log=log, **BATCH)


def ended_by_a_signal_to_all(home: Path, log: Path) -> None:
    """A service manager, and ``timeout``, send SIGTERM to Java too, which ends first: that is the stream's end, and no failure."""
    command = (sys.executable, str(KILLER), "count", str(log), "--", "stream", str(PRODUCT), "--home", str(home), "--on", "spark", "--publish", "0.05")  # fmt: skip
    process = zygote.start(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env={**os.environ, **BATCH}
    )
    try:
        until = time.monotonic() + 300
        while not Path(str(Home(home).table("eeg", "sensor_seconds"))).exists() and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    assert "failed" not in output
    assert "Traceback" not in output
