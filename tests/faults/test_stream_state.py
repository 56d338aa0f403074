"""A stream that has much to remember, and no room to write it to: nothing is lost, nothing is doubled, and memory stays what it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.stream import faults, soak
from benchmarks.stream.streaming import SOURCE, Streaming, differences, same_messages, send, tables

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]
ALL = ("--once", "--end", "--publish", "0.2")


@pytest.mark.usefixtures("forked_benchmarks")
def test_killed_with_every_window_open(tmp_path: Path) -> None:
    told = faults.state_filled(tmp_path, devices=64, seconds=40)
    assert told.wrong == []
    assert told.facts["state_bytes"] > 20_000_000


def test_a_memory_that_cannot_be_written_ends_the_stream_with_a_sentence(tmp_path: Path) -> None:
    told = faults.disk_full(tmp_path)
    assert told.wrong == []
    assert told.facts["code"] == 6
    assert "The stream's memory cannot be written" in told.facts["said"]
    assert told.facts["said"].count("\n") == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that is nearly full; the superuser can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        sys.platform != "linux"
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", place], capture_output=True).returncode
    ):
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.usefixtures("forked_benchmarks")
def test_a_full_disk_is_no_harm_once_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    """Whatever meets the end of the disk first: the memory, a table, the feed or the ledger."""
    home, environment = small_disk / "home", {"STREAM_LATE": "10 minutes"}
    send(tmp_path / "sent", "--rate", "0", "--devices", "16", "--seconds", "30")
    same_messages(tmp_path / "sent", home)
    faults.undisturbed(tmp_path / "sent", tmp_path / "truth", environment)
    for _ in range(3):  # while it is full, it stays so
        with Streaming(home, *ALL, batch_bytes=256 << 10, environment=environment) as stream:
            stream.process.wait(120)
            assert stream.process.returncode == 6, stream.said()
            assert "nothing is lost, and nothing is counted twice" in stream.said()
            assert "Traceback" not in stream.said()
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    with Streaming(home, *ALL, environment=environment) as stream:
        assert stream.ended()["sources"][SOURCE]["tables"]["seconds"]["open_windows"] == 0
    assert differences(tables(home), tables(tmp_path / "truth")) == []


def test_half_an_hour_of_event_time_takes_no_more_memory_than_eighteen_minutes(tmp_path: Path) -> None:
    looks = soak.soak(tmp_path, event_s=1800.0)
    # The allocators' pools fill until about twenty minutes; the benchmark of three hours shows that they end there.
    assert soak.growth(looks, since=0.6) <= soak.MOST_GROWTH, soak.table(looks)
    assert looks[-1].state_bytes < 2 * max(one.state_bytes for one in looks[: len(looks) // 3])
    assert looks[-1].descriptors < looks[len(looks) // 3].descriptors + 40
