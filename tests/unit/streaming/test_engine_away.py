"""A source that is away, and comes back by halves: nothing is taken for read, and nobody is late who was only held back."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import caudal as cd
from caudal.errors import EnvironmentProblem, StepFailed
from caudal.messaging.log import SCHEMA
from caudal.messaging.wire import Block, codec
from caudal.stages.ingest.streams.tap import Offsets, SourceUnavailable, Tap
from caudal.streaming import faults
from caudal.streaming.checkpoint import Checkpoint, newest, save
from caudal.streaming.in_process import SETTLE_S, InProcessEngine
from caudal.streaming.stream import Thread
from caudal.tables.home import Home

START_US = 1_700_000_000_000_000


@dataclass
class Partitions(Tap):
    """A source in this process: messages by partition; ``gone`` says that it does not answer."""

    messages: list[list[bytes]] = field(default_factory=lambda: [[], []])
    first: Offsets = (0, 0)
    gone: bool = False

    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        if self.gone:
            raise SourceUnavailable("It is away.")
        end = tuple(len(some) for some in self.messages)
        return start or self.first, end, 1

    def read(self, start: Offsets, end: Offsets) -> Iterator[pa.RecordBatch]:
        for partition, (low, high) in enumerate(zip(start, end, strict=True)):
            for offset in range(low, high):
                row = {
                    "_partition": partition,
                    "_offset": offset,
                    "payload": self.messages[partition][offset],
                    "arrived": START_US * 2,
                }
                yield pa.RecordBatch.from_pylist([row], SCHEMA)

    def close(self) -> None:
        pass

    def add(self, device: int, seconds: Sequence[int]) -> None:
        """Send a sample of each of some seconds, by the partition of the device."""
        at = START_US + np.array(seconds, np.int64) * 1_000_000
        block = Block(device, np.array(seconds, np.int64), at, np.ones((len(at), 1), np.float32))
        self.messages[device % 2] += codec("packed").encode(block)


@dataclass
class Clock:
    """A clock that is set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def product() -> cd.Product:
    made = cd.Product("shown")
    samples = made.source("samples", cd.stream(channels=("a",)), late="2 seconds")
    made.statistics("seconds", of=samples, window="1 second")
    return made


def engine(home: Path, tap: Tap, clock: Clock | None = None) -> InProcessEngine:
    declared = product()
    return InProcessEngine(declared, declared.sources["samples"], Home(home), tap, "run", publish_s=0.0, clock=clock or Clock())


def late(one: InProcessEngine) -> int:
    return one.checkpoint.states["seconds"].late


def test_what_was_held_back_by_an_outage_is_not_late(tmp_path: Path) -> None:
    tap, clock = Partitions(), Clock()
    at_work = engine(tmp_path, tap, clock)
    tap.add(0, [0, 1])
    tap.add(1, [0, 1])
    assert at_work.step()
    tap.gone = True
    assert not at_work.step()
    assert tap.unavailable is not None
    tap.gone = False
    tap.add(0, range(2, 20))  # the first partition comes back long before the second
    assert at_work.step()
    assert tap.unavailable is None
    tap.add(1, range(2, 20))
    assert at_work.step()
    assert late(at_work) == 0
    assert at_work.checkpoint.states["seconds"].readings == 40
    clock.now += SETTLE_S + 1
    tap.add(0, range(20, 40))
    assert at_work.step()
    tap.add(1, range(20, 30))
    assert at_work.step()
    assert late(at_work) == 10  # without an outage, time is where the first has come to


def test_a_partition_that_stays_silent_holds_nobody_up_for_ever(tmp_path: Path) -> None:
    tap, clock = Partitions(), Clock()
    at_work = engine(tmp_path, tap, clock)
    tap.add(0, [0])
    tap.add(1, [0])
    tap.gone = True
    at_work.step()
    tap.gone = False
    at_work.step()
    tap.add(0, range(1, 20))
    at_work.step()
    assert at_work.checkpoint.states["seconds"].closed * 1_000_000 < START_US
    clock.now += SETTLE_S + 1
    tap.add(0, [20])
    at_work.step()
    assert at_work.checkpoint.states["seconds"].closed * 1_000_000 > START_US


def test_where_a_stream_begins_is_remembered_before_anything_comes(tmp_path: Path) -> None:
    tap = Partitions()
    tap.add(0, [0])
    tap.first = (1, 0)  # what is there already is not asked for
    assert not engine(tmp_path, tap).step()
    tap.add(0, [1])
    tap.first = (2, 0)
    again = engine(tmp_path, tap)
    assert again.step()
    assert again.checkpoint.counts["samples"] == 1


def test_asked_once_a_stream_waits_for_a_source_that_is_away(tmp_path: Path) -> None:
    tap, asked = Partitions(), threading.Event()
    tap.add(0, [0])
    tap.gone = True
    at_work = engine(tmp_path, tap)
    thread = Thread(at_work, asked, 0.0, None, once=True)
    thread.start()
    thread.join(0.7)
    assert thread.is_alive()
    assert not thread.read_all
    tap.gone = False
    thread.join(10)
    assert thread.read_all
    assert at_work.checkpoint.counts["samples"] == 1


def test_asked_to_stop_while_the_source_is_away_not_all_was_read(tmp_path: Path) -> None:
    for once in (True, False):
        tap, asked = Partitions(gone=True), threading.Event()
        thread = Thread(engine(tmp_path / str(once), tap), asked, 0.0, None, once=once)
        thread.start()
        thread.join(0.3)
        asked.set()
        thread.join(10)
        assert not thread.read_all


def test_a_source_that_stays_away_ends_the_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caudal.streaming.stream._PATIENCE_S", 0.0)
    thread = Thread(engine(tmp_path, Partitions(gone=True)), threading.Event(), 0.0, None, once=False)
    thread.run()
    with pytest.raises(SourceUnavailable, match="It is away"):
        thread.raise_error()


def test_a_memory_without_room_leaves_those_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, Checkpoint(batch=4))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("caudal.streaming.checkpoint.os.fsync", full)
    with pytest.raises(EnvironmentProblem, match=r"No space left on device .* goes on from there"):
        save(tmp_path, Checkpoint(batch=5))
    assert newest(tmp_path).batch == 4
    assert [file.name for file in tmp_path.iterdir()] == ["000000000004.memory"]


def test_a_full_disk_is_told_from_a_fault() -> None:
    for full in (OSError(errno.EDQUOT, "quota"), OSError("Error writing bytes. Detail: [errno 28] No space left on device")):
        assert isinstance(faults.translate_stream_error(full, "the stream 'x'"), EnvironmentProblem)
    told = faults.translate_stream_error(ValueError("3 is no colour"), "the stream 'x'")
    assert isinstance(told, StepFailed)
    assert told.what == "The stream 'x' broke: ValueError: 3 is no colour."
