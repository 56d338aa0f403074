"""Many messages at once give what each gives alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from caudal.errors import DeclarationProblem
from caudal.messaging.wire import WIRES, Block, avro, codec, many


def block(device: int, first: int, n: int, channels: int = 2) -> Block:
    seq = np.arange(first, first + n)
    return Block(device, seq, seq * 3906, (seq[:, None] + np.arange(channels)).astype(np.float32))


@pytest.mark.parametrize("wire", [*WIRES, "avro samples"])
def test_devices_are_kept_apart_and_in_order(wire: str) -> None:
    encode = avro.encode_samples if wire == "avro samples" else codec(wire).encode
    wire = wire.split()[0]
    payloads = [m for first in (0, 4, 8) for device in (7, 9) for m in encode(block(device, first, 4))]
    table = pa.chunked_array([pa.array(payloads[:3], pa.binary()), pa.array([b"-", *payloads[3:]], pa.binary())[1:]])
    for given in (payloads, pa.array(payloads, pa.binary()), pa.array([None, *payloads], pa.large_binary())[1:], table):
        found, unreadable = many(given, wire)
        assert not unreadable
        for device in (7, 9):
            parts = [one for one in found if one.device == device]
            assert np.concatenate([one.seq for one in parts]).tolist() == list(range(12))
            assert np.concatenate([one.values for one in parts])[5].tolist() == [5, 6]


@pytest.mark.parametrize("wire", WIRES)
def test_what_cannot_be_read_is_told_apart_with_its_position(wire: str) -> None:
    good = codec(wire).encode(block(1, 0, 1))[0]
    payloads = pa.array([good, None, b"rubbish", good[:-3], good], pa.binary())
    found, unreadable = many(payloads, wire)
    assert sum(map(len, found)) == 2
    assert [position for position, _ in unreadable] == [1, 2, 3]
    assert unreadable[0][1] == "the stored bytes are damaged"
    assert all(reason for _, reason in unreadable)


@pytest.mark.parametrize("wire", WIRES)
def test_samples_with_other_numbers_of_channels_are_other_blocks(wire: str) -> None:
    payloads = [m for channels in (2, 3, 2) for m in codec(wire).encode(block(1, 0, 1, channels))]
    found, unreadable = many(payloads, wire)
    assert {one.channels for one in found} == {2, 3}
    assert sum(map(len, found)) == 3
    assert not unreadable


@pytest.mark.parametrize("wire", WIRES)
def test_nothing_gives_nothing(wire: str) -> None:
    assert many([], wire) == ([], [])
    assert many(pa.array([], pa.binary()), wire) == ([], [])


def test_unknown_wire_names_the_nearest() -> None:
    with pytest.raises(DeclarationProblem, match="Did you mean 'packed'"):
        codec("paked")
