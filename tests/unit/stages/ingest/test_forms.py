"""Arrow and Spark's expressions read text alike: types, values, and what goes to quarantine."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pyarrow as pa
import pytest

from caudal.declarations.schema import Field, Schema
from caudal.stages.ingest import cast, forms, read
from caudal.stages.ingest.infer import ANY, possible_types
from caudal.stages.ingest.read import read_files

pytestmark = pytest.mark.usefixtures("small")

TEXTS = {
    "whole": ["0", "7", "-12", "123456789", "1234567890", "-99999999999999", "999999999999999"],
    "ids": ["1234567890123456", "999999999999999999", "-1234567890123456", "1796199440308055412", "8999999999999999999", "-8999999999999999999"],
    "far": ["9223372036854775807", "9223372036854775808", "1000000000000000000"],
    "odd whole": ["-0", "+1", "007", "00", "1,000", "1_000", " 7", "7 ", "7\t", "1E5", "1e5", "0x10", "1L", "1d"],
    "halves": ["0.5", "-0.5", "12345.678", "0.001", "123456789012.25"],
    "zeros": ["1.0", "0.0", "-3.00", "12345678901234.0", "123456789012345.0", "1.", "-0.0"],
    "long halves": ["0.1234567890123456", "0.30000000000000004", "1234567890.1234567", "0.1000000000000000055", "9007199254740993.5", ".5", "-.5"],
    "scientific": ["1e-07", "1.5E-10", "2e+05", "1.2345678901234567e-05", "1e-400", "9e+99", "12e-05", "0e-01", "123456789012345e-3"],
    "words": ["nan", "nan ", "NAN\t", "nano", "Nancy", "inf", "Inf", "INFINITY", "infinity ", "+Infinity", "e5", "d", "f", "x1", "word", "_x", "true story", "NaN", "Infinity", "-Infinity", "null", "truée", "Z", "x\ny", "é", "-", ".", "2024-01-01 or so"],
    "truths": ["true", "false", "True", "FALSE", "true ", " false", "t", "1"],
    "dates": ["2024-02-29", "0001-01-01", "9999-12-31", "2023-02-29", "2024-13-01", "0000-01-01", "2024-1-5", "12024-01-01", "1582-10-10"],
    "times": [
        "2024-01-01 00:00:00", "2024-01-01T00:00:00", "2024-01-01 10:11:12", "2024-01-01T10:11:12.5", "2024-01-01 10:11:12.123456",
        "2024-01-01 10:11:12.1234567", "2024-01-01 24:00:00", "2024-01-01 10:11", "2024-01-01 10:11:60", "2024-01-01 10:11:12Z",
        "2024-01-01 10:11:12+01:00", "2024-02-30 10:11:12", "1900-01-01 00:00:00.000000", "2024-03-10 02:30:00",
    ],
    "zoned times": [
        "2024-01-01T10:11:12Z", "2024-01-01 10:11:12.5Z", "2024-01-01T10:11:12.123456+05:30", "2024-06-30T23:59:59-17:59", "2024-01-01T00:00:00+00:00",
        "2024-01-01T00:00:00-00:00", "2024-02-30T10:11:12Z", "2024-01-01T10:11:60Z", "2024-01-01T24:00:00Z", "2024-01-01T10:11:12+18:00",
        "2024-01-01T10:11:12+19:00", "2024-01-01T10:11:12+01", "2024-01-01T10:11:12+0100", "2024-01-01T10:11:12.1234567Z", "2024-01-01T10:11:12z",
        "0001-01-01T00:00:00+01:00", "0001-01-02T00:00:00+17:00", "9999-12-31T23:00:00-02:00", "9999-12-30T23:59:59-17:59", "0000-06-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z", "1890-01-01T00:00:00+01:00", "2024-01-01 10:11:12 Z", "2024-01-01T10:11:12UTC",
    ],
    "quantities": ["3.2 miles", "12 km/h", "50 %", "-0.5 d", "1 f", "0 x", "007 bond", "2024 January", "3 L", "3  kg", "3.2miles", "12km", "3 ", "1 e5"],
    "no moments": [
        "2024-02-45 77:00:00", "2024-02-30", "2023-02-29", "2024-02-29", "1900-02-29", "2000-02-29", "2100-02-29", "0004-02-29", "0000-02-29", "2024-04-31",
        "2024-00-10", "2024-12-32", "2024-01-01T23:60:00", "2024-01-01 24:00:00Z", "2023-02-29T10:00:00+01:00", "2024-01-00 00:00:00.5", "9999-99-99",
    ],
    "amounts": ["12.50", "12.5", "-0.01", "99999999.99", "100000000.00", "100000000", "99999999", "12.505", "12.500000", "0.001", "-99999999.99", "-100000000"],
    "blanks": ["", " ", "   ", "\t"],
}  # fmt: skip
EVERY = [text for texts in TEXTS.values() for text in texts]


def test_forms_tell_the_types_that_spark_tells(spark: Any) -> None:
    columns = [[text] for text in EVERY]
    row = tuple(text for (text,) in columns)
    frame = spark.createDataFrame([row], ", ".join(f"_r{i} string" for i in range(len(row))))
    by_spark = possible_types(frame, [str(i) for i in range(len(row))], {}, "UTC", small=True)
    settled = 0
    for i, text in enumerate(row):
        told, all_there_is = forms.types(forms.forms_of(pa.array([text])), ANY)
        settled += all_there_is
        assert told == by_spark[str(i)] if all_there_is else told >= by_spark[str(i)], text
    assert settled > len(row) / 2


TYPES = [
    "int",
    "long",
    "float",
    "double",
    "boolean",
    "date",
    "timestamp",
    "timestamp_utc",
    "string",
    "decimal(10,2)",
    "decimal(24,0)",
    "decimal(24,24)",
]


@pytest.mark.parametrize("type", TYPES)
def test_arrow_reads_values_that_spark_reads(spark: Any, type: str) -> None:
    from pyspark.sql import functions as F

    from caudal.stages.ingest.text import parse_text

    texts = [text for text in EVERY if forms.arrow_converts(forms.forms_of(pa.array([text])), type)]
    assert len(texts) > 5
    assert all(
        forms.arrow_converts(form, type) for text in EVERY if forms.arrow_reads(form := forms.forms_of(pa.array([text])), type)
    )
    frame = spark.createDataFrame([(text,) for text in texts], "_r0 string")
    by_spark = [row[0] for row in frame.select(parse_text(F.col("_r0"), type, {}, "America/New_York").cast("string")).collect()]
    typed = forms.cast_by_arrow(frame, {"value": ("_r0", type)}, {}, keep_texts=True)
    by_arrow = {row["_r0"]: row["value"] for row in typed.select("_r0", F.col("value").cast("string")).collect()}
    assert [by_arrow[text] for text in texts] == by_spark
    valid = [text for text in texts if forms.arrow_reads(forms.forms_of(pa.array([text])), type) and text.strip(" ")]
    assert all(by_arrow[text] is not None for text in valid)


@pytest.mark.slow
def test_every_day_has_the_form_of_a_date_and_no_other_text_of_that_shape() -> None:
    days = [
        f"{year:04d}-{month:02d}-{day:02d}"
        for year in (1, 4, 100, 400, 1900, 2000, 2023, 2024, 9999)
        for month in range(14)
        for day in range(33)
    ]
    for text in days:
        try:
            dt.date.fromisoformat(text)
            expected = forms.Form.DATE
        except ValueError:
            expected = forms.Form.NO_MOMENT
        assert forms.forms_of(pa.array([text])) is expected, text


COLUMNS, WIDE = 36, 30  # as many as 110 and 100 would be, and a third of the work


def wide(seed: int, columns: int = COLUMNS, rows: int = 9) -> str:
    """Return a CSV whose columns each mix the texts of one or two kinds."""
    chance = random.Random(seed)
    kinds = [
        [text for kind in chance.sample([*TEXTS], chance.choice([1, 1, 2])) for text in TEXTS[kind]] + [""] * chance.choice([0, 3])
        for _ in range(columns)
    ]
    if seed % 2:  # usual columns, of one kind each
        kinds = [[text for text in kind if text.strip() == text][: chance.choice([2, 3, 5])] for kind in kinds]
    lines = [",".join(f'"{text}"' if text else "" for text in map(chance.choice, kinds)) for _ in range(rows)]
    if seed % 3 == 0:
        lines.insert(4, "1,2.5,not a row")
    return "\n".join([",".join(f"k{i}" for i in range(columns)), *lines]) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_wide_files_are_read_as_narrow_ones(spark: Any, land: Any, source: Any, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    for module in (cast, read):
        monkeypatch.setattr(module, "WIDE_COLUMNS", WIDE)
    file = land(wide(seed))
    half = Schema(tuple(Field(f"k{i}", ["long", "double", "date", "string"][i % 4], nullable=i % 3 > 0) for i in range(16)), True)
    for declared in (source(), source(half), source(null=["word", "7"])):
        quick = read_files(spark, [file], declared, tz="America/New_York")
        there = quick.frame.collect()
        with monkeypatch.context() as patched:
            patched.setattr(forms, "can_survey", lambda *_: False)
            patched.setattr(cast, "_is_surely_valid", lambda *_: False)
            slow = read_files(spark, [file], declared, tz="America/New_York")
            assert slow.schema == quick.schema
            assert slow.added_columns == quick.added_columns
            assert slow.notes == quick.notes
            assert slow.frame.columns == quick.frame.columns
            assert slow.frame.dtypes == quick.frame.dtypes
            assert sorted(map(repr, slow.frame.collect())) == sorted(map(repr, there))
