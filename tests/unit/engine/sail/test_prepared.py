"""A frame that is prepared for Sail has the values of Spark."""

from __future__ import annotations

import datetime as dt
import math
import re

import pyarrow as pa
import pytest
from pyspark.sql.connect import functions as F
from pyspark.sql.connect.window import Window

from caudal.engine.sail.check import prepared, with_types_of_spark
from caudal.engine.sail.rewriting import OTHER_TYPES, rewritings
from caudal.engine.sail.table import installed_table

pytestmark = pytest.mark.usefixtures("bundled_java")

TEXTS = {  # as Java writes them
    "0.0": "0.0", "-0.0": "-0.0", "1.0": "1.0", "0.001": "0.001", "0.00099": "9.9E-4", "1e-5": "1.0E-5", "1.5e-5": "1.5E-5", "-2e-6": "-2.0E-6", "1e-7": "1.0E-7",
    "9999999.0": "9999999.0", "1e7": "1.0E7", "-12345678.9": "-1.23456789E7", "1e15": "1.0E15", "1e16": "1.0E16", "1.5e17": "1.5E17",
    "1.7976931348623157e308": "1.7976931348623157E308", "1e-300": "1.0E-300", "nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "123456.789": "123456.789",
    "10000001.5": "1.00000015E7",
}  # fmt: skip


def rows_of(sail, name, kind, values):
    table = pa.table({"id": pa.array(range(len(values)), pa.int64()), name: pa.array(values, kind)})
    return sail.createDataFrame(table)


def values_of(frame, name):
    """Return the values of a column when nothing in the frame is refused."""
    other, refused = prepared(frame, falls_back=True)
    assert refused == ()
    assert other.schema == frame.schema
    return [row[name] for row in other.orderBy("id").collect()]


@pytest.mark.parametrize("make", [lambda: F.concat_ws("|", "x", "x"), lambda: F.expr("concat_ws('|', x, x)")])
def test_doubles_within_texts(sail, make):
    frame = rows_of(sail, "x", pa.float64(), [*map(float, TEXTS), None]).withColumn("text", make())
    assert values_of(frame, "text") == [*(f"{text}|{text}" for text in TEXTS.values()), ""]


def test_what_lies_above_a_function_in_python_is_prepared_too(sail):
    frame = rows_of(sail, "x", pa.float64(), [*map(float, TEXTS), None])
    mapped = frame.mapInArrow(lambda batches: batches, frame.schema).withColumn("text", F.col("x").cast("string"))
    assert values_of(mapped, "text") == [*TEXTS.values(), None]


def test_doubles_as_texts(sail):
    frame = rows_of(sail, "x", pa.float64(), [*map(float, TEXTS), None]).withColumn("text", F.col("x").cast("string"))
    assert values_of(frame, "text") == [*TEXTS.values(), None]


def test_the_least_doubles_are_left_to_spark(sail):
    frame = rows_of(sail, "x", pa.float64(), [5e-324]).withColumn("text", F.col("x").cast("string"))
    other, refused = prepared(frame, falls_back=True)
    assert refused == ()
    with pytest.raises(Exception, match="left to Spark"):
        other.collect()
    assert [each.name for each in prepared(frame)[1]] == ["cast"]


def test_times_within_texts(sail):
    at = pa.array([dt.datetime(2024, 3, 10, 2, 30)], pa.timestamp("us"))
    frame = sail.createDataFrame(pa.table({"id": [1], "at": at, "miles": [2.5], "zone": [7]}))
    texts = frame.withColumn("text", F.concat_ws("|", "zone", "at", "miles", "at"))
    assert values_of(texts, "text") == ["7|2024-03-10 02:30:00|2.5|2024-03-10 02:30:00"]


def test_rounding(sail):
    frame = rows_of(sail, "x", pa.float64(), [1.005, 2.675, -1.115, 0.5, -0.001, 999999999999999.9, 1e300, 1e-9, math.nan])
    rounded = values_of(frame.withColumn("y", F.round("x", 2)), "y")
    assert rounded[:-1] == [1.01, 2.68, -1.12, 0.5, 0.0, 999999999999999.9, 1e300, 0.0]
    assert math.isnan(rounded[-1])
    assert not any(math.copysign(1, value) < 0 for value in rounded if value == 0)


def test_halves_go_to_the_even_neighbour(sail):
    frame = rows_of(sail, "x", pa.float64(), [2.5, -2.5, 3.5, -0.3, 0.5, 4503599627370494.5, -math.inf, None])
    rounded = values_of(frame.withColumn("y", F.rint("x")), "y")
    assert rounded == [2.0, -2.0, 4.0, -0.0, 0.0, 4503599627370494.0, -math.inf, None]
    assert math.copysign(1, rounded[3]) < 0


def test_sums_of_whole_numbers(sail):
    frame = rows_of(sail, "n", pa.int64(), [2**63 - 1, 1, -5, None]).groupBy(F.lit(1).alias("id")).agg(F.sum("n").alias("total"))
    assert values_of(frame, "total") == [2**63 - 5]
    beyond = rows_of(sail, "n", pa.int64(), [2**63 - 1, 1]).groupBy(F.lit(1).alias("id")).agg(F.sum("n").alias("total"))
    with pytest.raises(Exception, match="Cannot cast"):
        prepared(beyond)[0].collect()


IN_ORDER = Window.partitionBy(F.lit(1)).orderBy("id")


@pytest.mark.parametrize("window", [IN_ORDER, IN_ORDER.rangeBetween(-1, 0), IN_ORDER.rowsBetween(-1, 1)])
def test_sums_over_windows(sail, window):
    frame = rows_of(sail, "n", pa.int64(), [5, 7, None, 2**62, -3, 11]).withColumn("total", F.sum("n").over(window))
    assert values_of(frame, "total") == [row.total for row in frame.orderBy("id").collect()]
    beyond = rows_of(sail, "n", pa.int64(), [2**63 - 1, 1, 2**63 - 1, 2, 5]).withColumn("total", F.sum("n").over(window))
    with pytest.raises(Exception, match="Cannot cast"):
        prepared(beyond)[0].collect()


def test_a_table_whose_columns_have_metadata(sail):
    frame = rows_of(sail, "x", pa.float64(), [1.005]).withMetadata("x", {"unit": "mi"}).withColumn("y", F.round("x", 2))
    other, refused = prepared(frame.groupBy("id").agg(F.max("y").alias("y")), falls_back=True)
    assert refused == ()
    assert [row.y for row in other.collect()] == [1.01]


@pytest.mark.parametrize(
    "make", [lambda: F.datediff("a", "b"), lambda: F.expr("DATEDIFF(a, b)"), lambda: F.expr("1 + date_diff(a, b) - 1")]
)
def test_types_are_those_of_spark(sail, make):
    days = pa.table({"id": pa.array([1]), "a": pa.array([dt.date(2026, 3, 1)]), "b": pa.array([dt.date(2026, 2, 1)])})
    frame = with_types_of_spark(sail.createDataFrame(days).withColumn("days", make()))
    assert frame.schema["days"].dataType.simpleString() == "int"
    assert values_of(frame, "days") == [28]
    plain = sail.createDataFrame(days)
    assert with_types_of_spark(plain) is plain


def test_no_other_function_has_another_type(sail):
    table, names = installed_table(), {"long": "bigint", "short": "smallint", "byte": "tinyint"}
    unequal, compared = set(), 0
    for rewriting in rewritings():
        if table.rewritings.get((rewriting.name, ", ".join(rewriting.classes))) != rewriting.template:
            continue
        case = next(rewriting.cases())
        columns = {match[0]: match[1] for match in re.finditer(r"\b[ab]_(\w+)\b", f"{case.sql} {case.instead}")}
        if any(re.fullmatch(r"dec\d+_\d+", kind) for kind in columns.values()):
            continue  # their names say no type
        nulls = ", ".join(
            [*(f"cast(null AS {names.get(kind, kind)}) AS {name}" for name, kind in columns.items()), "1 AS g", "1 AS id"]
        )
        grouped = " GROUP BY g" if case.form == "aggregate" else ""
        own, instead = (
            sail.sql(f"SELECT {sql} AS v FROM (SELECT {nulls}) AS t{grouped}").schema["v"].dataType
            for sql in (case.sql, case.instead)
        )
        compared += 1
        if own != instead:
            unequal.add(rewriting.name)
    assert compared > 50
    assert unequal == set(OTHER_TYPES)
