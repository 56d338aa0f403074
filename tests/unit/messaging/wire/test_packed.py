"""Packed blocks come back as they were, and what was changed on the way is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.unit.messaging.wire.strategies import blocks

from caudal.messaging.wire import Block, packed
from caudal.messaging.wire.clock import sample_times, start_and_step


@given(st.lists(blocks(), min_size=1, max_size=3))
def test_round_trip(sent: list[Block]) -> None:
    payload = b"".join(message for block in sent for message in packed.encode(block))
    got = packed.decode(payload)
    assert len(got) == len(sent)
    assert all(one.same(other) for one, other in zip(got, sent, strict=True))


@given(blocks(least=1), st.data())
def test_one_changed_bit_is_told(block: Block, data: st.DataObject) -> None:
    payload = bytearray(packed.encode(block)[0])
    bit = data.draw(st.integers(0, 8 * len(payload) - 1))
    payload[bit // 8] ^= 1 << bit % 8
    if payload[10:12] == b"\0\0":  # a sender may leave the header's check out
        return
    with pytest.raises(ValueError, match=r"check|starts with|version|flags|truncated|too few"):
        packed.decode(bytes(payload))


@given(blocks(least=1), st.data())
def test_torn_payload_is_told(block: Block, data: st.DataObject) -> None:
    payload = packed.encode(block)[0]
    with pytest.raises(ValueError, match=r"truncated|too few"):
        packed.decode(payload[: data.draw(st.integers(0, len(payload) - 1))])


@pytest.mark.parametrize("rate", [1, 50, 128, 250, 256, 512, 1000, 8000])
@pytest.mark.parametrize("first", [0, 1, 7, 1_000_003])
def test_a_period_of_whole_nanoseconds_needs_no_explicit_times(rate: int, first: int) -> None:
    at_us = 1_700_000_000_000_000 + (np.arange(first, first + 5000) * 1_000_000_000 // rate) // 1000
    assert start_and_step(at_us[:256]) is not None
    block = Block(1, np.arange(256), at_us[:256], np.zeros((256, 16), np.float32))
    [message] = packed.encode(block)
    assert len(message) == packed.HEADER.size + 256 * 16 * 4
    assert packed.decode(message)[0].same(block)


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**12), st.integers(1, 300))
def test_a_start_and_a_step_are_found_only_if_they_give_every_time_back(t0_ns: int, step_ns: int, n: int) -> None:
    at_us = sample_times(t0_ns, step_ns, n)
    if (found := start_and_step(at_us)) is not None:
        assert np.array_equal(sample_times(*found, n), at_us)


def test_gaps_and_repeats_are_kept() -> None:
    seq = np.array([5, 6, 6, 9], np.int64)
    block = Block(3, seq, seq * 3906, np.full((4, 2), np.nan, np.float32))
    assert packed.decode(packed.encode(block)[0])[0].same(block)


def test_a_header_that_runs_past_64_bits_is_refused() -> None:
    header = packed.HEADER.pack(packed.MAGIC, 1, 0, 0, 0, 0, 10, 0, 2**62, 2**61, 0)
    with pytest.raises(ValueError, match="64 bits"):
        packed.decode(header)
