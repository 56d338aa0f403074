"""How a stretch of the log becomes tasks and micro-batches."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from caudal.messaging.log import Reader, Writer
from caudal.stages.ingest.streams import stream_kinds
from caudal.stages.ingest.streams.log import LogStream, limit_offsets, pieces


class Sized(Reader):
    """A log of which only sizes are asked: every record has 100 kB."""

    def size(self, partition: int, start: int, end: int) -> int:
        return 100_000 * (end - start)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=4), st.integers(1, 9))
def test_tasks_cover_every_record_once_and_evenly(drawn: list[tuple[int, int]], cores: int) -> None:
    ranges = [(partition, start, start + length) for partition, (start, length) in enumerate(drawn)]
    made = pieces(Sized(Path("nowhere")), ranges, cores)
    read = [(p, offset) for one in made for p, start, end in one.ranges for offset in range(start, end)]
    assert read == [(p, offset) for p, start, end in ranges for offset in range(start, end)]
    assert len(made) <= cores
    sizes = [sum(end - start for _, start, end in one.ranges) for one in made]
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_little_is_one_task(tmp_path: Path) -> None:
    with Writer(tmp_path, 2) as writer:
        for partition in (0, 1):
            writer.append(partition, [b"x" * 1000] * 10)
    [one] = LogStream(tmp_path, 8, 0).partitions({}, {"0": 10, "1": 10})
    assert one.ranges == ((0, 0, 10), (1, 0, 10))  # type: ignore[attr-defined]
    assert LogStream(tmp_path, 8, 0).partitions({"0": 10}, {"0": 10}) == []


@given(st.dictionaries(st.sampled_from("0123"), st.integers(0, 100)), st.integers(1, 80))
def test_a_micro_batch_is_bounded_and_goes_on(there: dict[str, int], most: int) -> None:
    at: dict[str, int] = {}
    log = Sized(Path("nowhere"))
    while (end := limit_offsets(log, at, there, most * 100_000)) != at and any(end[one] > at.get(one, 0) for one in end):
        taken = sum(end[one] - at.get(one, 0) for one in end)
        assert 1 <= taken <= most + len(there)  # a partition gives a record at least
        at = end
    assert sum(at.values()) == sum(there.values())


@pytest.mark.parametrize("segment_bytes", [1, 2500, 10**9])
def test_sizes_are_those_of_the_payloads(tmp_path: Path, segment_bytes: int) -> None:
    with Writer(tmp_path, 1, segment_bytes=segment_bytes) as writer:
        for length in range(1, 60):
            writer.append(0, [b"x" * length])
    reader = Reader(tmp_path)
    assert [reader.size(0, start, end) for start, end in ((0, 59), (5, 5), (10, 30), (58, 59))] == [
        sum(range(1, 60)), 0, sum(range(11, 31)), 59,
    ]  # fmt: skip


def test_kinds() -> None:
    assert sorted(stream_kinds()) == ["folder", "kafka", "socket", "stream"]
