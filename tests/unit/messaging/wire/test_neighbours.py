"""A message is read as it is, whatever lies beside it: a broken one costs itself alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from caudal.messaging.wire import WIRES, Block, avro, codec, many

_NUMBERS = st.floats(width=32) | st.none() | st.integers(-(2**70), 2**70) | st.just(1e300)
_TIMES = st.sampled_from(
    ["2024-02-29T12:00:00Z", "2024-02-29 12:00", "2024-02-29T12:00:00.1234567+02:00", "20240229T120000", "9999-12-31T23:59:59", "x"]
)
_MESSAGE = st.fixed_dictionaries(
    {"device": st.integers(0, 3) | st.sampled_from([True, 1.0, "1", 2**32, None]), "seq": st.integers(-(2**65), 2**65)},
    optional={
        "at": _TIMES, "at_us": st.integers(0, 2**62) | st.none() | st.just(1.5),
        "values": st.lists(_NUMBERS, max_size=3) | st.just([[1]]) | st.just({}), "note": st.sampled_from(["a", "\ud800", "é"]),
    },
)  # fmt: skip
_TEXTS = st.sampled_from([
    b'{"device":1,"seq":999,"at":"oops"', b"", b"null", b"[]", b'{"device":1}{"device":2}', b'{"a":"\xe9"}', b"{}\n{}",
    b'{"device":1,"seq":1,"at_us":0,"values":[1],"note":"\xe9"}', b'{"device":1,"seq":1,"at_us":0,"values":[1.],}', b"[" * 2000,
    b'{"device":1,"device":2,"seq":1,"at_us":0,"values":[NaN,-Infinity]}', b" {} ", b'{"device":1,"seq":1,"at_us":0,"values":[1e400]}',
])  # fmt: skip


def poisoned(payloads: list[bytes], wire: str) -> None:
    """Hold that each message gives in company what it gives alone."""
    blocks, unreadable = many(payloads, wire)
    faults = dict(unreadable)
    alone = []
    for position, payload in enumerate(payloads):
        own, fault = many([payload], wire)
        assert (position in faults) == bool(fault)
        assert not fault or faults[position] == fault[0][1]
        alone += samples(own)
    assert sorted(samples(blocks)) == sorted(alone)


def samples(blocks: list[Block]) -> list[tuple[int, int, int, bytes]]:
    return [
        (one.device, int(one.seq[i]), int(one.at_us[i]), np.ascontiguousarray(one.values[i]).tobytes())
        for one in blocks
        for i in range(len(one))
    ]


@given(st.lists(_MESSAGE.map(lambda said: json.dumps(said).encode()) | _TEXTS, min_size=1, max_size=8))
def test_json(payloads: list[bytes]) -> None:
    poisoned(payloads, "json")


def test_python_s_nan_is_a_missing_value_with_and_without_a_broken_message() -> None:
    sound = [json.dumps({"device": 1, "seq": i, "at_us": i, "values": [math.nan, i]}).encode() for i in range(4)]
    for payloads in (sound, [*sound[:2], b'{"device":1', *sound[2:]]):
        blocks, unreadable = many(payloads, "json")
        assert np.concatenate([one.seq for one in blocks]).tolist() == [0, 1, 2, 3]
        assert all(np.isnan(one.values[:, 0]).all() for one in blocks)
        assert len(unreadable) == len(payloads) - 4


@pytest.mark.parametrize("wire", [*WIRES, "avro samples"])
@given(data=st.data())
def test_every_wire(wire: str, data: st.DataObject) -> None:
    encode = avro.encode_samples if wire == "avro samples" else codec(wire).encode
    payloads: list[bytes] = []
    for _ in range(data.draw(st.integers(1, 3))):
        n, channels = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
        seq = np.arange(n) * data.draw(st.integers(1, 2)) + data.draw(st.integers(-(2**62), 2**62))
        block = Block(
            data.draw(st.integers(0, 2)), seq, np.arange(n) * 1000, np.arange(n * channels, dtype=np.float32).reshape(n, -1)
        )
        payloads += encode(block)
    sound = payloads[0]
    for _ in range(data.draw(st.integers(0, 2))):
        place, octets = data.draw(st.integers(0, len(payloads) - 1)), bytearray(sound)
        if data.draw(st.booleans()):
            octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        else:
            del octets[data.draw(st.integers(0, len(octets) - 1)) :]
        payloads.insert(place, bytes(octets))
    poisoned(payloads, wire.split()[0])
