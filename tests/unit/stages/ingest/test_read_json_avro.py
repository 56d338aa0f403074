"""JSON lines and Avro containers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caudal.declarations.schema import schema
from caudal.errors import SourceProblem
from caudal.stages.ingest.read import read_files


def test_json_lines_are_typed_and_broken_lines_kept(spark: Any, land: Any, source: Any) -> None:
    lines = ['{"id": 1, "fare": 2.50, "tags": ["a"], "at": "2023-01-01T00:00:00"}', '{"id": "x", "fare": null}', '{"id": 3, "fa']
    file = land("\n".join(lines) + "\n", "trips.jsonl")
    result = read_files(spark, [file], source(schema(id="long", fare="decimal(6,2)", at="timestamp", tags="string")))
    rows = {(row["_format_errors"] or [None])[0]: row for row in result.frame.collect()}
    assert str(rows[None]["fare"]) == "2.50"
    assert json.loads(rows[None]["tags"]) == ["a"]
    assert json.loads(rows["id is not a whole number"]["_raw"])["id"] == "x"
    assert json.loads(rows["line is not a JSON object"]["_raw"]) == {"_line": '{"id": 3, "fa'}


def test_a_json_array_is_read_too_and_types_are_told(spark: Any, land: Any, source: Any) -> None:
    result = read_files(spark, [land('[{"id": 1, "ok": true}, {"id": 2, "ok": false, "more": 1.5}]', "all.json")], source())
    assert {one.name: one.type for one in result.schema} == {"id": "long", "ok": "boolean", "more": "double"}
    assert sorted(row["id"] for row in result.frame.collect()) == [1, 2]


@pytest.mark.parametrize("content", [b"", b"\n", b"not json\n", '{"a": "é"}\n'.encode("latin-1")])
def test_json_that_is_none_is_told(spark: Any, land: Any, source: Any, content: bytes) -> None:
    with pytest.raises(SourceProblem, match=r"'bad\.json'"):
        read_files(spark, [land(content, "bad.json")], source())


@pytest.mark.parametrize(
    "content", ['{"rows": [{"a": 1}]}{"rows": [{"a": 2}]}', '{"rows": [{"a": 1}]', '{"rows": [], "rows": [{"a": 1}]}']
)
def test_an_answer_with_more_behind_its_rows_is_told(spark: Any, land: Any, source: Any, content: str) -> None:
    with pytest.raises(SourceProblem, match=r"'bad\.json' is no JSON"):
        read_files(spark, [land(content, "bad.json")], source(records="rows"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "key 'a' twice"), ('{"a": 1}\n{"A": 2}', "differ in case only"), ('{"\\ud800": 1}', "surrogate"),
        ('{\n"a": 1,\n"b": [1,]\n}', "line 3, column"), ("[" * 600 + "]" * 600, "nests deeper than 500"),
    ],
)  # fmt: skip
def test_json_that_readers_take_differently_is_refused(spark: Any, land: Any, source: Any, content: str, said: str) -> None:
    with pytest.raises(SourceProblem, match=said):
        read_files(spark, [land(content, "bad.json")], source())


def test_a_large_file_s_keys_are_looked_up_by_spark_alike(
    spark: Any, land: Any, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caudal.stages.ingest.formats.json._LOCAL_BYTES", 0)
    result = read_files(spark, [land('{"é": 1}\n{"b": [1.10]}{"b": 2}\n', "all.json")], source())
    assert sorted(map(str, (row["b"] for row in result.frame.collect()))) == ["2", "None", "[1.10]"]
    with pytest.raises(SourceProblem, match="key 'a' twice"):
        read_files(spark, [land('{"b": 1}\n{"a": 1, "a": 2}\n', "twice.json")], source())


def _long(value: int) -> bytes:
    value, out = (value << 1) ^ (value >> 63), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _avro(fields: list[dict[str, Any]], rows: list[bytes]) -> bytes:
    """Return a container file by the specification, written apart from the reader under test."""
    schema = json.dumps({"type": "record", "name": "trip", "fields": fields}).encode()
    marker = bytes(range(16))
    meta = (
        _long(2)
        + _long(11)
        + b"avro.schema"
        + _long(len(schema))
        + schema
        + _long(10)
        + b"avro.codec"
        + _long(4)
        + b"null"
        + _long(0)
    )
    body = b"".join(rows)
    return b"Obj\x01" + meta + marker + _long(len(rows)) + _long(len(body)) + body + marker


FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "int"},
    {"name": "zone", "type": ["null", "string"]},
    {"name": "at", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
]
ROWS = [_long(7) + _long(1) + _long(4) + b"Soho" + _long(1_672_531_200_000_000), _long(8) + _long(0) + _long(0)]


def test_a_cut_or_damaged_avro_file_is_named(spark: Any, land: Any, source: Any) -> None:
    whole = _avro(FIELDS, ROWS)
    for content, said in ((whole[:-5], "truncated"), (whole[:30], "damaged"), (b"PAR1" * 9, "no Avro file"), (b"", "empty")):
        with pytest.raises(SourceProblem, match=said):
            read_files(spark, [land(content, "bad.avro")], source())


@pytest.mark.parametrize("kind", ["array", "map", "record", "union"])
@pytest.mark.parametrize("depth", [200, 3000])
def test_an_avro_schema_that_is_too_deep_is_refused_by_name(land: Any, source: Any, kind: str, depth: int) -> None:
    before, after = {
        "array": ('{"type":"array","items":', "}"), "map": ('{"type":"map","values":', "}"),
        "record": ('{"type":"record","name":"r%d","fields":[{"name":"x","type":', "}]}"), "union": ('["null",{"type":"array","items":', "}]"),
    }[kind]  # fmt: skip
    text = "".join(before.replace("%d", str(place)) for place in range(depth)) + '"int"' + after * depth
    schema = f'{{"type":"record","name":"trip","fields":[{{"name":"id","type":{text}}}]}}'.encode()
    content = b"Obj\x01" + _long(1) + _long(11) + b"avro.schema" + _long(len(schema)) + schema + _long(0) + bytes(range(16)) * 2
    with pytest.raises(SourceProblem, match=r"'deep\.avro' has a schema that nests deeper than 100"):
        read_files(None, [land(content, "deep.avro")], source())  # type: ignore[arg-type] # Spark is not asked


def test_an_avro_schema_of_some_depth_is_read(spark: Any, land: Any, source: Any) -> None:
    kind: Any = "int"
    for _ in range(20):
        kind = {"type": "array", "items": kind}
    fields = [{"name": "id", "type": "int"}, {"name": "deep", "type": kind}]
    assert read_files(spark, [land(_avro(fields, [_long(7) + _long(0)]), "some.avro")], source()).frame.count() == 1


def test_avro_is_read(spark: Any, land: Any, source: Any) -> None:
    result = read_files(spark, [land(_avro(FIELDS, ROWS), "trips.avro")], source())
    assert {one.name: one.type for one in result.schema} == {"id": "long", "zone": "string", "at": "timestamp"}
    assert sorted((row["id"], row["zone"], row["at"].year) for row in result.frame.collect()) == [
        (7, "Soho", 2023),
        (8, None, 1970),
    ]
