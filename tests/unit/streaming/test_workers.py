"""A micro-batch that workers compute in parts has the rows, counts, anomalies and captured samples of one process's, whatever befalls a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import caudal as cd
from caudal.messaging.log import SCHEMA, Writer
from caudal.messaging.wire import Block, codec
from caudal.stages.ingest.streams import open_tap
from caudal.stages.ingest.streams.parts import LogParts, sent_parts
from caudal.stages.ingest.streams.tap import LogTap
from caudal.storage import delta
from caudal.storage.sweep import sweep
from caudal.streaming import split
from caudal.streaming.in_process import InProcessEngine
from caudal.streaming.workers import StreamWorkers
from caudal.tables.frames import arrow
from caudal.tables.home import Home

START_US = 1_700_000_000_000_000
CHANNELS = ("a", "b")
TABLES = ("samples", "seconds", "sessions", "odd")
WAIT_S = 60.0


def product(detects: bool = True) -> cd.Product:
    made = cd.Product("shown")
    samples = made.source("samples", cd.stream(channels=CHANNELS, partitions=2), late="2 seconds")
    made.statistics("seconds", of=samples, window="1 second", every="500 ms", ranges=(0.0, 10.0), quantiles=(0.25, 0.5))
    made.statistics("sessions", of=samples, session="300 ms")
    if detects:
        made.detect("odd", samples, cd.robust_z(window=32), threshold=0.7)
    return made


@pytest.fixture(scope="module", params=[2, 3])
def workers(request: pytest.FixtureRequest) -> Iterator[StreamWorkers]:
    started = StreamWorkers(request.param)
    wait_for(started)
    yield started
    started.close()


@pytest.fixture(autouse=True)
def _split_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "SPLIT_BYTES", 1)


def wait_for(workers: StreamWorkers) -> None:
    until = time.monotonic() + WAIT_S
    while not workers.ready():
        assert time.monotonic() < until, "no worker starts"
        time.sleep(0.02)


def write(home: Path, messages: Sequence[tuple[int, bytes]]) -> None:
    with Writer(Home(home).stream("shown", "samples"), 2) as log:
        for partition, message in messages:
            log.append(partition, [message])


def engine(home: Path, stream_workers: StreamWorkers, most_bytes: int, detects: bool = True) -> InProcessEngine:
    declared = product(detects)
    source, place = declared.sources["samples"], Home(home).stream("shown", "samples")
    tap = open_tap(source.connection, place, None)
    return InProcessEngine(
        declared, source, Home(home), tap, "run", publish_s=0.0, most_bytes=most_bytes, stream_workers=stream_workers
    )


def streamed(home: Path, stream_workers: StreamWorkers, most_bytes: int) -> tuple[dict[str, pa.Table], dict[str, object]]:
    """Return the tables and counts of a stream that has read all, and closed its windows."""
    at_work = engine(home, stream_workers, most_bytes)
    try:
        while at_work.step():
            pass
        at_work.end()
        counts: dict[str, object] = {**at_work.checkpoint.counts, "offsets": at_work.checkpoint.offsets}
        for name, state in at_work.checkpoint.states.items():
            counts[name] = (state.readings, state.samples, state.duplicates, state.late, state.newest_us, state.closed)
    finally:
        at_work.close()
    assert not list(Home(home).table("shown", "samples").glob("*/*.part"))
    return {name: rows(home, name) for name in TABLES}, counts


def rows(home: Path, name: str) -> pa.Table:
    folder = Home(home).table("shown", name)
    if delta.version_of(folder) is None:
        return pa.table({})
    table = arrow(delta.read_version(folder))
    return table.sort_by(
        [(column, "ascending") for column in ("device", "at", "window_start", "sensor") if column in table.column_names]
    )


values = st.one_of(st.floats(-2000, 2000, width=32), st.sampled_from([float("nan"), 0.1, 1e-7, 3e5, 1e9]))
blocks = st.builds(
    lambda device, first, samples, shift_ms, seed: (device, first, samples, shift_ms, seed),
    st.integers(0, 2), st.integers(0, 400), st.integers(1, 40), st.sampled_from([0, 0, 0, 0, 700, -4000]), values,
)  # fmt: skip


def message(drawn: tuple[int, int, int, int, float]) -> bytes:
    """Return a block whose values follow from its samples' numbers: a sample that comes again is the same."""
    device, first, samples, shift_ms, value = drawn
    seq = np.arange(first, first + samples)
    at = START_US + seq * 10_000 + (shift_ms * 1000)
    readings = np.stack([seq * 0.37, np.where(seq % 7 == 0, np.float32(value), 1 / (seq + 1))], axis=1).astype(np.float32)
    return codec("packed").encode(Block(device, seq, at, readings))[0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages=st.lists(st.tuples(st.integers(0, 1), st.one_of(blocks.map(message), blocks.map(message), st.binary(max_size=30))), min_size=1, max_size=40),
    most_bytes=st.sampled_from([1 << 10, 1 << 13, 1 << 20]),
    sent=st.booleans(),
)  # fmt: skip
def test_parts_give_what_one_process_gives(
    messages: list[tuple[int, bytes]],
    most_bytes: int,
    sent: bool,
    workers: StreamWorkers,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Both read the same micro-batches; with workers, these are as large as all parts together.

    Workers read the log themselves, or are sent what the stream's process has read, as it is with topics.
    """
    alone, apart = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("apart")
    for home in (alone, apart):
        write(home, messages)
    want, want_counts = streamed(alone, StreamWorkers(1), most_bytes * workers.count)
    with pytest.MonkeyPatch.context() as patch:
        if sent:
            patch.setattr(LogTap, "part_reader", lambda _: None)
        have, have_counts = streamed(apart, workers, most_bytes)
    assert have_counts == want_counts
    for name, table in want.items():
        assert have[name].equals(table), name
    assert files(apart) == files(alone)


def files(home: Path) -> int:
    """Return the number of files that tasks have captured and no version has named; they are deleted."""
    return sweep(Home(home).table("shown", "samples"))


def regular(blocks_each: int = 40) -> list[tuple[int, bytes]]:
    """Return messages of two devices, each in a partition of its own."""
    return [(number % 2, message((number % 2, number // 2 * 40, 40, 0, 0.1))) for number in range(2 * blocks_each)]


def test_what_comes_again_in_another_part_is_a_duplicate(workers: StreamWorkers, tmp_path: Path) -> None:
    """The later part is computed again, what its worker had captured is deleted, and the next micro-batch is not cut."""
    large = message((0, 0, 150_000, 0, 0.1))  # so large that a task writes what it captures
    write(tmp_path, [(0, large), (1, large)])
    at_work = engine(tmp_path, workers, 1 << 22, detects=False)
    assert at_work.step()
    assert at_work.workers == 2
    state = at_work.checkpoint.states["seconds"]
    assert (state.readings, state.duplicates, state.late) == (300_000, 150_000, 0)
    write(tmp_path, [(0, message((2, 150_000, 40, 0, 0.1))), (1, message((2, 150_040, 40, 0, 0.1)))])
    assert at_work.step()
    assert at_work.workers == 1
    at_work.end()
    at_work.close()
    assert rows(tmp_path, "samples").num_rows == 300_080
    assert files(tmp_path) == 0


def test_what_was_computed_ahead_is_read_again_after_an_end(workers: StreamWorkers, tmp_path: Path) -> None:
    large = [message((0, first, 150_000, 0, 0.1)) for first in range(0, 600_000, 150_000)]
    write(tmp_path, [(0, each) for each in large])
    at_work = engine(tmp_path, workers, len(large[0]) // workers.count + 1, detects=False)
    assert at_work.step()
    taken = at_work.checkpoint.counts["samples"]
    assert taken < 600_000
    at_work.finish()
    at_work.close()
    assert files(tmp_path) == 0
    go_on = engine(tmp_path, workers, 1 << 20, detects=False)
    while go_on.step():
        pass
    go_on.end()
    go_on.close()
    assert go_on.checkpoint.counts["samples"] == rows(tmp_path, "samples").num_rows == 600_000
    assert go_on.checkpoint.states["seconds"].duplicates == 0
    assert files(tmp_path) == 0


def test_samples_that_workers_do_not_know_are_recognized(
    workers: StreamWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split, "_SENT_BYTES", 0)
    for home in (tmp_path / "alone", tmp_path / "apart"):
        write(home, [*regular(10), *regular(12)])
    want, want_counts = streamed(tmp_path / "alone", StreamWorkers(1), 2048 * workers.count)
    have, have_counts = streamed(tmp_path / "apart", workers, 2048)
    assert have_counts == want_counts
    assert all(have[name].equals(table) for name, table in want.items())


def test_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    """Both are killed while they compute the next micro-batch; others take their place."""
    for home in (tmp_path / "alone", tmp_path / "apart"):
        write(home, regular())
    want, want_counts = streamed(tmp_path / "alone", StreamWorkers(1), 4096)
    started = StreamWorkers(2)
    wait_for(started)
    at_work = engine(tmp_path / "apart", started, 2048)
    assert at_work.step()
    assert at_work.workers == 2
    first = list(started.pids)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    assert at_work.step()
    wait_for(started)
    assert not set(first) & set(started.pids)
    at_work.close()
    have, have_counts = streamed(tmp_path / "apart", started, 2048)
    started.close()
    assert have_counts == want_counts
    assert all(have[name].equals(table) for name, table in want.items())
    assert files(tmp_path / "apart") == 0


def test_what_workers_cannot_do_is_done_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After three failures no worker is asked any more."""
    for home in (tmp_path / "alone", tmp_path / "apart"):
        write(home, regular())
    want, want_counts = streamed(tmp_path / "alone", StreamWorkers(1), 4096)
    started = StreamWorkers(2)
    wait_for(started)
    monkeypatch.setattr("caudal.stages.ingest.streams.tap.LogTap.part_reader", lambda _: LogParts(tmp_path / "elsewhere"))
    have, have_counts = streamed(tmp_path / "apart", started, 2048)
    assert have_counts == want_counts
    assert all(have[name].equals(table) for name, table in want.items())
    assert "NotThere" in caplog.text
    assert "goes on without workers." in caplog.text
    assert not started.ready()
    started.close()


def test_workers_end_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    started = StreamWorkers(2, idle_s=0.0)
    wait_for(started)
    pids = started.pids
    assert len(pids) == 2
    write(tmp_path, regular(1))
    at_work = engine(tmp_path, started, 1 << 20)
    while at_work.step():
        pass
    assert not started.pids
    assert not any(is_running(pid) for pid in pids)
    at_work.close()
    started.close()


def test_a_small_micro_batch_starts_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    write(tmp_path, regular(2))
    started = StreamWorkers(2)
    at_work = engine(tmp_path, started, 1 << 20)
    assert at_work.step()
    assert (at_work.workers, started.pids) == (1, [])
    at_work.close()


def test_workers_end_with_a_parent_that_is_killed() -> None:
    code = (
        "import time; from caudal.streaming.workers import StreamWorkers; workers = StreamWorkers(2)\n"
        "while not workers.ready(): time.sleep(0.02)\n"
        "print(*workers.pids, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = list(map(int, parent.stdout.readline().split()))
        assert len(pids) == 2
        parent.kill()
    until = time.monotonic() + WAIT_S
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, "a worker has outlived its parent"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that has ended and whose parent has not looked has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_is_sent_to_workers_is_what_was_read() -> None:
    """Each message once and in order, also of batches that hold several partitions."""
    moment = pa.array([0] * 10, SCHEMA.field("arrived").type)

    def batch(partitions: list[int], offsets: list[int]) -> pa.RecordBatch:
        columns = {
            "_partition": pa.array(partitions),
            "_offset": pa.array(offsets),
            "payload": pa.array([f"{partition}-{offset}".encode() for partition, offset in zip(partitions, offsets, strict=True)]),
            "arrived": moment[: len(offsets)],
        }
        return pa.record_batch([columns[field.name].cast(field.type) for field in SCHEMA], schema=SCHEMA)

    batches = [batch([0] * 6, [3, 4, 5, 8, 9, 10]), batch([1, 0, 1, 1], [0, 11, 1, 2]), batch([], [])]
    parts = [((0, 3, 9),), ((0, 9, 12), (1, 0, 1)), ((1, 1, 3),)]
    told = [
        [payload for each in reader.read(part) for payload in each.column("payload").to_pylist()]
        for reader, part in zip(sent_parts(batches, parts), parts, strict=True)
    ]
    assert told == [[b"0-3", b"0-4", b"0-5", b"0-8"], [b"0-9", b"0-10", b"0-11", b"1-0"], [b"1-1", b"1-2"]]
