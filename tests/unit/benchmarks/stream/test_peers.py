"""The comparison with peers: what it believes, what it tells, and caudal asked like the others."""

import copy
import sys
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
from benchmarks.answer import NoAnswer
from benchmarks.stream.peers import blocks, compare, messages
from benchmarks.stream.peers.messages import Backlog
from benchmarks.stream.peers.task import Task

from caudal.console import platforms
from caudal.messaging.broker import Broker
from caudal.messaging.wire import codec, packed

BACKLOG = Backlog(5)


@pytest.fixture(scope="module")
def windows() -> list[list[float]]:
    """All windows of the backlog, each put together from two halves of its block."""
    rows = []
    for block in BACKLOG.blocks():
        halves = [packed.encode(block.cut(0, 100))[0], packed.encode(block.cut(100, len(block)))[0]]
        for device in range(messages.DEVICES):
            found = [blocks.summed(blocks.unpacked([packed.with_device(half, device)])) for half in halves]
            sums = reduce(blocks.merged, (one for each in found for one in each.sums))
            rows += blocks.statistics(device, int(found[0].second[0]), sums)
    return rows


def test_peers_read_packed_blocks_as_caudal_does() -> None:
    payloads = [one for block in BACKLOG.blocks() for one in packed.encode(block)]
    theirs = blocks.unpacked(payloads)
    ours = [block for payload in payloads for block in packed.decode(payload)]
    assert np.array_equal(theirs.at_us, np.concatenate([one.at_us for one in ours]))
    assert np.array_equal(theirs.values, np.concatenate([one.values for one in ours]), equal_nan=True)
    broken = payloads[0][:-1] + bytes([payloads[0][-1] ^ 1])
    with pytest.raises(ValueError, match="not a packed block"):
        blocks.unpacked([broken])


def test_sums_do_not_depend_on_the_order_of_devices() -> None:
    parts = [
        blocks.unpacked([packed.with_device(packed.encode(block)[0], device)]) for block in BACKLOG.blocks() for device in (3, 1)
    ]
    found = blocks.summed(blocks.Samples(*(np.concatenate(some) for some in zip(*parts, strict=True))))
    assert found.device.tolist() == [1] * BACKLOG.seconds + [3] * BACKLOG.seconds
    assert np.array_equal(found.sums[: BACKLOG.seconds], found.sums[BACKLOG.seconds :])
    device, _, sensor, count, *_ = blocks.by_sensor(found)
    assert (device[16], sensor[17], count[17]) == (1, 1, found.sums[1, 0, 1])


def test_right_windows_are_believed(windows: list[list[float]]) -> None:
    assert messages.wrong(BACKLOG, windows) is None


@pytest.mark.parametrize(
    ("column", "change", "said"),
    [(3, 1, "readings in windows"), (4, 1, "min"), (5, 1, "max"), (6, 0.1, "mean"), (7, 1, "variance"), (2, 1, "windows|readings")],
)
def test_wrong_windows_are_not(windows: list[list[float]], column: int, change: float, said: str) -> None:
    changed = copy.deepcopy(windows)
    changed[20][column] += change
    assert any(one in (messages.wrong(BACKLOG, changed) or "") for one in said.split("|"))


def test_windows_must_not_be_missing_or_twice(windows: list[list[float]]) -> None:
    assert "windows instead of" in (messages.wrong(BACKLOG, windows[1:]) or "")
    assert messages.wrong(BACKLOG, [*windows[1:], windows[5]]) is not None


def test_a_sample_without_a_result_has_no_latency() -> None:
    sent = {7: [7.0, 7.5, 7.9], 8: [8.0]}
    updates = [[0, 7, 2, 8.5], [0, 7, 1, 7.25], [0, 7, 1, 7.3]]
    assert compare.latencies(updates, sent, 7.0, 8.5).tolist() == [0.25, 1.0, np.inf, np.inf]
    assert compare.latencies(updates, sent, 7.1, 7.6).tolist() == [1.0]


def test_the_console_shows_what_is_published(tmp_path: Path) -> None:
    good = {"json-4": {"readings_per_s": 2_000_000, "start_s": 1.0}, "packed-4": {"problem": "broke"}}
    rows = [
        {"platform": "swift", "readings": 10, "cases": good, "p50_s": 0.1, "p95_s": 0.25},
        {"platform": "absent", "readings": 10, "cases": {}, "p50_s": None, "p95_s": None, "problem": "not for this Python"},
    ]
    compare.publish(rows, tmp_path, "eeg")
    (tmp_path / "live" / "eeg" / "000000000001.jsonl").write_text("{}\n")
    assert platforms.read_platforms(tmp_path, "eeg") == [{"platform": "swift, json", "readings_per_s": 2e6, "p95_s": 0.25}]
    shown = compare.table(rows)
    assert "| swift | – | 2.00 | – | – | 1.00 | 0.10 | 0.25 |" in shown
    assert "absent: not for this Python" in shown
    assert "swift, packed-4: broke" in shown
    assert "| absent | – | – | – | – | – | – | – |" in shown


@pytest.mark.slow
def test_caudal_is_asked_like_the_others(tmp_path: Path) -> None:
    with Broker(tmp_path / "kafka", 0, heap="256m") as broker:
        command = [sys.executable, "-m", "benchmarks.stream.peers.own", "here", "all"]
        for wire in ("json", "packed"):
            BACKLOG.send(broker.address, wire, wire, 4)
            task = Task(broker.address, wire, wire, 4, 2, str(tmp_path / "answer"))
            found = compare._backlog(command, task, BACKLOG)
            assert found["readings_per_s"] > 0
            assert found["start_s"] > 0
        task = Task(broker.address, "json", "no such wire", 4, 2, str(tmp_path / "answer"))
        with pytest.raises(NoAnswer, match="no such wire"):
            compare._backlog(command, task, BACKLOG)


def test_json_of_another_device_is_its_own() -> None:
    block = next(BACKLOG.blocks()).cut(0, 1)
    payload = messages._of(codec("json").encode(block)[0], "json", 12)
    assert codec("json").decode(payload)[0].device == 12
