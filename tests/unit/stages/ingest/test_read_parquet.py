"""Parquet: types as they are stored, lossless widening, and a clear stop where values could be lost."""

from __future__ import annotations

import datetime
import json
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError

from caudal.declarations.schema import Schema, column, schema
from caudal.errors import SourceProblem
from caudal.stages.ingest.explain import explain
from caudal.stages.ingest.read import read_files


@pytest.fixture
def parquet(land: Any, tmp_path: Path) -> Any:
    """Return a function that lands a table as Parquet."""

    def landed(table: pa.Table | dict[str, Any], name: str = "month.parquet", **options: Any) -> Any:
        path = tmp_path / name
        pq.write_table(pa.table(table), path, **options)
        return land(path)

    return landed


WHEN = datetime.datetime(2023, 1, 2, 3, 4, 5, 678901)


def test_every_stored_type_is_read_as_it_is(spark: Any, parquet: Any, source: Any) -> None:
    nanoseconds = int(WHEN.replace(tzinfo=datetime.UTC).timestamp()) * 10**9 + 678_901_000
    file = parquet({
        "i8": pa.array([1], pa.int8()), "u16": pa.array([60000], pa.uint16()), "i32": pa.array([2], pa.int32()),
        "u32": pa.array([4_000_000_000], pa.uint32()), "u64": pa.array([2**64 - 1], pa.uint64()), "f": pa.array([0.5], pa.float32()),
        "ls": pa.array(["x"], pa.large_string()), "dic": pa.array(["y"]).dictionary_encode(), "raw": pa.array([b"z"]),
        "us": pa.array([WHEN], pa.timestamp("us")), "ms": pa.array([WHEN.replace(microsecond=678000)], pa.timestamp("ms")),
        "ns": pa.array([nanoseconds], pa.timestamp("ns")), "early": pa.array([-1000], pa.timestamp("ns")),
        "utc": pa.array([WHEN], pa.timestamp("us", tz="Europe/Paris")), "day": pa.array([WHEN.date()], pa.date64()),
        "dec": pa.array([1], pa.decimal128(10, 2)), "list": pa.array([[1, 2]]), "map": pa.array([{"k": 1.5}]), "nothing": pa.nulls(1),
        "clock": pa.array([datetime.time(1)]),
    })  # fmt: skip
    result = read_files(spark, [file], source())
    assert {one.name: one.type for one in result.schema} == {
        "i8": "long", "u16": "long", "i32": "long", "u32": "long", "u64": "decimal(20,0)", "f": "double", "ls": "string", "dic": "string",
        "raw": "binary", "us": "timestamp", "ms": "timestamp", "ns": "timestamp", "early": "timestamp", "utc": "timestamp_utc", "day": "date",
        "dec": "decimal(10,2)", "list": "array<long>", "map": "string",
    }  # fmt: skip
    assert any("'nothing' is left out" in note for note in result.notes)
    assert any("time64" in note for note in result.notes)
    row = result.frame.collect()[0]
    assert (row["u16"], row["u32"], int(row["u64"]), row["f"], row["ls"], row["dic"]) == (
        60000,
        4_000_000_000,
        2**64 - 1,
        0.5,
        "x",
        "y",
    )
    assert row["us"] == row["ns"] == WHEN
    assert row["ms"].microsecond == 678000
    assert row["day"] == WHEN.date()
    assert row["early"] == datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)
    assert row["list"] == [1, 2]
    assert json.loads(row["map"]) == {"k": 1.5}
    assert row["_format_errors"] is None
    assert row["_raw"] is None
    assert row["_file"] == file.sha256[:16]
    assert dict(result.frame.dtypes)["utc"] == "timestamp"


def test_what_is_declared_is_checked_row_by_row(spark: Any, parquet: Any, source: Any) -> None:
    file = parquet({
        "n": pa.array([1.0, 1.5, float("nan"), None, 1e300]),
        "id": pa.array([1, 2, 3, 4, None]),
        "big": pa.array([2**53, 2**53 + 1, 0, -(2**63), None]),
        "small": pa.array([1, 2**31, 3, 4, 5]),
        "utc": pa.array([WHEN] * 5, pa.timestamp("us", tz="UTC")),
    })  # fmt: skip
    wanted = schema(
        n="long", key=column("long", raw="id", nullable=False), big="double", small="int", at=column("timestamp", raw="utc")
    )
    frame = read_files(spark, [file], source(wanted), tz="America/New_York").frame
    rows = sorted(frame.collect(), key=lambda row: (row["key"] is None, row["key"]))
    assert [row["_format_errors"] for row in rows] == [
        None,
        ["n is not a whole number", "big is too large for its type", "small is out of the range of its type"],
        None,
        ["big is too large for its type"],
        ["n is not a whole number", "key is missing"],
    ]
    assert [row["n"] for row in rows] == [1, None, None, None, None]
    assert json.loads(rows[1]["_raw"])["n"] == 1.5
    assert json.loads(rows[1]["_raw"])["small"] == 2**31
    assert rows[0]["at"] == WHEN - datetime.timedelta(hours=5)


@pytest.mark.parametrize(
    ("stored", "published", "declared", "said"),
    [
        (pa.float64(), "long", False, "Declare 'x' as 'double'"),
        (pa.string(), "double", True, "convert it in a table"),
        (pa.string(), "timestamp", False, "Declare 'x' as 'string'"),
        (pa.timestamp("us"), "date", False, "Declare 'x' as 'timestamp'"),
        (pa.float64(), "float", True, "Declare 'x' as 'double'"),
    ],
)
def test_a_change_of_type_that_can_lose_values_stops(
    spark: Any, parquet: Any, source: Any, stored: pa.DataType, published: str, declared: bool, said: str
) -> None:
    file = parquet({"x": pa.nulls(1, stored)})
    one = schema(x=published)
    with pytest.raises(SourceProblem) as raised:
        read_files(spark, [file], source(one if declared else None), published=None if declared else one)
    message = str(raised.value)
    assert "'month.parquet': column 'x' is" in message
    assert str(stored) in message
    assert published in message
    assert said in message


def test_types_of_several_files_meet_in_the_one_that_holds_both(spark: Any, parquet: Any, source: Any) -> None:
    files = [
        parquet({"n": pa.array([1], pa.int32()), "m": pa.array([1]), "d": pa.array([WHEN.date()]), "e": pa.nulls(1)}, "a.parquet"),
        parquet({"n": pa.array([2], pa.int64()), "m": pa.array([0.5]), "d": pa.array([WHEN]), "e": pa.array(["x"])}, "b.parquet"),
    ]
    result = read_files(spark, files, source())
    assert {one.name: one.type for one in result.schema} == {"n": "long", "m": "double", "d": "timestamp", "e": "string"}
    assert sorted((row["n"], row["m"], row["e"]) for row in result.frame.collect()) == [(1, 1.0, None), (2, 0.5, "x")]
    with pytest.raises(SourceProblem, match=r"'n' is string in 'c\.parquet' and long in 'a\.parquet'"):
        read_files(spark, [parquet({"n": ["x"]}, "c.parquet"), files[0]], source())


def test_new_columns_pass_an_open_schema_and_stop_at_a_closed_one(spark: Any, parquet: Any, source: Any) -> None:
    first, second = parquet({"a": [1]}, "a.parquet"), parquet({"a": [2], "fee": [0.75]}, "b.parquet")
    result = read_files(spark, [first, second], source(schema(a="long")))
    assert result.schema.names == ("a", "fee")
    assert not result.schema["fee"].required
    assert result.schema["fee"].nullable
    assert result.notes == ["New column 'fee' (double) from 'b.parquet'; it is null in the files before."]
    assert sorted((row["a"], row["fee"]) for row in result.frame.collect()) == [(1, None), (2, 0.75)]
    # What one run let in stays, also when a later file lacks it.
    later = read_files(spark, [first], source(schema(a="long")), published=result.schema)
    assert later.schema.names == ("a", "fee")
    assert later.frame.collect()[0]["fee"] is None
    with pytest.raises(SourceProblem, match=r"'b\.parquet' has the column 'fee' \(double\), which the closed schema"):
        read_files(spark, [first, second], source(schema(a="long", open=False)))


def test_missing_and_renamed_columns(spark: Any, parquet: Any, source: Any) -> None:
    file = parquet({"pickup_zone": [1], "FARE": [2.0]})
    with pytest.raises(SourceProblem) as raised:
        read_files(spark, [file], source(schema(pickup_zone_id="long", fare="double")))
    assert "'month.parquet' lacks the column 'pickup_zone_id'" in str(raised.value)
    assert "Did you mean 'pickup_zone'? If 'pickup_zone' is the same column renamed" in str(raised.value)
    with pytest.raises(SourceProblem, match="lacks the column 'pickup_zone_id'"):
        read_files(spark, [file], source(schema(pickup_zone_id="long", fare="double", open=False)))
    result = read_files(spark, [file], source(schema(pickup_zone="long", fare="double", tip=column("double", required=False))))
    assert tuple(result.frame.collect()[0])[:3] == (1, 2.0, None)
    assert result.notes == ["'month.parquet': column 'FARE' is taken for 'fare'."]


def test_broken_files_are_named_before_spark_sees_them(spark: Any, parquet: Any, land: Any, source: Any) -> None:
    whole = parquet({"a": list(range(1000))}).path.read_bytes()
    damaged = whole[:-200] + b"\xff" * 180 + whole[-20:]
    for content, said in (
        (whole[:-300], "truncated"),
        (b"", "empty"),
        (b"a,b\n1,2\n1,2\n", "no Parquet file"),
        (damaged, "damaged"),
    ):
        with pytest.raises(SourceProblem, match=said) as raised:
            read_files(spark, [land(content, "bad.parquet")], source())
        assert "'bad.parquet'" in str(raised.value)


def test_damage_inside_is_explained_with_the_users_name(spark: Any, parquet: Any, land: Any, source: Any) -> None:
    whole = parquet({"a": [f"text {i * 7919}" for i in range(20_000)]}, compression="snappy").path.read_bytes()
    file = land(whole[:40] + b"\xff" * 2000 + whole[2040:], "inside.parquet")
    frame = read_files(spark, [file], source()).frame
    with pytest.raises(Py4JJavaError) as raised:
        frame.selectExpr("sum(length(a))").collect()
    said = explain(raised.value, [file])
    assert said is not None
    assert "'inside.parquet' is damaged inside" in str(said)
    assert file.sha256 not in said.what
    assert explain(ValueError("unrelated"), [file]) is None


def test_reading_starts_no_job_and_plans_no_shuffle(spark: Any, parquet: Any, source: Any) -> None:
    tracker = spark.sparkContext.statusTracker()
    spark.sparkContext.setJobGroup("reading", "reading")
    result = read_files(spark, [parquet({"a": [1], "b": ["x"]})], source(schema(a="long", b="string")))
    assert list(tracker.getJobIdsForGroup("reading")) == []
    plan = result.frame._jdf.queryExecution().executedPlan().toString()
    assert "Exchange" not in plan
    assert "cast(" not in plan
    assert plan.count("FileScan") == 1


# The real months, and what later months changed: nine column types, letter case and a new column.
LATER = {
    "VendorID": pa.int32(), "RatecodeID": pa.int64(), "PULocationID": pa.int32(), "DOLocationID": pa.int32(), "passenger_count": pa.int64(),
    "payment_type": pa.int64(), "trip_type": pa.int64(), "ehail_fee": pa.float64(), "store_and_fwd_flag": pa.large_string(),
}  # fmt: skip


def _later(path: Path) -> pa.Table:
    table = pq.read_table(path)
    table = table.cast(pa.schema([one.with_type(LATER.get(one.name, one.type)) for one in table.schema]))
    table = table.rename_columns([{"congestion_surcharge": "Congestion_Surcharge"}.get(name, name) for name in table.column_names])
    return table.append_column("cbd_congestion_fee", pa.array([0.75] * len(table)))


@pytest.mark.slow
@pytest.mark.parametrize("declared", [True, False])
def test_real_months_and_their_later_types_read_alike(
    spark: Any, parquet: Any, land: Any, source: Any, shared_data: Path, declared: bool
) -> None:
    january = shared_data / "green_taxi" / "green_tripdata_2023-01.parquet"
    april = shared_data / "green_taxi" / "green_tripdata_2020-04.parquet"
    trips = _trips() if declared else None
    old, old_too, new = land(january), land(april), parquet(_later(january), "green_tripdata_2025-01.parquet")
    first = read_files(spark, [old, old_too], source(trips))
    second = read_files(spark, [new], source(trips), published=first.schema)
    assert second.schema.names[-1] == "cbd_congestion_fee"
    assert "cbd_congestion_fee" not in first.schema
    assert any("'Congestion_Surcharge' is taken for 'congestion_surcharge'" in note for note in second.notes)
    shared = [name for name in first.schema.names if name != "ehail_fee"]
    assert first.frame.count() == 68211 + 35644
    same_month = first.frame.where(f"_file = '{old.sha256[:16]}'").select(shared)
    again = second.frame.select(shared)
    assert same_month.dtypes == again.dtypes
    assert dict(again.dtypes)["lpep_pickup_datetime"] == "timestamp_ntz"
    assert same_month.exceptAll(again).count() == 0
    assert again.count() == 68211
    assert second.frame.where("_format_errors is not null").count() == 0


def _trips() -> Schema:
    fields = {
        "VendorID": "long", "lpep_pickup_datetime": "timestamp", "lpep_dropoff_datetime": "timestamp", "store_and_fwd_flag": "string",
        "RatecodeID": "long", "PULocationID": "long", "DOLocationID": "long", "passenger_count": "long", "ehail_fee": "double",
        **dict.fromkeys(["trip_distance", "fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount"], "double"),
        "improvement_surcharge": "double", "total_amount": "double", "payment_type": "double", "trip_type": "double",
        "congestion_surcharge": "double",
    }  # fmt: skip
    return schema(fields)


def test_lists_are_widened_declared_and_kept_as_json_where_a_text_is_declared(spark: Any, parquet: Any, source: Any) -> None:
    narrow = {"n": pa.array([[1, None], None, []], pa.list_(pa.int32())), "t": pa.array([["a"], [], None])}
    wide = {"n": pa.array([[2**40]], pa.list_(pa.int64())), "t": pa.array([["b", "c"]])}
    files = [parquet(narrow, "one.parquet"), parquet(wide, "two.parquet")]
    told = schema(n="array<long>", t=column("string"))
    result = read_files(spark, files, source(schema=told))
    found = sorted(((row["n"], row["t"]) for row in result.frame.collect()), key=repr)
    assert found == sorted([([1, None], '["a"]'), (None, "[]"), ([], None), ([2**40], '["b","c"]')], key=repr)
    assert {one.name: one.type for one in read_files(spark, files, source()).schema} == {"n": "array<long>", "t": "array<string>"}
    with pytest.raises(SourceProblem, match="'n'"):
        read_files(spark, files[1:], source(schema=schema(n="array<int>", t="array<string>")))


@pytest.mark.slow
def test_counts_of_any_unit_are_microseconds_or_told(spark: Any, parquet: Any, source: Any) -> None:
    seconds = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}
    files = [
        parquet({"id": [i], "lasted": pa.array([count], pa.duration(unit)), "at": pa.array([count * 1000], pa.timestamp("ns"))})
        for i, (unit, count) in enumerate(seconds.items())
    ]
    result = read_files(spark, files, source())
    assert {one.name: one.type for one in result.schema} == {"id": "long", "lasted": "long", "at": "timestamp"}
    assert [row["lasted"] for row in result.frame.sort("id").collect()] == [1_000_000] * 4
    finer = parquet(
        {"id": [1, 2], "lasted": pa.array([1001, -(2**63)], pa.duration("ns")), "at": pa.array([1, 1000], pa.timestamp("ns"))}
    )
    long = parquet({"id": [3], "lasted": pa.array([2**60], pa.duration("s")), "at": pa.array([None], pa.timestamp("ns"))})
    rows = read_files(spark, [finer, long], source()).frame.sort("id").collect()
    assert [row["_format_errors"] for row in rows] == [
        ["lasted is finer than a microsecond", "at is finer than a microsecond"],
        ["lasted is finer than a microsecond"],
        ["lasted has more microseconds than 64 bits hold"],
    ]
    declared = source(schema(id="long", lasted="decimal(22,3)", at="long"))
    exact = read_files(spark, [finer], declared).frame.sort("id").collect()
    assert [(str(row["lasted"]), row["at"], row["_format_errors"]) for row in exact] == [
        ("1.001", 1, None), ("-9223372036854775.808", 1000, None),
    ]  # fmt: skip


def test_columns_may_be_called_as_caudal_and_spark_call_theirs(spark: Any, parquet: Any, source: Any) -> None:
    file = parquet({"_metadata": [1], "_file": [2], "_r0": [3], "a`b": [4], "a.b c": [5], "_line": [6]})
    result = read_files(spark, [file], source())
    row = result.frame.collect()[0]
    assert sorted(row[one.name] for one in result.schema) == [1, 2, 3, 4, 5, 6]
    assert row["_file"] == file.sha256[:16]


@pytest.mark.parametrize("have", [(38, 5), (38, 38), (38, 18), (20, 3)])
@pytest.mark.parametrize("want", [(38, 0), (38, 10), (10, 2), (38, 37)])
def test_a_decimal_declared_with_other_digits_keeps_its_value_or_goes_to_quarantine(
    spark: Any, parquet: Any, source: Any, have: tuple[int, int], want: tuple[int, int]
) -> None:
    texts = [
        "5.5",
        "5.49999",
        "0.5",
        "0.25",
        "0." + "0" * 19 + "1",
        "0.05",
        "6",
        "-5.5",
        "9" * 15,
        "1" + "0" * 19,
        "9" * 33,
        "9" * 33 + ".5",
    ]
    numbers = [number for number in map(Decimal, texts) if _fits(number, *have)]
    file = parquet({"value": pa.array(numbers, pa.decimal128(*have))})
    rows = read_files(spark, [file], source(schema(value=f"decimal({want[0]},{want[1]})"))).frame.collect()
    assert {row["value"] for row in rows if not row["_format_errors"]} == {number for number in numbers if _fits(number, *want)}
    assert len(rows) == len(numbers)


def _fits(number: Decimal, precision: int, scale: int) -> bool:
    """Return whether a decimal type holds a number exactly."""
    digits = number.normalize(Context(prec=80)).as_tuple()
    return -int(digits.exponent) <= scale and number.adjusted() < precision - scale
