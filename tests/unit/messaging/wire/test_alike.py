"""Messages of JSON that Arrow reads at once are, to the bit, what each of them is by itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from caudal.messaging.wire.alike import FEWEST, read_alike
from caudal.messaging.wire.json import decode, decode_many

GOOD = b'{"device":3,"seq":%d,"at":"2023-11-14T22:13:20.%06dZ","values":[4010.25,-7,null]}'


def good(count: int) -> list[bytes]:
    return [GOOD % (number, number * 3906) for number in range(count)]


def by_itself(payloads: list[bytes]) -> tuple[dict[tuple[int, int], list[tuple[int, int, bytes]]], list[tuple[int, str]]]:
    """Return the samples of each device and number of channels, in order, and what cannot be read."""
    samples: dict[tuple[int, int], list[tuple[int, int, bytes]]] = {}
    unreadable = []
    for position, payload in enumerate(payloads):
        try:
            (block,) = decode(payload)
        except ValueError as error:
            unreadable.append((position, str(error)))
        else:
            sample = (int(block.seq[0]), int(block.at_us[0]), block.values.tobytes())
            samples.setdefault((block.device, block.channels), []).append(sample)
    return samples, unreadable


def at_once(payloads: list[bytes]) -> Any:
    unreadable: list[tuple[int, str]] = []
    samples = {
        (block.device, block.channels): [
            (int(seq), int(at), values.tobytes()) for seq, at, values in zip(block.seq, block.at_us, block.values, strict=True)
        ]
        for block in decode_many(payloads, unreadable)
    }
    return samples, unreadable


def compare(payloads: list[bytes]) -> None:
    expected, found = by_itself(payloads), at_once(payloads)
    assert found == expected
    assert list(found[0]) == list(expected[0]), "in the order in which they came first"


numbers = (
    st.none()
    | st.integers(-(2**70), 2**70)
    | st.floats(width=32)
    | st.floats()
    | st.sampled_from([0.0, -0.0, 1e308, 5e-324, 2**53 + 1])
)
anything = st.recursive(numbers | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=4)  # fmt: skip
moments = st.datetimes().map(lambda at: at.isoformat()) | st.sampled_from(
    [
        "2023-01-01T00:00:00Z", "2023-01-01T00:00:00.5Z", "2023-01-01 00:00:00+02:00", "2023-01-01", "20230101T000000Z", "2023-W01-1", "",
        "2023-01-01T00:00:00.1234567Z", "2023-01-01T24:00:00Z", "2023-01-01T23:59:60Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00", "2023-01-01T00:00z", "2023-02-30T00:00:00Z", "2023-01-01T00:00:00+00:00:30", "2023-01-01T00:00:00 Z",
        "2023-1-1T00:00:00Z", "+2023-01-01T00:00:00Z", "2023-01-01T00Z", "2023-01-01T00:00:00,5Z", "2023-01-01T00:00:00-00:00",
    ]
)  # fmt: skip
documents = st.fixed_dictionaries(
    {
        "device": st.integers(0, 2) | st.integers(-1, 2**33) | anything,
        "seq": st.integers(-(2**64), 2**64) | anything,
        "values": st.lists(numbers, max_size=4) | anything,
    },
    optional={"at": moments | anything, "at_us": st.integers(-(2**64), 2**64) | anything, "more": anything},
).map(lambda document: json.dumps(document).encode())
crafted = st.sampled_from(
    [
        b"", b" ", b"{}", b"null", b"[]", b"{", b"}", GOOD % (1, 2) + GOOD % (2, 3), GOOD % (1, 2) + b"\n" + GOOD % (2, 3), GOOD % (1, 2) + b"\n",
        b"\r\n\t " + GOOD % (1, 2), (GOOD % (1, 2)).replace(b",", b"\n,\n"), b"\xef\xbb\xbf" + GOOD % (1, 2), GOOD % (1, 2) + b"\0", b"\xff",
        b'{"x":"}', b'{"}', b'{"x":{"a":1}', b'{"y":2}}',
        b'{"device":1,"device":2,"seq":1,"at_us":5,"values":[1]}', b'{"\\u0064evice":1,"seq":1,"at_us":5,"values":[1]}',
        b'{"device":1,"seq":1,"at_us":5,"values":[1e999]}', b'{"device":1,"seq":1,"at_us":5,"values":[1e-999,-0,-0.0,1E5,1.5e+3]}',
        b'{"device":1,"seq":1,"at_us":5,"values":[NaN,Infinity,-Infinity]}', b'{"device":1,"seq":01,"at_us":5,"values":[1]}',
        b'{"device":1,"seq":1,"at_us":5,"values":[01]}', b'{"device":1,"seq":1,"at_us":5,"values":[+1]}', b'{"device":1,"seq":1,"at_us":5,"values":[.5]}',
        b'{"device":1,"seq":1,"at_us":5,"values":[1.]}', b'{"device":1,"seq":1,"at_us":5,"values":[1,]}', b'{"device":1,"seq":1,"at_us":5,"values":[0x1]}',
        b'{"device":1.0,"seq":1e0,"at_us":5,"values":[1]}', b'{"device":-0,"seq":-0,"at_us":-0,"values":[1]}',
        b'{"device":1,"seq":1,"at_us":5,"values":[1],"x":"\xff"}', b'{"device":1,"seq":1,"at_us":5,"values":[1],"x":"\\ud800"}',
        b'{"device":1,"seq":1,"at_us":5,"values":[1],"x":"\x01"}', b'{"device":1,"seq":1,"at_us":5,"values":[1],"x":1e999}',
        b'{"device":1,"seq":1,"at_us":5,"values":[1],"x":' + b"[" * 1500 + b"]" * 1500 + b"}",
        b'{"device":1,"seq":1,"at_us":5,"values":[1],"x":' + b"[" * 1010 + b"]" * 1010 + b"}",
        b'{"device":1,"seq":1,"at_us":5,"at":"no time","values":[1]}', b'{"device":1,"seq":1,"at_us":null,"at":null,"values":[1]}',
        b'{"device":1,"seq":1,"at_us":5,"at":7,"values":[1]}', b'{"device":1,"seq":1,"at_us":5,"values":null}', b'{"device":1,"seq":1,"at_us":5,"values":[]}',
        b"/**/" + GOOD % (1, 2), GOOD % (1, 2) + b"//", b'{"device":1,"seq":1,"at_us":5,"values":[1]}}', b'{"device":1,"seq":1,"at_us":5,"values":[16777217,0.1]}',
    ]
)  # fmt: skip
edited = st.builds(
    lambda payload, at, other: payload[: at % len(payload)] + other + payload[at % len(payload) + len(other) :],
    st.just(GOOD % (7, 8)), st.integers(0, 500), st.binary(max_size=3),
)  # fmt: skip


@given(st.lists(documents | crafted | edited, min_size=1, max_size=4), st.integers(0, FEWEST))
@example([b'{"x":"}', b'{"}', GOOD % (1, 2) + GOOD % (2, 3)], 3)
@example([b'{"x":{"a":1}', b'{"y":2}}', GOOD % (1, 2) + GOOD % (2, 3)], 3)
def test_whatever_comes_among_them(odd: list[bytes], place: int) -> None:
    usual = good(FEWEST)
    compare([*usual[:place], *odd, *usual[place:]])


@given(st.lists(documents, min_size=1, max_size=2), st.integers(1, 3))
def test_all_of_one_form(odd: list[bytes], repeats: int) -> None:
    compare(odd * (FEWEST * repeats))


@pytest.mark.parametrize("payload", list(crafted.elements))  # type: ignore[attr-defined]
def test_crafted(payload: bytes) -> None:
    compare([payload] * FEWEST)
    compare([*good(FEWEST), payload, *good(5)])


def test_messages_of_many_devices_and_numbers_of_channels_are_read_at_once() -> None:
    payloads = [
        json.dumps(
            {
                "seq": number,
                "device": number % 5,
                "at_us": number,
                "values": [number / 3] * (1 + number % 3),
                "unit": {"of": ["µV"]},
            },
            ensure_ascii=False,
        ).encode()
        + b"\n"
        for number in range(3000)
    ]
    sent = read_alike(payloads)
    assert sent is not None
    assert np.array_equal(sent.device, np.arange(3000) % 5)
    compare(payloads)


def test_after_messages_that_it_cannot_read_it_reads_others_again() -> None:
    payloads = [*good(1024), *[b'{"device":1,"seq":1,"at_us":5,"values":[NaN]}'] * 1024, *good(1024), *[b"no"] * 3000, *good(10)]
    compare(payloads)
