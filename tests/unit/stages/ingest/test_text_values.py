"""What text becomes: the value that was written, or a reason in quarantine; a file that cannot be told apart is refused."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import Workbook

from caudal.declarations.schema import schema
from caudal.errors import DeclarationProblem, SourceProblem
from caudal.stages.ingest.added_columns import Outgrown
from caudal.stages.ingest.infer import possible_types
from caudal.stages.ingest.read import read_files


def typed(spark: Any, land: Any, source: Any, type: str, texts: list[str], **options: Any) -> dict[str, Any]:
    """Return by text the value, or the reason why there is none."""
    lines = "".join(f"{i}\t{text}\n" for i, text in enumerate(texts))
    declared = source(schema(n="long", value=type), separator="\t", **options)
    rows = read_files(spark, [land("n\tvalue\n" + lines)], declared).frame.collect()
    return {texts[row["n"]]: row["_format_errors"] or row["value"] for row in rows}


def test_points_beside_decimal_commas_part_groups_of_three_or_are_refused(spark: Any, land: Any, source: Any) -> None:
    bad = ["value is not a number"]
    for type, of in (("double", float), ("decimal(12,3)", Decimal)):
        words = bad if type == "double" else ["value is not a number of type decimal(12,3)"]
        assert typed(
            spark, land, source, type,
            ["12,50", "12.50", "1.5", "1.234,56", "1.234.567", "1.234.56", "12.345", "1234.567", "-1.234", "1,234.5", "1,2,3", "7", "1.23,4"],
            decimal=",",
        ) == {
            "12,50": of("12.5"), "12.50": words, "1.5": words, "1.234,56": of("1234.56"), "1.234.567": of(1234567), "1.234.56": words,
            "12.345": of(12345), "1234.567": words, "-1.234": of(-1234), "1,234.5": words, "1,2,3": words, "7": of(7), "1.23,4": words,
        }  # fmt: skip
    assert typed(spark, land, source, "double", ["1,234.5", "1.234,5", "1.5"]) == {"1,234.5": bad, "1.234,5": bad, "1.5": 1.5}
    with pytest.raises(DeclarationProblem, match="decimal=';'"):
        read_files(spark, [land("a\n1\n")], source(decimal=";"))


def test_numbers_in_cells_are_numbers_whatever_mark_the_texts_beside_them_have(spark: Any, land: Any, source: Any) -> None:
    book, octets = Workbook(), io.BytesIO()
    for row in (["price"], [12.5], ["12,5"], ["12.5"], [1e-7], [1234.125]):
        book.active.append(row)
    book.save(octets)
    frame = read_files(spark, [land(octets.getvalue(), "prices.xlsx")], source(schema(price="double"), decimal=",")).frame
    assert [row["price"] for row in frame.collect()] == [12.5, 12.5, None, 1e-7, 1234.125]


@pytest.mark.parametrize("type", ["double", "float"])
def test_infinity_is_a_number_as_nan_is(spark: Any, land: Any, source: Any, type: str) -> None:
    words = {
        word: float(word) for sign in ("", "-", "+") for word in (f"{sign}inf", f"{sign}Infinity", f"{sign}INFINITY", f"{sign}Inf ")
    }
    bad = ["1f", "1.d", "1.5D", "2F ", "0x1p3", "f", "infinit", "infinityd", "inff", "--inf"]
    values = typed(spark, land, source, type, [*words, *bad, "NaN"])
    assert math.isnan(values["NaN"])
    assert {text: values[text] for text in words} == words
    assert {text: values[text] for text in bad} == {text: ["value is not a number"] for text in bad}
    lines = '{"value": Infinity}\n{"value": -Infinity}\n{"value": NaN}\n{"value": 1.5}\n'
    rows = read_files(spark, [land(lines, "signals.jsonl")], source(schema(value=type))).frame.collect()
    assert sorted(str(row["value"]) for row in rows) == ["-inf", "1.5", "inf", "nan"]
    assert not any(row["_format_errors"] for row in rows)


@pytest.mark.parametrize(("suffix", "lines"), [("csv", 'n,value\n1,"[1, 2]"\n'), ("jsonl", '{"n": 1, "value": [1, 2]}\n')])
def test_a_type_that_text_cannot_have_is_refused_with_one_that_a_schema_takes(
    spark: Any, land: Any, source: Any, suffix: str, lines: str
) -> None:
    with pytest.raises(SourceProblem) as refused:
        read_files(spark, [land(lines, f"lists.{suffix}")], source(schema(n="long", value="array<long>")))
    advised = re.search("as '(.*?)' in the schema", str(refused.value.fix))
    assert advised
    assert schema(value=advised[1]).names == ("value",)


# Of each type the greatest and the least value, and one with a digit in every place: up to 38 digits fit, and none is rounded away.
@pytest.mark.parametrize(
    ("precision", "scale"), [(38, 0), (38, 10), (38, 18), (38, 37), (38, 38), (33, 2), (32, 2), (18, 2), (5, 5)]
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_decimal_has_the_value_of_its_text_or_none(
    spark: Any, land: Any, source: Any, precision: int, scale: int, suffix: str
) -> None:
    whole, type = precision - scale, f"decimal({precision},{scale})"
    nines = ("9" * whole or "0") + "." + "9" * scale
    places = ("1234567890" * 4)[:whole] + "." + ("9876543211" * 4)[:scale]
    fits = [nines, "-" + nines, places if whole else "0" + places, "0", "0." + "0" * 60, nines + "0" * 40, f"1E-{scale}"]
    fits.append(f"1e{whole - 1}" if whole else f"1e-{scale}")
    too_large = ["1" + "0" * whole, f"1e{whole}", f"-1E{whole}"]
    too_fine = [
        nines + "5",
        "0." + "0" * scale + "1",
        "0." + "0" * scale + "5",
        "0." + "0" * 60 + "1",
        f"1e-{scale + 1}",
        "1e-60",
        "-0.5e-38",
    ]
    fits, misfits = ([text.rstrip(".") for text in texts] for texts in (fits, too_large + too_fine))
    texts = list(dict.fromkeys(fits + misfits))
    declared = source(schema(n="long", value=type), separator="\t") if suffix == "csv" else source(schema(n="long", value=type))
    lines = (
        "n\tvalue\n" + "".join(f"{n}\t{text}\n" for n, text in enumerate(texts))
        if suffix == "csv"
        else "".join(f'{{"n": {n}, "value": {text}}}\n' for n, text in enumerate(texts))
    )
    rows = read_files(spark, [land(lines, f"amounts.{suffix}")], declared).frame.collect()
    assert {texts[row["n"]]: row["_format_errors"] or row["value"] for row in rows} == {
        text: Decimal(text) if text in fits else [f"value is not a number of type {type}"] for text in texts
    }


@pytest.mark.parametrize("type", ["timestamp", "timestamp_utc", "date"])
def test_what_is_no_whole_date_of_our_calendar_is_refused(spark: Any, land: Any, source: Any, type: str) -> None:
    texts = [
        "12:30", "08:15:00", "T08:15:00", "           08:15:00", "2024", "    2024", "2024-05", "  2024-05", "12024-01-01", "+12024-01-01", "0000-12-31",
        "-0044-03-15", "10000-01-01 00:00:00", "2024-02-30",
    ]  # fmt: skip
    words = ["value is not a date" if type == "date" else "value is not a time"]
    utc = dt.UTC if type == "timestamp_utc" else None
    ends = {text: dt.datetime.fromisoformat(text).replace(tzinfo=utc) for text in ("0001-01-03", "9999-12-31", "2024-01-02")}
    values = typed(spark, land, source, type, [*texts, *ends])
    assert {text: values[text] for text in texts} == dict.fromkeys(texts, words)
    for text, want in ends.items():
        have = values[text]
        if type == "timestamp_utc":
            have = have.astimezone(dt.UTC)
        assert have == (want.date() if type == "date" else want), text


def test_a_format_says_what_is_a_time(spark: Any, land: Any, source: Any) -> None:
    values = typed(spark, land, source, "timestamp", ["12:30", "2024-01-01"], timestamp_format="HH:mm")
    assert values == {"12:30": dt.datetime(1970, 1, 1, 12, 30), "2024-01-01": ["value is not a time"]}


@pytest.mark.parametrize("name", ["x", "ab", "a b"])
def test_two_columns_of_one_name_are_refused_however_long_it_is(spark: Any, land: Any, source: Any, name: str) -> None:
    with pytest.raises(SourceProblem, match=f"two columns named '{name}'"):
        read_files(spark, [land(f"{name},y,{name}\n1,2,3\n")], source())


@pytest.mark.parametrize("header", [True, False])
def test_a_separator_behind_the_last_column_shifts_nothing(spark: Any, land: Any, source: Any, header: bool) -> None:
    body = "1,10,4,\n2,20,,\n3,30,12,x\n"
    file = land(("station,pm10,pm25\n" if header else "") + body, "air.csv")
    told = read_files(spark, [file], source(schema(station="long", pm10="double", pm25="double"), header=header))
    rows = sorted(((row["station"], row["pm10"], row["pm25"], row["_raw"]) for row in told.frame.collect()), key=str)
    assert "left out" in told.notes[0]
    good = [row[:3] for row in rows if row[3] is None]
    bad = [json.loads(row[3])["_line"] for row in rows if row[3] is not None]
    assert (good, bad) == ([(1, 10.0, 4.0), (2, 20.0, None)], ["3,30,12,x"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])  # read by Spark, and record by record
def test_each_row_of_a_file_with_a_separator_behind_the_last_column_has_it(
    spark: Any, land: Any, source: Any, encoding: str
) -> None:
    shown = "1\t2\t\n" * 60  # by the first rows it is told how all end
    file = land(f'a\tb\n{shown}3\t""\t""\n\t \n4\t5\n6\t7\t\n'.encode(encoding), "air.tsv")
    rows = read_files(spark, [file], source(schema(a="long", b="string"), encoding=encoding)).frame.collect()
    good = [(row["a"], row["b"] or None) for row in rows if row["_raw"] is None]
    bad = [json.loads(row["_raw"])["_line"] for row in rows if row["_raw"] is not None]
    assert (Counter(good), sorted(bad)) == ({(1, "2"): 60, (3, None): 1, (6, "7"): 1}, ["\t ", "4\t5"])


@pytest.mark.parametrize("sign", [*"\x01\x08\x0b\x0c\x0e\x1b\x1c\x1f ", "", "\x01 \x1c"])
def test_a_row_of_signs_that_spark_takes_for_blanks_is_a_row(spark: Any, land: Any, source: Any, sign: str) -> None:
    file = land(f"a\tb\nx\ty\n{sign}\t{sign}\nz\t\x01\n", "signs.tsv")
    rows = read_files(spark, [file], source(schema(a="string", b="string"))).frame.collect()
    assert sorted((row["a"] or "", row["b"] or "") for row in rows) == sorted([("x", "y"), (sign, sign), ("z", "\x01")])


def test_lines_of_tabs_above_the_header_are_none(spark: Any, land: Any, source: Any) -> None:
    rows = read_files(spark, [land("\t\n \t\na\tb\n1\t2\n\t\n", "tabs.tsv")], source(schema(a="long", b="long"))).frame.collect()
    assert [(row["a"], row["b"], row["_raw"]) for row in rows] == [(1, 2, None), (None, None, None)]


def test_a_trailing_separator_is_told(spark: Any, land: Any, source: Any) -> None:
    result = read_files(spark, [land("station,pm10\n1,10,\n2,20,\n", "air.csv")], source())
    assert [tuple(row)[:2] for row in result.frame.collect()] == [(1, 10), (2, 20)]
    assert result.notes == ["'air.csv': rows end with a separator after the last column; the empty field after it is left out."]


def test_a_header_that_fits_no_reading_is_refused(spark: Any, land: Any, source: Any) -> None:
    with pytest.raises(SourceProblem, match="2 names in its header and 3 fields"):
        read_files(spark, [land("a,b\n1,2,3\n1,5,6\n")], source())


def test_a_quote_that_is_not_closed_costs_its_own_line_and_tells_it(spark: Any, land: Any, source: Any) -> None:
    file = land('id,comment\n1,ok\n2,"good\n3,fine\n4,"late"\n5,"a ""b"""\n6,"x"y\n7,5" disk\n', "notes.csv")
    result = read_files(spark, [file], source(schema(id="long", comment="string")))
    rows = result.frame.collect()
    assert [(row["id"], row["comment"]) for row in rows if row["_raw"] is None] == [
        (1, "ok"), (3, "fine"), (4, "late"), (5, 'a "b"'), (7, '5" disk'),
    ]  # fmt: skip
    assert [(json.loads(row["_raw"]), row["_format_errors"]) for row in rows if row["_raw"]] == [
        ({"_line": '2,"good', "_line_number": 3}, ["row has a quote that is not closed"]),
        ({"_line": '6,"x"y', "_line_number": 7}, ["row has text after a closing quote"]),
    ]
    assert result.notes == ["'notes.csv' has lines that are not rows: 3, 7; they are format errors."]


@pytest.mark.slow
def test_types_follow_from_all_files_whatever_their_order(spark: Any, land: Any, source: Any) -> None:
    bodies = ["id,v,empty\n1,1,\n2,2,\n", "id,v,empty\n3,1.5,\n", "id,v,empty\n4,x,7\n"]
    files = [land(body, f"{i}.csv") for i, body in enumerate(bodies)]
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        done = read_files(spark, [files[order[0]]], source())
        for number, place in enumerate(order[1:], 2):
            seen = [files[i] for i in order[:number]]
            fresh = read_files(spark, seen, source())
            try:
                done = read_files(spark, [files[place]], source(), published=done.schema, added_columns=done.added_columns)
            except Outgrown:
                done = fresh
            assert {field.name: field.type for field in done.schema} == {field.name: field.type for field in fresh.schema}, (
                order,
                number,
            )
            assert set(done.added_columns) == set(fresh.added_columns)


def test_identifiers_and_codes_keep_every_sign(spark: Any, land: Any, source: Any) -> None:
    file = land("id,code,plus,hex,far\n9007199254740993,1E5,+1,0x1F,1e400\n1.5,2E6,+2,0x2A,1\n")
    result = read_files(spark, [file], source())
    assert {field.type for field in result.schema} == {"string"}
    assert tuple(result.frame.collect()[0])[:5] == ("9007199254740993", "1E5", "+1", "0x1F", "1e400")


@pytest.mark.slow
def test_hundreds_of_columns_are_one_expression(spark: Any) -> None:
    width = 600
    frame = spark.range(3).selectExpr(*(f"cast(id + {i} as string) as _r{i}" for i in range(width)))
    inferred = possible_types(frame, [f"c{i}" for i in range(width)], {}, "UTC")
    assert len(inferred) == width
    assert set(inferred.values()) == {frozenset({"long", "double"})}
