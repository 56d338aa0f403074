"""CSV: exact values, every bad row known, every kind of wrong file said in one sentence."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import json
from decimal import Decimal
from typing import Any

import pytest

from caudal.declarations.schema import Schema, column, schema
from caudal.errors import DeclarationProblem, SourceProblem
from caudal.stages.ingest.read import read_files

TRIPS = schema(id=column("long", nullable=False), fare="double", zone="string", at="timestamp")


def rows(frame: Any, *columns: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in frame.select(*columns).collect()), key=str)


def test_values_get_their_types_and_blanks_are_null(spark: Any, land: Any, source: Any) -> None:
    file = land('id,fare,zone,at\n1, 2.5 ,"a, b",2023-01-02 03:04:05\n2,,,\n3,1e2,"say ""hi""",2023-01-02T03:04:05.250\n')
    result = read_files(spark, [file], source(TRIPS))
    assert dict(result.frame.dtypes) == {
        "id": "bigint", "fare": "double", "zone": "string", "at": "timestamp_ntz", "_file": "string", "_format_errors": "array<string>",
        "_raw": "string",
    }  # fmt: skip
    at = datetime.datetime(2023, 1, 2, 3, 4, 5)
    assert rows(result.frame, "id", "fare", "zone", "at", "_format_errors", "_raw") == [
        (1, 2.5, "a, b", at, None, None),
        (2, None, None, None, None, None),
        (3, 100.0, 'say "hi"', at.replace(microsecond=250_000), None, None),
    ]
    assert {row["_file"] for row in result.frame.select("_file").collect()} == {file.sha256[:16]}
    assert result.notes == []


# Read by Spark as it is, by caudal's own reader, and by Spark over lines.
@pytest.mark.parametrize("ending", ["", '4,"x\r\ny",z\r\n', '4,"x\ny",z\n'])
@pytest.mark.parametrize("header", [True, False])
def test_quotes_without_anything_are_an_empty_text_and_no_null(
    spark: Any, land: Any, source: Any, ending: str, header: bool
) -> None:
    text = ("a,b,c\n" if header else "") + '1,"",x\n2,,""\n"3","-",""\n' + ending
    for options in ({}, {"null": ["-"]}):
        declared = source(schema(a="long", b="string", c="string"), header=header, **options)
        rows = read_files(spark, [land(text, f"{header}.csv")], declared).frame.orderBy("a").collect()
        third = None if options else "-"
        assert [(row["b"], row["c"]) for row in rows[:3]] == [("", "x"), (None, ""), (third, "")]
    undeclared = read_files(spark, [land('a,b\n1,""\n2,\n"",x\n', "free.csv")], source())
    assert [(row["a"], row["b"]) for row in undeclared.frame.orderBy("a").collect()] == [(None, "x"), (1, ""), (2, None)]


def test_bad_values_are_reasons_and_their_row_is_kept_as_it_came(spark: Any, land: Any, source: Any) -> None:
    file = land("id,fare,zone,at\n1,abc,z,2023-02-30\n,1d,z,2023\n4,0x1p3,z,99:99\n5,1,z,2023-01-01\n")
    found = {row["_raw"]: row for row in read_files(spark, [file], source(TRIPS)).frame.collect()}
    said = {json.loads(raw)["id"]: row["_format_errors"] for raw, row in found.items() if raw}
    assert said == {
        "1": ["fare is not a number", "at is not a time"],
        None: ["id is missing", "fare is not a number", "at is not a time"],
        "4": ["fare is not a number", "at is not a time"],
    }
    assert json.loads(next(raw for raw in found if raw and '"1"' in raw)) == {
        "id": "1",
        "fare": "abc",
        "zone": "z",
        "at": "2023-02-30",
    }
    assert found[None]["id"] == 5


def test_rows_of_the_wrong_width_keep_their_line(spark: Any, land: Any, source: Any) -> None:
    file = land("id,fare,zone,at\n1,2\n2,3,z,2023-01-01,more\n3,4,z,2023-01-01\n")
    bad = [row for row in read_files(spark, [file], source(TRIPS)).frame.collect() if row["_format_errors"]]
    assert {json.loads(row["_raw"])["_line"] for row in bad} == {"1,2", "2,3,z,2023-01-01,more"}
    assert all(row["_format_errors"] == ["row has too few or too many fields, or a quote that is not closed"] for row in bad)


def test_the_width_is_checked_even_where_few_columns_are_asked_for(spark: Any, land: Any, source: Any) -> None:
    file = land("id,fare,zone,at\n1,2\n3,4,z,2023-01-01\n")
    frame = read_files(spark, [file], source(TRIPS)).frame
    assert frame.where("_format_errors is not null").count() == 1
    assert frame.select("id").where("id = 3").count() == 1


def test_a_stray_quote_costs_its_own_row_only(spark: Any, land: Any, source: Any) -> None:
    lines = ["id,fare,zone,at", '1,2,"open,2023-01-01', *(f"{i},1,z,2023-01-01" for i in range(2, 40))]
    result = read_files(spark, [land("\n".join(lines) + "\n")], source(TRIPS))
    bad = result.frame.where("_format_errors is not null").collect()
    assert [json.loads(row["_raw"])["_line"] for row in bad] == ['1,2,"open,2023-01-01']
    assert result.frame.where("_format_errors is null").count() == 38
    assert "not closed" in result.notes[0]


def test_quoted_values_may_run_over_lines(spark: Any, land: Any, source: Any) -> None:
    file = land('id,fare,zone,at\n1,2,"two\nlines",2023-01-01\n2,3,one,2023-01-01\n')
    assert rows(read_files(spark, [file], source(TRIPS)).frame, "id", "zone", "_format_errors") == [
        (1, "two\nlines", None),
        (2, "one", None),
    ]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_wrong_separator_is_told_with_the_one_that_fits(spark: Any, land: Any, source: Any, separator: str) -> None:
    file = land(f"id{separator}fare{separator}zone{separator}at\n1{separator}2{separator}z{separator}2023-01-01\n", "semi.csv")
    for declared in (source(TRIPS), source()):
        with pytest.raises(SourceProblem, match=r"semi\.csv") as raised:
            read_files(spark, [file], declared)
        assert f"separator={separator!r}" in str(raised.value)
    assert read_files(spark, [file], source(TRIPS, separator=separator)).frame.count() == 1


def test_a_wrong_encoding_is_told_with_line_byte_and_likely_encoding(spark: Any, land: Any, source: Any) -> None:
    file = land("id,fare,zone,at\n1,2,plain,2023-01-01\n2,3,Café,2023-01-01\n".encode("cp1252"), "latin.csv")
    with pytest.raises(SourceProblem) as raised:
        read_files(spark, [file], source(TRIPS))
    assert "'latin.csv' is not utf-8: line 3 has the byte 0xE9" in str(raised.value)
    assert raised.value.facts["encoding"] == "windows-1252"
    for encoding in ("windows-1252", "latin-1"):
        assert rows(read_files(spark, [file], source(TRIPS, encoding=encoding)).frame, "zone") == [("Café",), ("plain",)]


def test_utf_16_is_recognised_and_read_when_declared(spark: Any, land: Any, source: Any) -> None:
    file = land("id,fare,zone,at\n1,2,Łódź,2023-01-01\n".encode("utf-16"), "wide.csv")
    with pytest.raises(SourceProblem, match=r"encoding='utf-16'"):
        read_files(spark, [file], source(TRIPS))
    assert rows(read_files(spark, [file], source(TRIPS, encoding="utf-16")).frame, "id", "zone") == [(1, "Łódź")]


@pytest.mark.parametrize("header", [True, False])
def test_a_byte_order_mark_is_no_part_of_a_name_or_value(spark: Any, land: Any, source: Any, header: bool) -> None:
    body = "1,2,z,2023-01-01\n"
    file = land(("\ufeff" + ("id,fare,zone,at\n" if header else "") + body).encode())
    assert rows(read_files(spark, [file], source(TRIPS, header=header)).frame, "id", "_format_errors") == [(1, None)]


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_an_error_and_a_header_alone_is_not(spark: Any, land: Any, source: Any, content: bytes) -> None:
    with pytest.raises(SourceProblem, match=r"'none\.csv'"):
        read_files(spark, [land(content, "none.csv")], source(TRIPS))
    assert read_files(spark, [land("id,fare,zone,at\n")], source(TRIPS)).frame.count() == 0
    assert read_files(spark, [land("id,fare,zone,at")], source(TRIPS)).frame.count() == 0


def test_gzip_is_read_and_a_cut_one_is_told(spark: Any, land: Any, source: Any) -> None:
    whole = gzip.compress(b"id,fare,zone,at\n" + b"1,2,z,2023-01-01\n" * 5000)
    assert read_files(spark, [land(whole, "a.csv.gz")], source(TRIPS)).frame.count() == 5000
    with pytest.raises(SourceProblem, match=r"'b\.csv\.gz' is a truncated"):
        read_files(spark, [land(whole[:-20], "b.csv.gz")], source(TRIPS))


def test_null_words_decimal_commas_and_time_formats(spark: Any, land: Any, source: Any) -> None:
    file = land("id;fare;zone;at\n1;1.234,5;NA;31/01/2023 10:00\n2;?;z;2023-01-31\n")
    frame = read_files(
        spark, [file], source(TRIPS, separator=";", decimal=",", null=["NA", "?"], timestamp_format="dd/MM/yyyy HH:mm")
    ).frame
    assert rows(frame, "id", "fare", "zone", "at", "_format_errors") == [
        (1, 1234.5, None, datetime.datetime(2023, 1, 31, 10), None),
        (2, None, "z", None, ["at is not a time"]),
    ]


def test_instants_become_wall_time_of_the_product(spark: Any, land: Any, source: Any) -> None:
    file = land("id,at\n1,2023-01-01T05:00:00Z\n2,2023-07-01T05:00:00+01:00\n3,2023-07-01 05:00:00\n")
    frame = read_files(spark, [file], source(schema(id="long", at="timestamp")), tz="America/New_York").frame
    day = datetime.datetime
    assert rows(frame, "id", "at") == [(1, day(2023, 1, 1)), (2, day(2023, 7, 1, 0)), (3, day(2023, 7, 1, 5))]


def test_numbers_are_never_rounded_or_cut(spark: Any, land: Any, source: Any) -> None:
    file = land("n,i,d,day,b\n17850.0,1,1.20,2023-01-01,true\n1.5,3000000000,1.234,2023-01-01 10:00,maybe\n")
    wanted = schema(n="long", i="int", d="decimal(10,2)", day="date", b="boolean")
    good, bad = sorted(read_files(spark, [file], source(wanted)).frame.collect(), key=lambda row: row["_raw"] or "")
    assert tuple(good)[:5] == (17850, 1, Decimal("1.20"), datetime.date(2023, 1, 1), True)
    assert [reason.split(" ")[0] for reason in bad["_format_errors"]] == ["n", "i", "d", "day", "b"]


def test_types_are_told_from_every_row_when_nobody_declared_them(spark: Any, land: Any, source: Any) -> None:
    body = "".join(f"{i},{i}.5,{i:03d},2023-01-01,true,x\n" for i in range(1, 300))
    file = land(f"n,fare,code,day,flag,mixed\n{body}7,8,009,2023-01-02,false,9\n", "all.csv")
    result = read_files(spark, [file], source())
    assert {one.name: one.type for one in result.schema} == {
        "n": "long", "fare": "double", "code": "string", "day": "date", "flag": "boolean", "mixed": "string",
    }  # fmt: skip
    # The next file is held to what was published, so that a bad value is a format error and no change of type.
    again = read_files(
        spark, [land("n,fare,code,day,flag,mixed\nx,1,2,2023-01-01,true,y\n", "next.csv")], source(), published=result.schema
    )
    assert again.frame.collect()[0]["_format_errors"] == ["n is not a whole number"]


def test_names_that_no_table_takes_are_cleaned_and_noted(spark: Any, land: Any, source: Any) -> None:
    result = read_files(spark, [land("Trip Distance (mi),_x\n1,2\n")], source())
    assert result.schema.names == ("Trip_Distance_mi", "x")
    assert rows(result.frame, "Trip_Distance_mi", "x") == [(1, 2)]
    again = read_files(spark, [land("Trip Distance (mi),_x\n3,4\n")], source(), published=result.schema)
    assert rows(again.frame, "Trip_Distance_mi", "x") == [(3, 4)]


def test_a_file_without_header_says_so(spark: Any, land: Any, source: Any) -> None:
    file = land("1,2,z,2023-01-01\n2,3,z,2023-01-01\n")
    with pytest.raises(SourceProblem, match="header=False"):
        read_files(spark, [file], source(TRIPS))
    assert read_files(spark, [file], source(TRIPS, header=False)).frame.count() == 2
    with pytest.raises(SourceProblem, match="4 fields in its first line; 2 columns"):
        read_files(spark, [file], source(schema(id="long", fare="double"), header=False))


def test_an_unknown_option_is_refused_with_the_nearest(spark: Any, land: Any, source: Any) -> None:
    with pytest.raises(DeclarationProblem, match="Did you mean 'separator'"):
        read_files(spark, [land("a,b\n1,2\n")], source(seperator=";"))


# Python keeps texts of one letter once, so that a comparison by identity sees the names of the second header as one.
@pytest.mark.parametrize(
    ("header", "said"),
    [("fee,Fee", "differ in case only"), ("x,x", "two columns named 'x'"), ("fee,fee", "two columns named 'fee'")],
)
def test_two_columns_of_one_name_are_refused(spark: Any, land: Any, source: Any, header: str, said: str) -> None:
    with pytest.raises(SourceProblem, match=said):
        read_files(spark, [land(f"{header}\n1,2\n")], source())


def test_a_quote_that_the_next_quote_does_not_close_costs_its_own_line_only(spark: Any, land: Any, source: Any) -> None:
    file = land('id,text\n1,a\n2,"open\n3,b\n4,"late"\n5,c\n')
    frame = read_files(spark, [file], source(schema(id="long", text="string"))).frame
    assert rows(frame.where("_format_errors is null"), "id", "text") == [(1, "a"), (3, "b"), (4, "late"), (5, "c")]
    bad = frame.where("_format_errors is not null").collect()
    assert [(json.loads(row["_raw"])["_line"], row["_format_errors"]) for row in bad] == [
        ('2,"open', ["row has a quote that is not closed"])
    ]


def test_a_separator_behind_the_last_column_shifts_none(spark: Any, land: Any, source: Any) -> None:
    file = land("station,pm10,pm25\n1,10,4,\n2,20,8,\n3,30,12,\n")
    for declared in (source(), source(schema(station="long", pm10="long", pm25="long"))):
        assert rows(read_files(spark, [file], declared).frame, "station", "pm10", "pm25") == [(1, 10, 4), (2, 20, 8), (3, 30, 12)]


@pytest.mark.slow
def test_a_month_of_shop_days_reads_as_pandas_does(spark: Any, land: Any, source: Any, shared_data: Any) -> None:
    import pandas as pd

    paths = sorted((shared_data / "online_retail").glob("2010-12-0*.csv"))[:4]
    wanted = schema(
        InvoiceNo="string", StockCode="string", Description="string", Quantity="long", InvoiceDate="timestamp", UnitPrice="double",
        CustomerID="long", Country="string",
    )  # fmt: skip
    ours = read_files(spark, [land(path) for path in paths], source(wanted)).frame
    assert ours.where("_format_errors is not null").count() == 0
    theirs = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""]) for path in paths])
    got = ours.selectExpr(
        "count(*)", "sum(Quantity)", "count(CustomerID)", "sum(CustomerID)", "count(Description)", "count(distinct InvoiceNo)", "max(InvoiceDate)",
        "sum(cast(UnitPrice as decimal(12,4)))", "sum(length(Description))",
    ).first()  # fmt: skip
    assert tuple(got) == (
        len(theirs), theirs.Quantity.astype(int).sum(), theirs.CustomerID.notna().sum(), int(theirs.CustomerID.dropna().astype(float).sum()),
        theirs.Description.notna().sum(), theirs.InvoiceNo.nunique(), pd.to_datetime(theirs.InvoiceDate).max().to_pydatetime(),
        sum(map(Decimal, theirs.UnitPrice)), int(theirs.Description.dropna().str.len().sum()),
    )  # fmt: skip


def test_a_header_with_one_name_too_few_has_a_row_index(spark: Any, land: Any, source: Any, shared_data: Any) -> None:
    path = next(path for path in sorted((shared_data / "occupancy").iterdir()) if "training" in path.name)
    result = read_files(spark, [land(path, path.name, "csv")], source())
    assert "row_index" in result.schema
    assert result.schema["date"].type == "timestamp"
    assert result.frame.count() == 8143
    assert result.frame.where("_format_errors is not null").count() == 0


def test_a_column_that_is_gone_is_null_and_noted(spark: Any, land: Any, source: Any) -> None:
    first = read_files(spark, [land("id,name\n1,ann\n")], source()).schema
    known = Schema(tuple(dataclasses.replace(field, required=False) for field in first))  # as a published table tells it
    result = read_files(spark, [land("id\n2\n", "later.csv")], source(), published=known)
    assert rows(result.frame, "id", "name") == [(2, None)]
    assert result.notes == ["Column 'name' is missing in 'later.csv' and null there."]
