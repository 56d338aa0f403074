"""Records are read as kept readers read them: the same rows, or quarantine with a reason, or one clear refusal.

The files are drawn by a seed that is printed (``CAUDAL_SEED`` draws others); ``CAUDAL_EXAMPLES`` says how many.
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caudal.declarations.connection import Files
from caudal.declarations.node import Source
from caudal.declarations.schema import Schema, column, schema
from caudal.errors import SourceProblem
from caudal.stages.ingest import RawFile
from caudal.stages.ingest.formats import json as json_format
from caudal.stages.ingest.read import read_files

EXAMPLES = int(os.environ.get("CAUDAL_EXAMPLES", "100"))
SEED = int(os.environ.get("CAUDAL_SEED", "1"))
on_each = pytest.mark.parametrize("each_session", [pytest.param("spark", marks=pytest.mark.slow), "sail"], indirect=True)


@pytest.fixture
def drawn() -> random.Random:
    print(f"CAUDAL_SEED={SEED}")
    return random.Random(SEED)


def refusal(ask: Callable[[], Any]) -> SourceProblem | None:
    """Return why something is refused, None where it is not."""
    try:
        ask()
    except SourceProblem as problem:
        return problem
    return None


def landed(folder: Path, content: bytes, name: str) -> RawFile:
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{sha256}{name[name.index('.') :]}"
    path.write_bytes(content)
    return RawFile(path, sha256, name)


def source(wanted: Schema | None = None, **options: Any) -> Source:
    return Source("records", Files("*", None, options), wanted)


# JSON

KEYS = ("a", "b c", "_bad", "é", "x.y")
NAMES = {"a": "a", "b c": "b_c", "_bad": "bad", "é": "é", "x.y": "x_y"}
VALUES = (
    "1", "1.50", "-0.0", "1e400", "1E5", "0.1", "123456789012345678901234567890", "123456789012345678.91", "null", "true", "false", '""',
    '"t"', '"1.50"', '"caf\\u00e9"', '"é😀"', '"\\ud83d\\ude00"', '"\\u0000"', '"a\\nb"', '"\\\\"', '"}{"', "[]", "{}", '{"x": 1.10, "x": 2}',
    "[1.0, [2, {}]]", "NaN", "-Infinity", "[" * 300 + "]" * 300,
)  # fmt: skip
BROKEN = (
    "01",
    "1.",
    ".5",
    "+1",
    "nan",
    "'s'",
    '"\\x"',
    '"\t"',
    '"open',
    "[1,]",
    "{,}",
    "",
    "tru",
    '"\\ud800"',
    "[" * 600 + "]" * 600,
)
BETWEEN = ("\n", "\n", "\n", "\n", "\r\n", "\n\n", " ", "", "\t\n", ",\n")


def document(drawn: random.Random) -> str:
    """Draw an object, mostly a sound one, sometimes over several lines."""
    parts = []
    for key in drawn.sample(KEYS, drawn.randint(1, len(KEYS))):
        value = drawn.choice(BROKEN) if drawn.random() < 0.02 else drawn.choice(VALUES)
        parts.append(f"{json.dumps(key, ensure_ascii=drawn.random() < 0.5)}{drawn.choice((':', ' : '))}{value}")
    if drawn.random() < 0.01:
        parts.append(parts[0])
    text = "{" + ", ".join(parts) + drawn.choice(("}", " }"))
    return drawn.choice((text, text, text, text, drawn.choice(("[1]", "3", "null", '"t"', f"[{text}]", "[]", "{}", text[:-1]))))


def file_of(drawn: random.Random, folder: Path, number: int) -> tuple[RawFile, str]:
    """Draw a file and return it with its text."""
    documents = [document(drawn) for _ in range(drawn.randint(1, 6))]
    kind = drawn.random()
    if kind < 0.1:
        text = "[" + drawn.choice((",", ",\n", " , ")).join(documents) + "]"
    elif kind < 0.15:
        text = "\n".join(one.replace("{", "{\n").replace(",", ",\n") for one in documents)
    else:
        text = "".join(one + drawn.choice(BETWEEN) for one in documents)
    if drawn.random() < 0.05:
        text = text[: drawn.randint(1, len(text))]
    octets = text.encode() if drawn.random() < 0.95 else ("\ufeff" + text).encode()
    packed = drawn.random() < 0.1
    return landed(folder, gzip.compress(octets) if packed else octets, f"{number}.json{'.gz' if packed else ''}"), text


def parsed(text: str) -> list[Any] | None:
    """Return what the standard library reads of documents one after another, None where it reads not all of them."""

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(members)

    decoder = json.JSONDecoder(parse_float=lambda digits: ("number", digits), parse_int=lambda digits: ("number", digits),
                               parse_constant=lambda word: ("number", word), object_pairs_hook=pairs)  # fmt: skip
    found, at = [], 0
    try:
        while text[at:].strip(" \t\r\n"):
            at = len(text) - len(text[at:].lstrip(" \t\r\n"))
            value, at = decoder.raw_decode(text, at)
            found += value if isinstance(value, list) else [value]
    except (ValueError, RecursionError):
        return None
    return found


def deep(value: Any) -> int:
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth, level = depth + 1, [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def plain(value: Any) -> Any:
    if isinstance(value, dict | list):
        return "nested", repr(value)
    return (
        {True: "true", False: "false"}.get(value, value)
        if isinstance(value, bool)
        else value[1]
        if isinstance(value, tuple)
        else value
    )


def rows_of(documents: list[Any]) -> tuple[Counter[Any], int]:
    """Return the rows of some documents, and how many are none."""
    good: Counter[Any] = Counter()
    bad = 0
    for one in documents:
        sound = isinstance(one, dict) and deep(one) <= 500
        if sound and not any(
            isinstance(value, str) and any("\ud800" <= mark <= "\udfff" for mark in value) for value in one.values()
        ):
            good[tuple(plain(one.get(key)) for key in KEYS)] += 1
        else:
            bad += 1
    return good, bad


def seen(cell: str | None) -> Any:
    if cell is not None and cell[:1] in ("[", "{"):
        documents = parsed(f"[{cell}]")
        if documents is not None:
            return "nested", repr(documents[0])
    return cell


def expected(text: str) -> list[tuple[Counter[Any], int]]:
    """Return the readings that are right: of all documents, or line by line, where a line that is no JSON is set aside."""
    readings = []
    if (whole := parsed(text)) is not None:
        readings.append(rows_of(whole))
    good, bad = Counter[Any](), 0
    for line in text.split("\n"):
        documents = parsed(line)
        if documents is None or any(deep(one) > 500 for one in documents):  # such a line is set aside whole
            bad += 1
        else:
            some, none = rows_of(documents)
            good, bad = good + some, bad + none
    return [*readings, (good, bad)]


@pytest.mark.slow
@on_each
def test_json_is_read_as_the_standard_library_reads_it(each_session: Any, tmp_path: Path, drawn: random.Random) -> None:
    wanted = schema(**{NAMES[key]: column("string", raw=key, required=False) for key in KEYS})
    files: dict[str, tuple[RawFile, str]] = {}
    refused: Counter[str] = Counter()
    for number in range(EXAMPLES):
        file, text = file_of(drawn, tmp_path, number)
        problem = refusal(partial(json_format.inspect, each_session, file, {}, ()))
        if problem is None:
            files[file.sha256[:16]] = file, text
            continue
        kinds = ("twice", "no JSON object", "holds no line", "is no JSON", "is empty")
        why = next((why for why in kinds if why in problem.what), None)
        assert why is not None, (text, problem)
        assert (parsed(text) is None) or why != "is no JSON" or "deeper" in problem.what, (text, problem)
        refused[why] += 1
    rows = defaultdict(list)
    for row in read_files(each_session, [file for file, _ in files.values()], source(wanted)).frame.collect():
        rows[row["_file"]].append(row)
    for sha, (_, text) in files.items():
        good = Counter(tuple(seen(row[NAMES[key]]) for key in KEYS) for row in rows[sha] if row["_format_errors"] is None)
        bad = [row for row in rows[sha] if row["_format_errors"] is not None]
        assert all(row["_raw"] for row in bad)
        assert (good, len(bad)) in expected(text), (text, good, bad)
    assert len(files) > EXAMPLES // 3, refused


@on_each
def test_json_of_the_usual_kind_is_read_as_duckdb_reads_it(each_session: Any, tmp_path: Path, drawn: random.Random) -> None:
    rows = [
        {"id": i, "amount": round(drawn.uniform(-1e6, 1e6), 2), "name": drawn.choice(["a", "é😀", "", "x\ny"]), "ok": drawn.random() < 0.5,
         "at": f"2024-02-{1 + i % 28:02}T00:00:01", "more": {"n": [i]}}
        for i in range(200)
    ]  # fmt: skip
    kept = [{key: value for key, value in row.items() if key == "id" or drawn.random() < 0.8} for row in rows]
    file = landed(tmp_path, "\n".join(map(json.dumps, kept)).encode(), "usual.json")
    ours = read_files(
        each_session, [file], source(schema(id="long", amount="double", name="string", ok="boolean", at="timestamp", more="string"))
    )
    theirs = duckdb.sql(
        f"SELECT id, amount, name, ok, \"at\", CAST(more AS VARCHAR) FROM read_json('{file.path}', format='newline_delimited', columns="
        "{id: 'BIGINT', amount: 'DOUBLE', name: 'VARCHAR', ok: 'BOOLEAN', \"at\": 'TIMESTAMP', more: 'JSON'}) ORDER BY id"
    ).fetchall()
    got = [tuple(row)[:6] for row in ours.frame.sort("id").collect()]
    shown = [(*row[:5], row[5] and json.loads(row[5])) for row in got]
    assert shown == [(*row[:5], row[5] and json.loads(row[5])) for row in theirs]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "windows-1252", "shift_jis", "utf-7"])
@on_each
def test_json_in_other_encodings(each_session: Any, tmp_path: Path, encoding: str) -> None:
    text = '{"k": "caf\\u00e9", "n": 1.10}\r\n{"k": "~", "n": 123456789012345678.91}\n'
    result = read_files(
        each_session,
        [landed(tmp_path, text.encode(encoding), "x.json")],
        source(schema(k="string", n="string"), encoding=encoding),
    )
    assert sorted((row["k"], row["n"], row["_format_errors"]) for row in result.frame.collect()) == [
        ("café", "1.10", None), ("~", "123456789012345678.91", None),
    ]  # fmt: skip


# Parquet and Avro

NOW = dt.datetime(2024, 2, 29, 23, 59, 59, 999_999)


def arrow_columns(drawn: random.Random, n: int) -> dict[str, pa.Array]:
    """Draw columns of every type that a table takes, with their ends and nulls."""

    def some(*values: Any) -> list[Any]:
        return [drawn.choice((*values, None)) for _ in range(n)]

    days = some(dt.date(1, 1, 1), dt.date(1582, 10, 4), dt.date(9999, 12, 31), dt.date(1970, 1, 1))
    times = some(
        NOW,
        dt.datetime(1, 1, 1),
        dt.datetime(1883, 11, 18, 12),
        dt.datetime(1969, 12, 31, 23, 59, 59, 1),
        dt.datetime(9999, 12, 31),
    )
    near = some(NOW, dt.datetime(1969, 12, 31, 23, 59, 59, 1), dt.datetime(1700, 1, 1))
    arrays = {
        f"{kind}{bits}": pa.array(some(0, 1, *((2**bits - 1,) if kind == "uint" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))), getattr(pa, f"{kind}{bits}")())
        for kind in ("int", "uint")
        for bits in (8, 16, 32, 64)
    }  # fmt: skip
    return arrays | {
        "id": pa.array(range(n)), "f": pa.array(some(0.5, -0.0, float("inf")), pa.float32()), "d": pa.array(some(0.1, 1e-308, 1e308)),
        "text": pa.array(some("", "é😀", "\0", "x" * 500)), "large": pa.array(some("a", "b"), pa.large_string()),
        "view": pa.array(some("a", "b" * 20), pa.string_view()), "cat": pa.array(some("u", "v"), pa.string()).dictionary_encode(),
        "raw": pa.array(some(b"", b"\xff\0")), "fixed": pa.array(some(b"abcd"), pa.binary(4)), "yes": pa.array(some(True, False)),
        "day": pa.array(days), "ms": pa.array(some(NOW.replace(microsecond=0)), pa.timestamp("ms")), "us": pa.array(times, pa.timestamp("us")),
        "ns": pa.array(near, pa.timestamp("ns")), "utc": pa.array(times, pa.timestamp("us", "UTC")),
        "zoned": pa.array(near, pa.timestamp("us", "America/New_York")),
        "dec": pa.array(some(Decimal("99999999.99"), Decimal("-0.01")), pa.decimal128(10, 2)),
        "wide": pa.array(some(Decimal("9" * 38)), pa.decimal128(38, 0)), "list": pa.array(some([1, None], []), pa.list_(pa.int64())),
        "lasted": pa.array(some(dt.timedelta(seconds=1), dt.timedelta(days=-3)), pa.duration(drawn.choice(("s", "ms", "us", "ns")))),
        "nested": pa.array(some({"x": 1, "y": ["a"]}), pa.struct([("x", pa.int32()), ("y", pa.list_(pa.string()))])),
    }  # fmt: skip


def arrow_cell(value: Any, type: pa.DataType) -> Any:
    """Return a value of Arrow as a table holds it."""
    if value is None:
        return None
    if pa.types.is_duration(type):
        return value // dt.timedelta(microseconds=1)
    if pa.types.is_struct(type):
        return json.dumps(value, sort_keys=True)
    if hasattr(value, "nanosecond"):  # pandas
        value = value.to_pydatetime()
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    if pa.types.is_float32(type):
        return repr(float(value))
    return repr(value) if isinstance(value, float) else value


def table_cell(value: Any, type: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_struct(type):
        return json.dumps(json.loads(value), sort_keys=True)
    if isinstance(value, bytearray):
        return bytes(value)
    if pa.types.is_unsigned_integer(type) or isinstance(value, bool):
        return int(value) if not isinstance(value, bool) else value
    return repr(value) if isinstance(value, float) else value


@on_each
def test_parquet_is_read_as_arrow_and_duckdb_read_it(each_session: Any, tmp_path: Path, drawn: random.Random) -> None:
    files: dict[str, pa.Table] = {}
    landed_files = []
    for number in range(max(5, EXAMPLES // 40)):
        table = pa.table(arrow_columns(drawn, drawn.randint(0, 30) if number else 30))
        buffer = io.BytesIO()
        pq.write_table(
            table, buffer, compression=drawn.choice(("snappy", "zstd", "none", "gzip")), use_dictionary=drawn.random() < 0.5,
            data_page_version=drawn.choice(("1.0", "2.0")), row_group_size=drawn.choice((7, 1000)), write_statistics=drawn.random() < 0.5,
            store_schema=True, version=drawn.choice(("2.4", "2.6")),
        )  # fmt: skip
        file = landed(tmp_path, buffer.getvalue(), f"{number}.parquet")
        files[file.sha256[:16]] = pq.read_table(file.path)
        landed_files.append(file)
        if not number:
            theirs = duckdb.sql(f"SELECT id, uint64, dec, us, day FROM '{file.path}' ORDER BY id").fetchall()
            assert theirs == [tuple(row[name] for name in ("id", "uint64", "dec", "us", "day")) for row in table.to_pylist()]
    result = read_files(each_session, landed_files, source())
    rows = defaultdict(list)
    for batch in result.frame.toArrow().to_batches():
        for row in batch.to_pylist():
            rows[row["_file"]].append(row)
    for sha, table in files.items():
        assert [row["_format_errors"] for row in rows[sha]] == [None] * len(table)
        ordered = sorted(rows[sha], key=lambda row: row["id"])
        for name in table.column_names:
            type = table.schema.field(name).type
            ours = [row[name] for row in ordered]
            ours = [
                one.astimezone(dt.UTC).replace(tzinfo=None) if isinstance(one, dt.datetime) and one.tzinfo else one for one in ours
            ]
            assert [table_cell(one, type) for one in ours] == [arrow_cell(one, type) for one in table[name].to_pylist()], name


DRIFTS = [
    (pa.array([1], pa.int32()), pa.array([2**40])), (pa.array([2**40]), pa.array([1], pa.int32())), (pa.array([1]), pa.array([0.5])),
    (pa.array([2**60 + 1]), pa.array([0.5])), (pa.array([0.5], pa.float32()), pa.array([0.1])), (pa.array(["1"]), pa.array([1])),
    (pa.array([Decimal("1.10")], pa.decimal128(10, 2)), pa.array([Decimal("1.1234")], pa.decimal128(12, 4))),
    (pa.array([Decimal("1.10")], pa.decimal128(38, 2)), pa.array([Decimal("1.1234")], pa.decimal128(38, 30))),
    (pa.array([2**64 - 1], pa.uint64()), pa.array([-1])), (pa.array([dt.date(2024, 1, 1)]), pa.array([NOW], pa.timestamp("us"))),
    (pa.array([NOW], pa.timestamp("us")), pa.array([NOW], pa.timestamp("us", "UTC"))), (pa.nulls(1), pa.array([1])),
    (pa.array([1], pa.duration("s")), pa.array([1_000_000_001], pa.duration("ns"))), (pa.array([[1]]), pa.array([[0.5]])),
    (pa.array([True]), pa.array([1])), (pa.array([b"a"]), pa.array(["a"])), (pa.array([{"x": 1}]), pa.array([{"x": 1, "y": 2}])),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(DRIFTS)))
def test_files_whose_types_differ_are_read_to_one_that_holds_both_or_told(spark: Any, tmp_path: Path, number: int) -> None:
    files = []
    for place, values in enumerate(DRIFTS[number]):
        pq.write_table(pa.table({"id": [place], "v": values}), tmp_path / "x.parquet")
        files.append(landed(tmp_path, (tmp_path / "x.parquet").read_bytes(), f"{place}.parquet"))
    problem = refusal(partial(read_files, spark, files, source()))
    if problem is not None:
        assert "'v'" in problem.what
        return
    result = read_files(spark, files, source())
    for row, values in zip(result.frame.sort("id").collect(), DRIFTS[number], strict=True):
        value = (
            values.cast(pa.int64())[0].as_py() * {"s": 10**6, "ns": 1e-3}[values.type.unit]
            if pa.types.is_duration(values.type)
            else values[0].as_py()
        )
        if row["_format_errors"] is None and not isinstance(value, dict):
            held = dt.datetime(2024, 1, 1) if isinstance(value, dt.date) and not isinstance(value, dt.datetime) else value
            assert row["v"] == held


AVRO: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("n", ["null", "long"], (None, 2**63 - 1, -(2**63))), ("i", "int", (0, -(2**31))), ("f", "float", (0.5, -1.5)), ("d", "double", (0.1, 1e308)),
    ("s", "string", ("", "é😀")), ("b", "bytes", (b"", b"\xff\0")), ("yes", "boolean", (True, False)),
    ("num", ["int", "long"], (1, 2**40)), ("e", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, ("A", "B")),
    ("x", {"type": "fixed", "name": "X", "size": 2}, (b"ab",)),
    ("dec", {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}, (Decimal("1.10"), Decimal("-99999999.99"))),
    ("day", {"type": "int", "logicalType": "date"}, (dt.date(1970, 1, 1), dt.date(2024, 2, 29), dt.date(1582, 10, 4))),
    ("us", {"type": "long", "logicalType": "timestamp-micros"}, (NOW.replace(tzinfo=dt.UTC),)),
    ("ms", {"type": "long", "logicalType": "timestamp-millis"}, (NOW.replace(tzinfo=dt.UTC, microsecond=7000),)),
    ("local", {"type": "long", "logicalType": "local-timestamp-micros"}, (NOW, dt.datetime(1969, 12, 31, 23, 59, 59, 1))),
    ("uuid", {"type": "string", "logicalType": "uuid"}, ("12345678-1234-5678-1234-567812345678",)),
    ("list", {"type": "array", "items": "long"}, ([], [1, 2])), ("map", {"type": "map", "values": "double"}, ({}, {"k": 1.5})),
    ("rec", {"type": "record", "name": "R", "fields": [{"name": "y", "type": ["null", "string"]}]}, ({"y": None}, {"y": "z"})),
    ("_metadata", "long", (1,)),
]  # fmt: skip


def test_avro_is_read_as_fastavro_reads_it(spark: Any, tmp_path: Path, drawn: random.Random) -> None:
    fields = [{"name": name, "type": type} for name, type, _ in AVRO]
    described = fastavro.parse_schema({"type": "record", "name": "Row", "fields": [{"name": "id", "type": "long"}, *fields]})
    files, theirs = [], []
    for number in range(max(3, EXAMPLES // 60)):
        rows = [{"id": number * 1000 + i} | {name: drawn.choice(values) for name, _, values in AVRO} for i in range(20)]
        buffer = io.BytesIO()
        fastavro.writer(buffer, described, rows, codec=drawn.choice(("null", "deflate")), sync_interval=drawn.choice((16, 16000)))
        files.append(landed(tmp_path, buffer.getvalue(), f"{number}.avro"))
        buffer.seek(0)
        theirs += list(fastavro.reader(buffer))
    result = read_files(spark, files, source())
    ours = {row["id"]: row for row in (one.asDict(True) for one in result.frame.collect())}
    assert len(ours) == len(theirs)
    raw = {one.raw_name: one.name for one in result.schema}
    for row in theirs:
        for name, value in row.items():
            cell = ours[row["id"]][raw[name]]
            if isinstance(value, dict):
                assert {key: one for key, one in json.loads(cell).items() if one is not None} == {
                    k: v for k, v in value.items() if v is not None
                }
            elif isinstance(value, list):
                assert json.loads(cell) == value
            elif isinstance(value, dt.datetime):
                moment = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
                assert cell.astimezone(dt.UTC).replace(tzinfo=None) == moment if value.tzinfo else cell == moment, name
            else:
                assert (str(cell) if name == "uuid" else bytes(cell) if isinstance(cell, bytearray) else cell) == (
                    str(value) if name == "uuid" else value
                ), name


def test_an_avro_schema_that_contains_itself_and_one_that_drifts_are_told_or_read(spark: Any, tmp_path: Path) -> None:
    tree = {
        "type": "record",
        "name": "Tree",
        "fields": [{"name": "id", "type": "long"}, {"name": "left", "type": ["null", "Tree"]}],
    }
    mixed = {"type": "record", "name": "M", "fields": [{"name": "id", "type": "long"}, {"name": "v", "type": ["long", "string"]}]}
    for number, (described, rows) in enumerate(
        [(tree, [{"id": 1, "left": {"id": 2, "left": None}}]), (mixed, [{"id": 1, "v": 5}, {"id": 2, "v": "x"}])]
    ):
        buffer = io.BytesIO()
        fastavro.writer(buffer, fastavro.parse_schema(described), rows)
        file = landed(tmp_path, buffer.getvalue(), f"{number}.avro")
        problem = refusal(partial(read_files, spark, [file], source()))
        if problem is not None:
            assert f"'{number}.avro'" in problem.what
            continue
        read_rows = [row.asDict() for row in read_files(spark, [file], source()).frame.sort("id").collect()]
        assert [row["id"] for row in read_rows] == [row["id"] for row in rows]
        assert all(str(row["v"]) in read_rows[i]["v"] for i, row in enumerate(rows))
