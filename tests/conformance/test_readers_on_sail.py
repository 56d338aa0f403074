"""Sail reads files to Spark's rows, to the bit, or a run leaves them to Spark: what it is not given is data, with the reason."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook
from pyspark.sql import SparkSession
from tests.conformance.test_readers_records import DRIFTS, KEYS, NAMES, NOW, arrow_columns, file_of as json_file, landed, source
from tests.conformance.test_readers_text import TOKENS
from tests.engines import rows_to_the_bit

from caudal.declarations.connection import Files
from caudal.declarations.format import fixed_width
from caudal.declarations.node import Source
from caudal.declarations.schema import column, schema
from caudal.engine.capability import Capability
from caudal.engine.classic import CLASSIC
from caudal.errors import EngineLacks, SourceProblem
from caudal.stages.ingest import RawFile
from caudal.stages.ingest.read import read_files

JSON = schema(**{NAMES[key]: column("string", raw=key, required=False) for key in KEYS})


def read(session: SparkSession, files: list[RawFile], wanted: Source | None = None) -> Any:
    """Return the columns, the notes and the rows of files, or the sentence by which they are refused."""
    try:
        result = read_files(session, files, wanted or source())
    except SourceProblem as problem:
        return problem.what
    return [(field.name, field.type) for field in result.schema], result.notes, rows_to_the_bit(result.frame)


def read_by_spark(spark: SparkSession, files: list[RawFile], wanted: Source | None = None) -> Any:
    with CLASSIC.speaking():
        return read(spark, files, wanted)


def parquet(folder: Path, table: pa.Table, name: str, **options: Any) -> RawFile:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return landed(folder, buffer.getvalue(), name)


def noted(n: int) -> pa.Table:
    """Return columns of types that Arrow notes in a file beside those that Parquet stores."""
    counts = pa.array([1, 2, None] * n, pa.int64())
    return pa.table(
        {
            "id": pa.array(range(3 * n)),
            "word": pa.array(["a", None, "b"] * n).dictionary_encode(),
            "count": counts.dictionary_encode(),
            "day": pa.array([0, 86_400_000, None] * n, pa.date64()),
            "at": pa.array([1, -1_000, None] * n, pa.timestamp("ns")),
            "zoned": pa.array([1_000, None, 2_000] * n, pa.timestamp("ns", "America/New_York")),
            "lasted": pa.array([1, 2, None] * n, pa.duration("ms")),
            "pair": pa.array([[1, 2], None, [3, None]] * n, pa.list_(pa.int64(), 2)),
            "many": pa.array([["a"], None, []] * n, pa.large_list(pa.string())),
            "within": pa.StructArray.from_arrays([pa.array(["x", "y", None] * n).dictionary_encode()], ["kind"]),
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_drawn_parquet(number: int, spark: SparkSession, on_sail: SparkSession, tmp_path: Path) -> None:
    files = [parquet(tmp_path, pa.table(arrow_columns(random.Random(number), 30)), "drawn.parquet")]
    rows = read(on_sail, files)
    assert rows == read_by_spark(spark, files)
    assert len(rows[-1]) == 30


@pytest.mark.slow
def test_types_that_arrow_notes(spark: SparkSession, on_sail: SparkSession, tmp_path: Path) -> None:
    files = [
        parquet(tmp_path, noted(3), "a.parquet"),
        parquet(tmp_path, noted(4), "b.parquet", store_schema=False),
        parquet(tmp_path, noted(2), "c.parquet", row_group_size=1, use_dictionary=False),
    ]
    rows = read(on_sail, files)
    assert rows == read_by_spark(spark, files)
    assert len(rows[-1]) == 27


@pytest.mark.slow
def test_times_of_96_bits(spark: SparkSession, on_sail: SparkSession, tmp_path: Path) -> None:
    table = pa.table(
        {"id": [1, 2], "at": pa.array([NOW, None], pa.timestamp("us")), "word": pa.array(["a", "b"]).dictionary_encode()}
    )
    for names in (["id", "at"], ["id", "at", "word"]):
        files = [parquet(tmp_path, table.select(names), "old.parquet", use_deprecated_int96_timestamps=True)]
        assert read(on_sail, files) == read_by_spark(spark, files)


def test_a_file_that_arrow_does_not_read_is_left_to_spark(on_sail: SparkSession, tmp_path: Path) -> None:
    content = bytearray(parquet(tmp_path, noted(300), "a.parquet", compression="zstd").path.read_bytes())
    content[4:400] = bytes(396)
    with pytest.raises(EngineLacks, match=r"'b\.parquet', which Arrow does not read, needs reading Parquet by its own types"):
        read(on_sail, [landed(tmp_path, bytes(content), "b.parquet")])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(DRIFTS)))
def test_files_whose_types_differ(number: int, spark: SparkSession, on_sail: SparkSession, tmp_path: Path) -> None:
    tables = [pa.table({"id": [place], "v": values}) for place, values in enumerate(DRIFTS[number])]
    files = [parquet(tmp_path, table, f"{place}.parquet") for place, table in enumerate(tables)]
    assert read(on_sail, files) == read_by_spark(spark, files)


def csv_file(folder: Path, columns: list[list[str]]) -> RawFile:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["id", *(f"v{place}" for place in range(len(columns)))])
    for row in range(max(map(len, columns))):
        writer.writerow([f"r{row}", *(column[row] if row < len(column) else "" for column in columns)])
    return landed(folder, out.getvalue().encode(), "drawn.csv")


USUAL = (
    ("0", "1", "-7", "12", "9007199254740993", "", "-0"), ("0.5", "1.25", "-2.0", ".5", "0.1", "1e400", "1.5E10"), ("true", "FALSE", "True", ""),
    ("2024-01-01", "1999-12-31", "2024-02-30", "0001-01-01"), ("2024-01-01 10:00:00", "2024-01-01T10:00:00.5", "2024-01-01 00:00:00", "2024-01-01T10:00:00Z"),
    ("a", "é", " b ", "NaN", "1x"),
)  # fmt: skip


@pytest.mark.slow
def test_types_of_texts(spark: SparkSession, on_sail: SparkSession, tmp_path: Path) -> None:
    """Columns of usual texts, and of odd ones: one that Sail reads alone it reads among others, to Spark's types and values."""
    chance = random.Random(7)
    columns = [[token] for token in TOKENS]
    columns += [[chance.choice(kind) for _ in range(chance.randrange(1, 5))] for kind in USUAL for _ in range(12)]
    given: list[list[str]] = []
    refused: list[str] = []
    for texts in columns:
        try:
            read_files(on_sail, [csv_file(tmp_path, [texts])], source())
            given.append(texts)
        except EngineLacks as lacks:
            refused.append(lacks.facts["capability"])
    assert set(refused) == {Capability.TEXT_PARSING.name.lower()}
    assert min(len(given), len(refused)) > 20, (len(given), len(refused))
    files = [csv_file(tmp_path, given)]
    assert read(on_sail, files) == read_by_spark(spark, files)


@pytest.mark.slow
def test_workbooks(spark: SparkSession, on_sail: SparkSession, tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["id", "n", "x", "word", "yes", "day", "at"])
    for row in range(30):
        book.active.append(
            [row, row * 7, row / 8, f"w{row}", row % 2 == 0, dt.date(2024, 2, 1 + row % 28), dt.datetime(2024, 2, 1, 10, row)]
        )
    book.active.append([30, None, None, None, None, None, None])
    book.save(octets := io.BytesIO())
    files = [landed(tmp_path, octets.getvalue(), "a.xlsx")]
    rows = read(on_sail, files)
    assert rows == read_by_spark(spark, files)
    assert len(rows[-1]) == 31


@pytest.mark.slow
def test_drawn_json(spark: SparkSession, on_sail: SparkSession, tmp_path: Path) -> None:
    """Lines, arrays, documents over several lines, what is broken: the same rows, and the same text in quarantine."""
    chance, files = random.Random(11), []
    for number in range(40):
        file, _ = json_file(chance, tmp_path, number)
        if not isinstance(read(on_sail, [file], source(JSON)), str):
            files.append(file)
    assert len(files) > 15
    assert read(on_sail, files, source(JSON)) == read_by_spark(spark, files, source(JSON))


@pytest.mark.parametrize(
    ("name", "content", "wanted", "why"),
    [
        ("a.fwf", b"ab1\ncd2\n", Source("s", Files("*", "fixed_width", fixed_width({"k": 2, "n": 1}).options), schema(k="string", n="long")), Capability.FILE_NAMES),
        ("a.avro", None, source(), Capability.CONNECTORS),
        ("a.csv", b"k,n\na,1,\nb,2,\n", Source("s", Files("*"), schema(k="string", n="string")), Capability.CORRUPT_RECORDS),
        ("b.csv", b"k\n1d\n", Source("s", Files("*"), schema(k="double")), Capability.TEXT_PARSING),
        ("a.parquet", None, source(), Capability.FILE_NAMES),
    ],
)  # fmt: skip
def test_what_sail_is_not_given(
    name: str, content: bytes | None, wanted: Source, why: Capability, on_sail: SparkSession, tmp_path: Path
) -> None:
    if content is None and name == "a.avro":
        fastavro.writer(
            buffer := io.BytesIO(), {"type": "record", "name": "R", "fields": [{"name": "k", "type": "long"}]}, [{"k": 1}]
        )
        content = buffer.getvalue()
    file = landed(tmp_path, content, name) if content is not None else parquet(tmp_path, pa.table({"_file": ["x"]}), name)
    with pytest.raises(EngineLacks) as refused:
        read_files(on_sail, [file], wanted, scratch=tmp_path)
    assert refused.value.facts["capability"] == why.name.lower()
    assert str(why) in refused.value.what


@pytest.mark.parametrize("declared", [schema(a="long", b="string", c="decimal(10,2)"), None])
def test_quotes_without_anything(declared: Any, spark: SparkSession, on_sail: SparkSession, tmp_path: Path) -> None:
    text = 'a,b,c\n1,"",1.5\n2,,""\n"3","-",\n"","",""\n'
    wanted = Source("raw", Files("*"), schema=declared)
    by_spark = read_by_spark(spark, [landed(tmp_path, text.encode(), "quoted.csv")], wanted)
    try:
        assert read(on_sail, [landed(tmp_path, text.encode(), "quoted.csv")], wanted) == by_spark
    except EngineLacks:
        assert declared is None
