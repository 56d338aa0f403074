"""Kill -9 of a stream that Spark computes: before and after each act that leaves a trace, and while tasks work; its tables are those of a stream
in this process that nobody disturbed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.faults.test_stream_kills import PRODUCT, assert_same, caudal, tables

from caudal.tables.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(3600)]
OPTIONS = ("--once", "--end", "--publish", "0.05")
MOMENTS = (
    "at:before save memory",  # nothing is recorded: Spark computes the micro-batch again
    "at:after save memory",  # recorded, and Spark does not know: what it computes again is left out
    "at:before append sensor_seconds",
    "at:after append sensor_seconds",
    "at:after append samples",
    "9",
    "after:14",
    "after:17",
)


def test_killed_again_and_again(tmp_path: Path) -> None:
    here, spark, events = tmp_path / "here", tmp_path / "spark", tmp_path / "events"
    assert caudal("replay", str(PRODUCT), "--home", str(here), "--rate", "0", "--seconds", "40", "--devices", "2", log=events) == 0
    shutil.copytree(here / "streams", spark / "streams")
    assert caudal("stream", str(PRODUCT), "--home", str(here), *OPTIONS, log=events) == 0
    died = 0
    for moment in MOMENTS:
        died += caudal("stream", str(PRODUCT), "--home", str(spark), *OPTIONS, "--on", "spark", when=moment, log=events) != 0
    assert died >= 6
    assert caudal("stream", str(PRODUCT), "--home", str(spark), *OPTIONS, "--on", "spark", log=events) == 0
    assert_same(tables(spark), tables(here))


def test_the_end_of_the_whole_group_of_processes(tmp_path: Path) -> None:
    """A service manager, and ``timeout``, send SIGTERM to Java too, which ends first: that is the stream's end, and no failure."""
    here, spark, events = tmp_path / "here", tmp_path / "spark", tmp_path / "events"
    assert caudal("replay", str(PRODUCT), "--home", str(here), "--rate", "0", "--seconds", "40", "--devices", "2", log=events) == 0
    shutil.copytree(here / "streams", spark / "streams")
    assert caudal("stream", str(PRODUCT), "--home", str(here), *OPTIONS, log=events) == 0
    command = (sys.executable, "-m", "caudal", "stream", str(PRODUCT), "--home", str(spark), "--on", "spark", "--publish", "0.05")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        until = time.monotonic() + 300
        while not Path(str(Home(spark).table("eeg", "sensor_seconds"))).exists() and process.poll() is None:
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
    assert caudal("stream", str(PRODUCT), "--home", str(spark), *OPTIONS, "--on", "spark", log=events) == 0
    assert_same(tables(spark), tables(here))
