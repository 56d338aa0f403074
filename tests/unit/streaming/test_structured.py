"""A device's share of micro-batches gives what one engine for all devices gives; Spark is not needed for that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

import caudal as cd
from caudal.declarations.statistics import Statistics
from caudal.messaging.wire.block import Block
from caudal.messaging.wire.codec import codec
from caudal.stages.statistics import Samples, advance, merge_partials, new_state, take_samples, window_rows
from caudal.streaming.structured.by_device import (
    MARK,
    NO_DEVICE,
    REPORT,
    SAMPLES,
    SamplesByDevice,
    report,
    split_by_device,
    unpacked,
)
from caudal.streaming.structured.device import DeviceProcessor, DeviceState
from caudal.streaming.structured.gather import Gather
from caudal.streaming.task import TaskInput
from caudal.streaming.totals import TableTotals, totals_of

LATE_S = 2.0
START_US = 1_767_600_000_000_000


def table(**options: object) -> Statistics:
    """Return the declaration of statistics of two channels."""
    product = cd.Product("p")
    source = product.source("samples", cd.stream(channels=("a", "b")), late=f"{LATE_S:.0f} seconds")
    return product.statistics("seconds", of=source, quantiles=(0.5,), **options)


DECLARED = [table(window="1 second"), table(window="3 seconds", every="1 second"), table(session="2 seconds")]


def batch(rows: list[tuple[int, int]]) -> Samples:
    """Return samples of (device, seconds); the number of a sample is its time, so that it may come again."""
    device, second = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return Samples(device, second, START_US + second * 1_000_000, np.stack([second, -second], axis=1).astype(np.float32))


BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=20), min_size=1, max_size=6)


@pytest.mark.parametrize("declared", DECLARED, ids=["tumbling", "sliding", "sessions"])
@given(batches=BATCHES)
def test_devices_by_themselves_give_the_rows_and_counts_of_all_together(
    declared: Statistics, batches: list[list[tuple[int, int]]]
) -> None:
    state = new_state(declared)
    together, by_device = [], []
    processor = DeviceProcessor("samples", {"seconds": declared}, (), 2)
    memories: dict[int, DeviceState] = {}
    totals, watermark_us = TableTotals(), 0
    for rows in [*batches, []]:  # the last one closes what event time has passed
        samples = batch(rows)
        if rows:
            state, closed, _ = advance(state, [take_samples(samples, declared, state.bounds)], declared)
            together.append(closed)
        parts = dict(split_by_device(samples)) if rows else {}
        for device in sorted({*memories, *parts}):
            memory = memories.setdefault(device, DeviceState())
            result = processor.advance(memory, [parts[device]] if device in parts else [], watermark_us)
            totals += result.added["seconds"]
            by_device += [result.closed["seconds"]] if "seconds" in result.closed else []
            if memory.is_empty:
                del memories[device]
        watermark_us = state.newest_us - round(LATE_S * 1e6)
    want, have = (
        window_rows(merge_partials(parts or [state.open.where(np.zeros(len(state.open), bool))], declared.gap_us), declared)
        for parts in (together, by_device)
    )
    order = [("device", "ascending"), ("window_start", "ascending"), ("sensor", "ascending")]
    assert have.sort_by(order).equals(want.sort_by(order))
    assert replace(totals, state_bytes=0, newest_us=0) == replace(totals_of(state), state_bytes=0, newest_us=0)


def test_a_device_asks_to_be_called_when_its_next_window_closes() -> None:
    processor = DeviceProcessor("samples", {"seconds": DECLARED[0]}, (), 2)
    memory = DeviceState()
    processor.advance(memory, [batch([(0, 5), (0, 7)])], 0)
    assert processor.closes_us(memory) == START_US + 6_000_000
    result = processor.advance(memory, [], START_US + 6_000_000)
    assert len(result.closed["seconds"]) == 1
    assert processor.closes_us(memory) == START_US + 8_000_000


def test_a_task_sends_samples_to_their_devices_and_tells_what_it_has_read(tmp_path) -> None:
    blocks = [Block(device, np.arange(3), START_US + np.arange(3) * 1000, np.ones((3, 2), np.float32)) for device in (7, 4)]
    payloads = [message for block in blocks for message in codec("packed").encode(block)] + [b"none"]
    n = len(payloads)
    messages = pa.record_batch(
        [pa.array([1] * n, pa.int32()), pa.array(range(10, 10 + n), pa.int64()), pa.array(payloads), pa.array([START_US + 10**6] * n, pa.timestamp("us", "UTC"))],
        names=["_partition", "_offset", "payload", "arrived"],
    )  # fmt: skip
    work = TaskInput(("a", "b"), "packed", {}, str(tmp_path))
    rows = [row for given in SamplesByDevice(work)([messages]) for row in given.to_pylist()]
    assert [(row["device"], row["kind"]) for row in rows] == [(4, SAMPLES), (7, SAMPLES), (NO_DEVICE, REPORT), (NO_DEVICE, MARK)]
    assert {(row["source_partition"], row["source_offset"]) for row in rows[:2]} == {(1, 10)}
    assert [row["at"] is None for row in rows] == [True, True, True, False]
    assert unpacked(4, rows[0]["body"]).at_us.tolist() == blocks[1].at_us.tolist()
    told = report(rows[2]["body"])
    assert (told.messages, told.samples, told.unreadable_messages, told.sample_blocks) == (3, 6, 1, [])
    assert sum(len(captured) for captured in told.rows) == 6


def test_many_rows_of_windows_are_written_to_files_and_few_are_sent(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    from caudal.streaming.structured import gather

    processor = DeviceProcessor("samples", {"seconds": DECLARED[0]}, (), 2)
    result = processor.advance(DeviceState(), [batch([(0, 1), (0, 2)])], 0)
    end = processor.advance(memory := DeviceState(), [batch([(0, 1), (0, 2)])], 0)
    end = processor.advance(memory, [], START_US + 60_000_000)
    bodies = pa.record_batch(
        [pa.array(["device"] * 2), pa.array([pickle.dumps(result), pickle.dumps(end)])], names=["kind", "body"]
    )
    by = Gather({"seconds": DECLARED[0]}, {"seconds": str(tmp_path)}, {"seconds": ("window_start", None)})
    few = by.gather([bodies])
    assert len(few.rows["seconds"]) == 4
    assert few.totals["seconds"].samples == 2
    assert len(few.open["seconds"]) == 4
    monkeypatch.setattr(gather, "INLINE_BYTES", 10)
    many = by.gather([bodies])
    assert [file.rows for file in many.files["seconds"]] == [4]
    assert (tmp_path / many.files["seconds"][0].name).is_file()
