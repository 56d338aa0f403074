"""Rows as JSON by Arrow, to the letter as Spark's ``to_json``."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import Phase, given, settings, strategies as st
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ByteType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from caudal.engine.row_json import rows_as_json

ROW = StructType(
    [
        StructField("a text", StringType()), StructField("x", DoubleType()), StructField("f", FloatType()), StructField("n", LongType()),
        StructField("b", ByteType()), StructField("d", DecimalType(20, 9)), StructField("day", DateType()),
        StructField("wall", TimestampNTZType()), StructField("instant", TimestampType()),
    ]
)  # fmt: skip
TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))
FLOATS = st.floats(width=32)
ROWS = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.floats(), st.none() | FLOATS,
    st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.integers(-128, 127),
    st.none() | st.decimals(-(10**10), 10**10, places=9).map(lambda value: Decimal(value).quantize(Decimal("1e-9"))),
    st.none() | st.dates(dt.date(1, 1, 1)), st.none() | TIMES, st.none() | TIMES.map(lambda at: at.replace(tzinfo=dt.UTC)),
)  # fmt: skip


def test_every_value_is_written_as_spark_writes_it(spark: Any) -> None:
    @settings(max_examples=6, phases=[Phase.explicit, Phase.generate])
    @given(st.lists(ROWS, min_size=60, max_size=60))
    def same(rows: list[Any]) -> None:
        frame = spark.createDataFrame(rows, ROW)
        expected = [row[0] for row in frame.select(F.to_json(F.struct("*"), {"ignoreNullFields": "false"})).collect()]
        table = frame.toArrow().combine_chunks()
        written = rows_as_json([column.chunk(0) for column in table.columns], table.column_names).to_pylist()
        # Java before 19 may write a digit more of a number than is needed.
        assert [
            one for one in zip(written, expected, strict=True) if one[0] != one[1] and _numbers(one[0]) != _numbers(one[1])
        ] == []

    same()


def _numbers(text: str) -> object:
    row = json.loads(text)
    return {**row, "f": np.float32(row["f"]) if isinstance(row["f"], float) else row["f"]}


def test_nested_values_and_bytes(spark: Any) -> None:
    query = "SELECT array(1.5D, null) AS a, struct('x' AS s, array(struct(1 AS i)) AS l) AS o, X'00FF' AS b, true AS t, -0.0D AS z"
    frame = spark.sql(query)
    expected = frame.select(F.to_json(F.struct("*"), {"ignoreNullFields": "false"})).collect()[0][0]
    table: pa.Table = frame.toArrow().combine_chunks()
    assert rows_as_json([column.chunk(0) for column in table.columns], table.column_names).to_pylist() == [expected]


def test_times_in_years_of_more_or_fewer_than_four_digits(spark: Any) -> None:
    """Some that Python's calendar has not."""
    micros = [253402300800001234, 760206902400000000, -62135596800000001, -62167219200000001, -92135596800000000, -1]
    frame = spark.createDataFrame([(value,) for value in micros], "value bigint").selectExpr(
        "timestamp_micros(value) AS i",
        "cast(timestamp_micros(value) AS timestamp_ntz) AS w",
        "date_from_unix_date(value div 86400000000) AS d",
    )
    expected = [row[0] for row in frame.select(F.to_json(F.struct("*"))).collect()]
    table: pa.Table = frame.toArrow().combine_chunks()
    assert rows_as_json([column.chunk(0) for column in table.columns], table.column_names).to_pylist() == expected


def test_numbers_beside_the_bounds_of_plain_notation(spark: Any) -> None:
    numbers = [1e-3, 1e7, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 0.0, -0.0, 3.0, -12.5, 123456.789, float("nan"), float("-inf")]
    near = [float(np.nextafter(number, to)) for number in (1e-3, -1e-3, 1e7, -1e7) for to in (-np.inf, np.inf)]
    frame = spark.createDataFrame([(value,) for value in numbers + near], "x double").selectExpr("x", "cast(x AS float) AS f")
    expected = [row[0] for row in frame.select(F.to_json(F.struct("*"))).collect()]
    table: pa.Table = frame.toArrow().combine_chunks()
    written = rows_as_json([column.chunk(0) for column in table.columns], table.column_names).to_pylist()
    assert [_numbers(text) for text in written] == [_numbers(text) for text in expected]
    assert [text for text in written if "E" not in text] == [text for text in expected if "E" not in text]
