"""What Sail's analyzer has answered is not asked again, unless it could be answered otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pyspark.sql.connect import functions as F

from caudal.engine.sail import analyzer
from caudal.engine.sail.analyzer import Analyzer, known_as


@pytest.fixture(autouse=True)
def _forget():
    analyzer._ANSWERS.clear()


def relation_of(frame):
    return frame._plan.to_proto(frame.sparkSession.client).root


@contextmanager
def counted(client) -> Iterator[list[str]]:
    """Yield the list of the questions that the client sends to the analyzer."""
    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        ask = client._analyze
        patch.setattr(client, "_analyze", lambda method, **more: asked.append(method) or ask(method, **more))
        yield asked


def pair(sail):
    left, right = sail.createDataFrame([(1, "a")], "id int, x string"), sail.createDataFrame([(1, 2.5)], "id int, x double")
    return left, right


def test_the_same_question_by_another_plan_is_asked_once(sail):
    answers = []
    with counted(sail.client) as asked:
        for _ in range(3):
            left, right = pair(sail)
            answers.append(Analyzer(sail.client).schema(relation_of(left.join(right, left["id"] == right["id"]).select(left["x"]))))
    assert asked.count("schema") == 1
    assert {answer.simpleString() for answer in answers} == {"struct<x:string>"}


def test_columns_of_either_side_are_told_apart(sail):
    left, right = pair(sail)
    joined = left.join(right, left["id"] == right["id"])
    first, second = (Analyzer(sail.client).schema(relation_of(joined.select(side["x"]))) for side in (left, right))
    assert (first.simpleString(), second.simpleString()) == ("struct<x:string>", "struct<x:double>")


def test_another_setting_asks_again(sail):
    frame = sail.createDataFrame([(1, "a")], "id int, x string").select(F.upper("x"))
    before = sail.conf.get("spark.sql.session.timeZone")
    with counted(sail.client) as asked:
        Analyzer(sail.client).schema(relation_of(frame))
        sail.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
        try:
            Analyzer(sail.client).schema(relation_of(frame))
        finally:
            sail.conf.set("spark.sql.session.timeZone", before)
    assert asked == ["schema", "schema"]


def test_files_tables_and_queries_are_asked_for_each_time(sail, tmp_path):
    frame = sail.createDataFrame([(1, "a")], "id int, x string")
    frame.createOrReplaceTempView("held")
    frame.write.parquet(str(tmp_path / "rows"))
    outside = [sail.read.parquet(str(tmp_path / "rows")), sail.table("held"), sail.sql("SELECT id FROM held")]
    assert [known_as(relation_of(each.where("id > 0"))) for each in outside] == [None] * 3
    assert known_as(relation_of(frame.where("x = '\\n read {'"))) is not None


def test_a_function_that_was_registered_by_name_is_asked_for_each_time(sail):
    frame = sail.createDataFrame([(1, "a")], "id int, x string")
    assert known_as(relation_of(frame.select(F.call_function("ours", "x")))) is None
    built_in = frame.where((F.col("id") + 1 > 0) & ~F.col("x").isin("b")).select(
        F.upper("x"), F.col("id") % 2, F.coalesce("x", F.lit("y"))
    )
    assert known_as(relation_of(built_in)) is not None


def test_no_more_than_a_bound_is_kept(sail, monkeypatch):
    monkeypatch.setattr(analyzer, "_KEPT", 3)
    frame = sail.createDataFrame([(1, "a")], "id int, x string")
    for number in range(6):
        Analyzer(sail.client).schema(relation_of(frame.where(f"id > {number}")))
    assert len(analyzer._ANSWERS) == 3
