"""A message becomes one line: a row with its position, or a line that is no JSON and says why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from caudal.stages.ingest.formats.json_rows import TextRows
from caudal.stages.ingest.message_rows import Names, NoRow, Position, line_of

AT = Position(1, 5, 1_700_000_000_000, b"k")
POSITION = {"kafka_partition": 1, "kafka_offset": 5, "kafka_time": "2023-11-14T22:13:20.000Z", "kafka_key": "k"}


def line(body: bytes | None, encoding: str = "json", position: Position = AT) -> str | None:
    return line_of(position, body, encoding, no_schema, Names(["id"]))


def no_schema(number: int) -> Any:
    raise NoRow(f"the registry has no schema of the number {number}")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["id", "a", "é", "x y", "kafka_offset"]), VALUES), st.sampled_from([None, 2]))
def test_an_object_keeps_its_values_and_gains_its_position(row: dict[str, object], indent: int | None) -> None:
    text = line(json.dumps(row, ensure_ascii=False, indent=indent).encode())
    assert text is not None
    assert "\n" not in text
    assert json.loads(text) == {**POSITION, **row}


@given(st.binary(max_size=40))
def test_any_bytes_are_one_line_and_one_row_or_none(body: bytes) -> None:
    text = line(body)
    assert text is not None
    assert not {"\n", "\r"} & set(text)
    rows = TextRows()
    assert rows.add(text) == 1
    assert bool(rows.faults) == text.startswith("kafka_partition=1 kafka_offset=5 is no row: ")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"[1]", "not a JSON object"),
        (b"{} {}", "it holds 2 JSON values"),
        (b'{"a": 1, "a": 2}', "has the key 'a' twice"),
        (b'{"ID": 1}', "its key 'ID' differs from 'id' in case only"),
        (b'{"b": 1, "B": 2}', "its key 'B' differs from 'b' in case only"),
        (b"\xff", "byte 0 is no UTF-8"),
        (b'{"\\ud800": 1}', "half of a surrogate pair"),
    ],
)
def test_what_is_no_row_says_why(body: bytes, reason: str) -> None:
    text = line(body)
    assert text is not None
    assert reason in text


def test_a_name_that_was_refused_is_not_known_afterwards() -> None:
    known = Names([])
    assert line_of(AT, b'{"x": 1, "y": 2, "Y": 3}', "json", no_schema, known).startswith("kafka_partition=1")  # type: ignore[union-attr]
    assert json.loads(line_of(AT, b'{"X": 1}', "json", no_schema, known) or "")["X"] == 1


@pytest.mark.parametrize(
    ("body", "row"),
    [
        (b'{"op":"c","before":null,"after":{"id":1.50},"ts_ms":0}', {"change": "c", "changed_at": "1970-01-01T00:00:00.000Z", "id": 1.5}),
        (b'{"payload":{"op":"d","before":{"id":1},"after":null}}', {"change": "d", "changed_at": None, "id": 1}),
        (b'{"op":"r","after":{},"ts_ms":[99999999999999999999]}', {"change": "r", "changed_at": None}),
        (b'{"op":"r","after":{},"ts_ms":99999999999999999999}', {"change": "r", "changed_at": None}),
        (b'{"op":"t","ts_ms":1}', {"change": "t", "changed_at": "1970-01-01T00:00:00.001Z"}),
    ],
)  # fmt: skip
def test_an_event_of_debezium_is_the_row_that_it_tells_of(body: bytes, row: dict[str, object]) -> None:
    assert json.loads(line(body, "debezium") or "") == {**POSITION, **row}


@pytest.mark.parametrize(
    "body", [b'{"id": 1}', b'{"op":"u","after":null}', b'{"payload":null}', b'{"payload":[1]}', b'{"op":["c"],"after":{}}', b"[]"]
)
def test_other_events_of_debezium_are_set_aside(body: bytes) -> None:
    assert (line(body, "debezium") or "").startswith("kafka_partition=1 kafka_offset=5 is no row: ")


def test_messages_without_a_body_or_a_time() -> None:
    assert line(None, "debezium") is None
    assert json.loads(line(None, position=Position(1, 5, 10**17, b"\xff")) or "") == {
        **POSITION,
        "kafka_time": None,
        "kafka_key": "/w==",
    }


@pytest.mark.parametrize("body", [b"", b"\x00\x00", b"\x01\x00\x00\x00\x01x", b"\x00\x00\x00\x00\x07x"])
def test_avro_that_has_no_schema_is_set_aside(body: bytes) -> None:
    pytest.importorskip("fastavro")
    assert (line(body, "avro") or "").startswith("kafka_partition=1 kafka_offset=5 is no row: ")
