"""A plan may run on Sail only if everything in it was compared and found equal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql.connect import functions as F

import caudal
from caudal.engine.sail import check, table
from caudal.engine.sail.check import Unequal, as_written, prepared, unequal_constructs
from caudal.engine.sail.results import EngineAgreement
from caudal.engine.sail.signature import is_plain_regex


def names(refused):
    return {each.name for each in refused}


@pytest.fixture
def plain(sail):
    return sail.createDataFrame([(1, "a", 2.5)], "id int, zone string, fare double")


def test_what_is_equal_may_run(plain):
    assert unequal_constructs(plain.filter("id > 0").select(F.upper("zone"), F.length("zone"))) == ()


def test_what_differs_may_not(plain):
    (refused,) = unequal_constructs(plain.select(F.weekday(F.to_date("zone"))), falls_back=True)
    assert (refused.name, refused.arguments) == ("weekday", "date")
    assert "where date = 2024-01-07, Spark gives 6, Sail -1" in str(refused)


@pytest.mark.parametrize(
    ("pattern", "is_plain"),
    [(r"\A(?:[ab]+|C?[0-9]{6})\z", True), (r"\A(?:a)|(b)\z", False), (r"\A(?:\w+)\z", False), (r"\A[ab]+", False), ("[ab]+", True)],
)
def test_a_plain_pattern_may_be_held_to_the_whole_text(pattern, is_plain):
    assert is_plain_regex(pattern) == is_plain


def test_what_was_not_compared_may_not(plain):
    assert "it was not compared" in str(unequal_constructs(plain.select(F.rand()))[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.selectExpr("uuid()"),
        lambda frame: frame.select(F.current_timestamp()),
        lambda frame: frame.groupBy("zone").agg(F.first("fare")),
        lambda frame: frame.groupBy("zone").agg(F.collect_list("fare")),
        lambda frame: frame.limit(1),
        lambda frame: frame.dropDuplicates(["zone"]),
        lambda frame: frame.select(F.monotonically_increasing_id()),
        lambda frame: frame.sample(0.5),
        lambda frame: frame.withColumn("n", F.expr("fare > (SELECT 1)")),
        lambda frame: frame.sparkSession.sql("SELECT * FROM somewhere"),
        lambda frame: frame.sparkSession.read.option("header", True).csv("/nowhere"),
    ],
)
def test_what_depends_on_more_than_the_rows_may_not(plain, change):
    assert unequal_constructs(change(plain), falls_back=True)


def test_sums_of_doubles_depend_on_the_order(plain):
    (refused,) = unequal_constructs(plain.groupBy("zone").agg(F.sum("fare")), falls_back=True)
    assert "the order in which rows are added" in str(refused)


def test_another_version_is_refused_with_the_command(plain, monkeypatch):
    monkeypatch.setattr(check, "installed_table", lambda: None)
    (refused,) = unequal_constructs(plain)
    assert "python -m caudal.engine.sail.compare" in str(refused)


def test_a_table_of_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CAUDAL_CACHE", str(tmp_path))
    monkeypatch.setattr(table, "version", lambda name: "99.0")
    table.installed_table.cache_clear()
    try:
        assert table.installed_table() is None
        table.installed_table.cache_clear()
        own = table.EqualityTable("99.0", table.read_table(table.FILE).spark, {("upper", "string"): EngineAgreement("equal")})
        own.write(table.cached_table_file("99.0"))
        assert table.installed_table() == own
    finally:
        table.installed_table.cache_clear()


def test_a_table_is_read_as_it_was_written(tmp_path):
    verdicts = {
        ("upper", "string"): EngineAgreement("equal"),
        ("==", "int, int"): EngineAgreement("equal"),
        ("weekday", "date"): EngineAgreement("different", ('weekday(a): a = "é"', "6", "-1")),
        ("+", "int, int"): EngineAgreement("raises", ("a", "1", "error: x")),
        ("observe", ""): EngineAgreement("unsupported", reason="not implemented: collect metrics"),
    }
    written = table.EqualityTable("1", "2", verdicts)
    written.write(tmp_path / "table.json")
    assert table.read_table(tmp_path / "table.json") == written
    document = json.loads((tmp_path / "table.json").read_text())
    assert list(document["constructs"]) == sorted(document["constructs"])


@pytest.mark.parametrize(
    ("kept", "written"),
    [
        ("'0x1.4000000000000p+1'", "2.5"),
        ("a_double = 2.5, b_int = 1", "double = 2.5, int = 1"),
        ("a_at = datetime.datetime(2024, 3, 10, 2, 30, tzinfo=zoneinfo.ZoneInfo(key='UTC'))", "at = 2024-03-10 02:30:00 UTC"),
        ("Decimal('2.50')", "2.50"),
        (
            "error: [ARITHMETIC_OVERFLOW] long overflow. Use 'try_add' to tolerate it.",
            "an error ([ARITHMETIC_OVERFLOW] long overflow)",
        ),
    ],
)
def test_an_example_reads_as_a_person_writes_it(kept, written):
    assert as_written(kept) == written


def test_what_caudal_has_made_is_passed_over_and_nothing_else(sail):
    own = sail.createDataFrame([("cafe",)], "word string").where(F.col("word").rlike(r"\w+"))
    alone, unequal = prepared(own, own=[own])
    assert unequal == ()
    _, unequal = prepared(own.where(F.col("word").rlike(r"\w+")), own=[own])  # the same construct, made twice: once by the user
    assert [each.name for each in unequal] == ["rlike"]
    assert alone.schema == own.schema


def test_no_line_of_caudal_is_named():
    ours = str(Path(caudal.__file__).parent / "stages" / "x.py:3")
    assert Unequal("rlike", "string", "", ours).what == "rlike(string)"
    assert Unequal("rlike", "string", "", "/home/a/product.py:3").what == "rlike(string) in product.py:3"
