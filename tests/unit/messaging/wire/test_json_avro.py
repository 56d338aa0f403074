"""JSON and Avro messages: round trips, what Avro's own library reads of them, and messages that are none."""

from __future__ import annotations

import io
import json as plain
from typing import Any

import fastavro
import numpy as np
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given, settings
from tests.unit.messaging.wire.strategies import blocks

from caudal.messaging.wire import Block, avro, json, many
from caudal.messaging.wire.block import join_blocks

_TIMES = 2**55  # microseconds that fall between the years 1 and 9999


@settings(deadline=None)  # the reader is loaded when it is first used
@given(blocks(least=1, far=_TIMES))
def test_json_round_trip(block: Block) -> None:
    finite = Block(block.device, block.seq, block.at_us, np.where(np.isinf(block.values), np.nan, block.values))
    messages = json.encode(block)
    assert len(messages) == len(block)
    assert join_blocks([one for message in messages for one in json.decode(message)]).same(finite)
    [got], unreadable = many(messages, "json")
    assert got.same(finite)
    assert not unreadable


@given(blocks())
def test_avro_block_round_trip(block: Block) -> None:
    [message] = avro.encode(block)
    assert avro.decode(message)[0].same(block)


@pytest.mark.slow
@given(blocks(least=1))
def test_avro_sample_round_trip(block: Block) -> None:
    messages = avro.encode_samples(block)
    assert join_blocks([one for message in messages for one in avro.decode(message)]).same(block)
    [got], unreadable = many(messages, "avro")
    assert got.same(block)
    assert not unreadable


@pytest.mark.parametrize("schema", [avro.SAMPLE, avro.BLOCK])
def test_fingerprints_are_those_of_the_specification(schema: dict[str, Any]) -> None:
    assert avro.fingerprint(schema).hex() == fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")


@given(blocks(least=1, far=_TIMES))
def test_other_avro_libraries_read_and_write_the_same(block: Block) -> None:
    [message] = avro.encode(block)
    read: Any = fastavro.schemaless_reader(io.BytesIO(message[10:]), avro.BLOCK, None)
    assert read["values"] == pytest.approx(block.values.ravel().tolist(), nan_ok=True)
    assert read["samples"] == len(block)
    sample = io.BytesIO()
    at = np.datetime64(int(block.at_us[0]), "us").item()
    if not isinstance(at, int):  # within the years of Python's calendar
        row = {"device": block.device, "seq": int(block.seq[0]), "at_us": int(block.at_us[0]), "values": block.values[0].tolist()}
        fastavro.schemaless_writer(sample, avro.SAMPLE, row)
        assert avro.decode(avro.SAMPLE_HEAD + sample.getvalue())[0].same(block.cut(0, 1))


GOOD = {"device": 0, "seq": 1, "at": "2023-01-01T00:00:00.003906Z", "values": [1.5, None]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": -1}, "'device' is -1"),
        ({"device": True}, "'device' is True"),
        ({"device": 2**32}, "32 bits"),
        ({"seq": 1.5}, "'seq' is 1.5"),
        ({"seq": None}, "'seq' is None"),
        ({"at": "yesterday"}, "'at' is 'yesterday'"),
        ({"at": None}, "'at' is missing"),
        ({"at": None, "at_us": 0.5}, "'at_us' is 0.5"),
        ({"values": ["1"]}, "not a list of numbers"),
        ({"values": 3}, "not a list of numbers"),
        ({"values": [True]}, "not a list of numbers"),
    ],
)
def test_json_that_is_no_sample_is_told_alone_and_among_others(change: dict[str, Any], reason: str) -> None:
    bad, good = plain.dumps(GOOD | change).encode(), plain.dumps(GOOD).encode()
    with pytest.raises(ValueError, match=reason):
        json.decode(bad)
    [block], [(position, said)] = many([good, bad, good], "json")
    assert (len(block), position) == (2, 1)
    assert reason.replace("\\", "") in said


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"null", b'{"device":0,"seq":1,"values":[]}', b"\xff"])
def test_what_is_not_json_is_told(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|missing"):
        json.decode(text)


def test_json_times() -> None:
    def at(**said: Any) -> int:
        message = plain.dumps({name: value for name, value in (GOOD | said).items() if value is not None}).encode()
        alone, [among], _ = int(json.decode(message)[0].at_us[0]), *many([message, message], "json")
        assert among.at_us.tolist() == [alone, alone]
        return alone

    assert at() == 1672531200_003906
    assert at(at="2023-01-01T02:00:00.003906+02:00") == 1672531200_003906
    assert at(at="2023-01-01T00:00:00.003906") == 1672531200_003906
    assert at(at="2023-01-01 00:00:00Z") == 1672531200_000000
    assert at(at=None, at_us=17) == 17


def test_broken_avro_is_told() -> None:
    block = Block(1, np.arange(3), np.array([1, 5, 7]), np.ones((3, 2), np.float32))
    for message in (*avro.encode(block), *avro.encode_samples(block)):
        for size in range(len(message)):
            with pytest.raises(ValueError, match=r"truncated|not an Avro message"):
                avro.decode(message[:size])
        with pytest.raises(ValueError, match="1 bytes too many"):
            avro.decode(message + b"\0")
