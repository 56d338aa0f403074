"""check: each kind of fault is found, named with its place, and the nearest right thing."""

from __future__ import annotations

import pytest

import caudal as cd
from caudal import expect as ex
from caudal.errors import DeclarationProblem
from caudal.graph.check import check

SCHEMA = cd.schema(at="timestamp", zone="string", fare="double")


def product(**options):
    made = cd.Product("p")
    made.source("raw", cd.files("*.csv"), schema=SCHEMA, event_time="at", **options)
    return made


def sentences(made):
    return [problem.sentence() for problem in check(made)]


def test_a_sound_product_has_no_problem():
    made = product(partition="day")

    @made.table
    def clean(raw): ...

    assert check(made) == []


def test_an_unknown_input_is_named_with_its_nearest():
    made = product()

    @made.table
    def clean(rwa): ...

    (problem,) = check(made)
    assert problem.nearest == "raw"
    assert problem.input == "rwa"
    assert __file__.rsplit("/", 1)[-1] in str(problem.where)


def test_a_circle_is_shown():
    made = product()

    @made.table
    def a(b): ...

    @made.table
    def b(a): ...

    assert any("circle" in one and "a ← b ← a" in one for one in sentences(made))


def test_an_event_time_that_is_no_column_or_no_time():
    made = cd.Product("p")
    made.source("raw", cd.files("*.csv"), schema=SCHEMA, event_time="att")
    made.source("raw2", cd.files("*.csv"), schema=SCHEMA, event_time="zone")
    found = sentences(made)
    assert any("'att'" in one and "Did you mean 'at'" in one for one in found)
    assert any("type string" in one for one in found)


def test_a_partition_without_event_time():
    made = cd.Product("p")
    made.source("raw", cd.files("*.csv"), partition="day")
    assert any("no event time" in one for one in sentences(made))


def test_an_expectation_that_binds_to_nothing():
    from caudal import expect as ex

    made = product(expect=[ex.not_null("zones").quarantine(), ex.refers_to("zone", "zonen", "id")])
    found = sentences(made)
    assert any("no column 'zones'" in one and "Did you mean 'zone'" in one for one in found)
    assert any("no table 'zonen'" in one for one in found)


def test_models_and_predictions_that_bind_to_nothing():
    made = product()

    @made.features(entity="zone", as_of="at", labels=["fare"])
    def demand(raw): ...

    made.model("m", features="demands", label="fare", candidates={"a": object()}, split=cd.temporal(test="1 day"))
    made.model(
        "n", features=demand, label="fares", candidates={"a": object()}, split=cd.temporal(test="1 day"), gates=[cd.beats("b")]
    )
    made.predict("q")
    found = sentences(made)
    assert any("Did you mean 'demand'" in one for one in found)
    assert any("Did you mean 'fare'" in one for one in found)
    assert any("no candidate 'b'" in one for one in found)
    assert any("model 'q'" in one for one in found)


def test_two_things_of_one_name():
    made = product()
    with pytest.raises(DeclarationProblem, match="twice"):
        made.source("raw", cd.files("x"))


def test_sql_inputs_are_found_without_ctes_and_broken_sql_is_told():
    made = product()
    table = made.sql("by_zone", "WITH a AS (SELECT * FROM raw) SELECT zone, count(*) AS n FROM a GROUP BY zone")
    assert table.inputs == ("raw",)
    with pytest.raises(DeclarationProblem, match="cannot be read"):
        made.sql("broken", "SELECT FROM WHERE (")


def test_an_unknown_option_is_named_with_its_nearest():
    made = product()
    with pytest.raises(DeclarationProblem, match="Did you mean 'partition'"):

        @made.table(partitions="day")
        def clean(raw): ...


def test_a_key_or_watermark_that_a_closed_schema_lacks():
    made = cd.Product("p")
    columns = cd.schema(id=cd.column("long", raw="rental_id"), at="timestamp", open=False)
    made.source("good", cd.database(env="D", table="t", watermark="at", key="rental_id"), schema=columns)
    made.source("bad", cd.database(env="D", table="t", watermark="att", key=["id"]), schema=columns)
    watermark, key = check(made)
    assert watermark.nearest == "at"
    assert "names 'att' as its watermark" in str(watermark)
    assert "names 'id' as its key" in str(key)


def test_an_expectation_that_asks_what_is_made_from_its_table_is_a_circle() -> None:
    product = cd.Product("shop")
    product.source("orders", cd.files("*.csv"))

    @product.table(expect=[ex.refers_to("id", "late", "id").warn()])
    def paid(orders): ...

    @product.table
    def late(paid): ...

    assert [problem.what for problem in check(product)] == ["The tables go round in a circle: paid ← late ← paid."]
