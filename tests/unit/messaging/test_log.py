"""The embedded log: what was appended is read, once and whole, whatever happens to its writers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from caudal.errors import EnvironmentProblem, LeaseHeld, NotThere
from caudal.messaging.log import RECORD, SCHEMA, Reader, Writer


def payloads(log: Path, partition: int = 0) -> list[bytes | None]:
    reader = Reader(log)
    return list(reader.read(partition, 0, reader.end()[partition])["payload"].to_pylist())


@settings(max_examples=25)
@given(
    appends=st.lists(st.lists(st.binary(max_size=50), max_size=5), max_size=12),
    segment=st.integers(1, 200),
    piece=st.integers(1, 90),
)
def test_what_was_appended_is_read(
    tmp_path_factory: pytest.TempPathFactory, appends: list[list[bytes]], segment: int, piece: int
) -> None:
    log = tmp_path_factory.mktemp("log")
    sent: list[bytes] = []
    watching = Reader(log)
    with Writer(log, 1, segment_bytes=segment, clock=lambda: 12.5) as writer:
        for group in appends:
            assert writer.append(0, group) == range(len(sent), len(sent) + len(group))
            sent += group
            assert watching.end() == [len(sent)]
    for start in range(len(sent) + 1):
        batches = list(Reader(log).batches(0, start, len(sent), piece))
        assert all(batch.schema == SCHEMA and batch.num_rows for batch in batches)
        table = pa.Table.from_batches(batches, SCHEMA)
        assert table["payload"].to_pylist() == sent[start:]
        assert table["_offset"].to_pylist() == list(range(start, len(sent)))
        assert set(table["arrived"].cast(pa.int64()).to_pylist()) <= {12_500_000}


def test_segments_roll(tmp_path: Path) -> None:
    with Writer(tmp_path, 2, segment_bytes=100) as writer:
        for number in range(10):
            writer.append(1, [bytes([number]) * 60])
    assert len(list((tmp_path / "p1").glob("*.data"))) == 5
    assert Reader(tmp_path).end() == [0, 10]
    assert Reader(tmp_path).read(1, 3, 8)["payload"].to_pylist() == [bytes([number]) * 60 for number in range(3, 8)]


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "none")
    assert reader.end() == []
    with Writer(tmp_path / "none", 2) as writer:
        writer.append(1, [b"x"])
        assert reader.end() == [0, 1]


@pytest.mark.parametrize("index_bytes", [0, 1, 23])
@pytest.mark.parametrize("data_bytes", [0, 1, 7])
def test_a_torn_tail_is_seen_by_no_reader_and_cut_off_by_the_next_writer(tmp_path: Path, index_bytes: int, data_bytes: int) -> None:
    with Writer(tmp_path, 1) as writer:
        writer.append(0, [b"first", b"second"])
    [index], [data] = (list((tmp_path / "p0").glob(pattern)) for pattern in ("*.index", "*.data"))
    with index.open("ab") as one, data.open("ab") as other:
        one.write(b"\xee" * index_bytes)
        other.write(b"\xee" * data_bytes)
    assert payloads(tmp_path) == [b"first", b"second"]
    with Writer(tmp_path, 1) as writer:
        assert writer.append(0, [b"third"]) == range(2, 3)
    assert payloads(tmp_path) == [b"first", b"second", b"third"]
    assert data.stat().st_size == len(b"firstsecondthird")


def test_entries_whose_payload_was_lost_with_the_power_are_cut_off(tmp_path: Path) -> None:
    with Writer(tmp_path, 1) as writer:
        writer.append(0, [b"first", b"second", b"third"])
    [data] = (tmp_path / "p0").glob("*.data")
    data.write_bytes(b"first" + bytes(8))
    with Writer(tmp_path, 1) as writer:
        assert writer.append(0, [b"again"]) == range(1, 2)
    assert payloads(tmp_path) == [b"first", b"again"]


def test_damaged_bytes_are_null_and_the_others_are_not(tmp_path: Path) -> None:
    with Writer(tmp_path, 1) as writer:
        writer.append(0, [b"first", b"second", b"third"])
    [data] = (tmp_path / "p0").glob("*.data")
    data.write_bytes(b"firstsecXndthird")
    assert payloads(tmp_path) == [b"first", None, b"third"]


def test_one_writer_a_partition(tmp_path: Path) -> None:
    with Writer(tmp_path, 2) as one, Writer(tmp_path, 2) as other:
        one.append(0, [b"mine"])
        with pytest.raises(LeaseHeld, match=f"process {os.getpid()}"):
            other.append(0, [b"yours"])
        other.append(1, [b"yours"])
    with Writer(tmp_path, 2) as third:
        third.append(0, [b"free"])


def test_offsets_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with Writer(tmp_path, 1) as writer:
        writer.append(0, [b"x"])
    with pytest.raises(NotThere, match="offsets 0 to 1, not 0 to 2"):
        Reader(tmp_path).read(0, 0, 2)


def test_a_full_disk_is_said_and_leaves_whole_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Writer(tmp_path, 1) as writer:
        writer.append(0, [b"first"])
        real, index = os.pwrite, RECORD.itemsize

        def full(handle: int, content: bytes, position: int) -> int:
            if position == index:  # the index: one entry and a half get through
                real(handle, bytes(content)[: index + index // 2], position)
                raise OSError(28, "No space left on device")
            return real(handle, content, position)

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(EnvironmentProblem, match="No space left"):
            writer.append(0, [b"second", b"third"])
        monkeypatch.undo()
        assert writer.append(0, [b"fourth"]) == range(2, 3)
    assert payloads(tmp_path) == [b"first", b"second", b"fourth"]


WRITING = """
import sys
from pathlib import Path
from caudal.messaging.log import Writer
with Writer(Path(sys.argv[1]), 1, segment_bytes=1 << 20) as writer:
    start = writer.append(0, []).start
    print("ready", flush=True)
    number = start
    while True:
        writer.append(0, [f"{number + i:09d}".encode() * 400 for i in range(5)])
        number += 5
        print(number, flush=True)
"""


@pytest.mark.faults
def test_a_killed_writer_loses_nothing_it_had_said(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for turn in range(4):
        running = subprocess.Popen([sys.executable, "-c", WRITING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert running.stdout
        with running.stdout as told:
            assert told.readline() == "ready\n"
            until = time.monotonic() + 0.15 + 0.05 * turn
            while time.monotonic() < until:
                said = int(told.readline())
                # Another process sees it at once.
                assert reader.end()[0] >= said
            running.send_signal(signal.SIGKILL)
            running.wait()
            said = max([said, *(int(line) for line in told if line.endswith("\n"))])
        end = reader.end()[0]
        assert end >= said
        rows = reader.read(0, max(0, end - 2000), end)
        assert rows["payload"].to_pylist() == [f"{number:09d}".encode() * 400 for number in rows["_offset"].to_pylist()]
    for one in (Reader(tmp_path), reader):
        assert one.read(0, 0, 7) == reader.read(0, 0, 7)
    assert len(list((tmp_path / "p0").glob("*.index"))) > 1
