"""``caudal check`` with Spark: columns read from files, what binds to nothing in them, and verdicts that are kept."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caudal.commands.check import analyse, verdict
from caudal.commands.check.check import check_product
from caudal.declarations.settings import Settings
from caudal.engine.classic import CLASSIC
from caudal.engine.java import spark_java
from caudal.graph.load import load

HEAD = """
import caudal as cd
from caudal import expect as ex
from pyspark.sql import functions as F
from sklearn.linear_model import LinearRegression

product = cd.Product("p")
"""
ROWS = [{"at": "2024-01-01T00:00:00", "zone": "a", "fare": 1.5}, {"at": "2024-01-01T01:00:00", "zone": "b", "fare": 2.25}]


@pytest.fixture
def place(tmp_path: Path, spark: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a product's folder; verdicts are kept beside it."""
    verdicts = tmp_path / "verdicts"
    verdicts.mkdir()
    monkeypatch.setattr("caudal.commands.check.verdict._folder", lambda: verdicts)
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    monkeypatch.setattr("caudal.commands.check.node_verdicts._folder", lambda: nodes)
    (tmp_path / "p").mkdir()
    return tmp_path / "p"


def written(place: Path, text: str) -> Path:
    """Write a product's file, and return it."""
    file = place / "product.py"
    file.write_text(HEAD + text)
    return file


def checked(place: Path, text: str) -> tuple[list[str], list[str]]:
    """Return the problems and the notes of a product."""
    written(place, text)
    notes: list[str] = []
    problems = check_product(place, Settings(home=place.parent / "home"), note=notes.append)
    return [problem.sentence() for problem in problems], notes


def write(place: Path, kind: str) -> None:
    if kind == "csv":
        lines = [",".join(ROWS[0]), *(",".join(map(str, row.values())) for row in ROWS)]
        (place / "rows.csv").write_text("\n".join(lines) + "\n")
    elif kind == "json":
        (place / "rows.json").write_text("\n".join(map(json.dumps, ROWS)) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), place / "rows.parquet")


UNDECLARED = """
product.source("rows", cd.files("rows.*"), expect=[ex.not_null("zon").warn()])

@product.table
def clean(rows):
    return rows.select("zone", "fare")

@product.table(expect=[ex.positive("fair").stop()])
def dear(clean):
    return clean.where("fare > 2")
"""


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_columns_that_nothing_declares_are_read_from_the_file(kind: str, place: Path) -> None:
    write(place, kind)
    problems, notes = checked(place, UNDECLARED)
    assert notes == [f"Columns of 'rows' read from rows.{kind}."]
    assert any("'rows' has no column 'zon'" in one and "Did you mean 'zone'?" in one for one in problems)
    assert any("'dear' has no column 'fair'" in one and "Did you mean 'fare'?" in one for one in problems)
    assert len(problems) == 2


def test_a_large_file_is_read_from_its_beginning_only(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place, "csv")
    with (place / "rows.csv").open("a") as file:
        file.writelines(f"2024-01-01T00:00:00,z{number},{number}.5\n" for number in range(20_000))
        file.write("this,line,is,never,read\n")
    problems, _ = checked(place, UNDECLARED.replace('"zon"', '"zone"').replace('"fair"', '"fare"'))
    assert problems == []


def test_without_a_file_it_is_said_what_was_not_analysed(place: Path) -> None:
    problems, notes = checked(place, UNDECLARED)
    assert problems == []
    assert notes == ["The columns of rows are known when data arrive; what reads it was not analysed."]


ENGINES = """
product.source("rows", cd.files("rows.csv"), schema=cd.schema(at="timestamp", zone="string", fare="long"), event_time="at")

@product.table
def sums(rows):
    return rows.groupBy("zone").agg(F.sum("fare").alias("total"))

@product.features(entity="zone", as_of="at", labels=["fare"])
def before(rows):
    return cd.lag(rows, "fare", "3 hours", by="zone", order="at").drop("_file")
"""
SUM_OF_DOUBLES = '.agg(F.sum("fare")', '.agg(F.sum(F.col("fare").cast("double"))'


def test_what_sail_computes_as_spark_does_is_checked_without_spark(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(CLASSIC), "session", lambda self, request: pytest.fail("Spark was asked"))
    assert checked(place, ENGINES) == ([], [])
    problems, notes = checked(place, ENGINES.replace('.drop("_file")', '.withColumn("more", F.lit(1)).drop("_file")'))
    assert (problems, notes) == ([], [])


def test_what_a_run_has_spark_do_is_said_by_each_check(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ENGINES.replace(*SUM_OF_DOUBLES)
    problems, (remark,) = checked(place, text)
    assert problems == []
    assert re.fullmatch(
        r"Step 'table:sums' is done on Spark: Sail [\d.]+ is not known to compute sum\(double\) as Spark does\.", remark
    )
    monkeypatch.setattr(analyse, "analysing_engines", lambda *_, **__: pytest.fail("it was analysed again"))
    assert checked(place, text) == ([], [remark])  # the whole check is kept
    monkeypatch.undo()


def test_a_remark_stays_when_another_part_is_edited(place: Path) -> None:
    text = ENGINES.replace(*SUM_OF_DOUBLES)
    _, before = checked(place, text)
    assert checked(place, text.replace('"3 hours"', '"4 hours"'))[1] == before


def test_another_java_or_another_table_of_what_is_equal_makes_verdicts_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    product, settings = load(written(place, ENGINES)), Settings(home=place.parent / "home")
    keys = []
    java, cache = spark_java(), tmp_path / "cache"
    assert java is not None
    (cache / "sail").mkdir(parents=True)
    monkeypatch.setattr(verdict, "cache_dir", lambda *parts: cache.joinpath(*parts))
    for change in (
        lambda: None,
        lambda: monkeypatch.setattr(verdict, "spark_java", lambda: replace(java, version="17.0.1")),
        lambda: monkeypatch.setattr(verdict, "spark_java", lambda: None),
        lambda: (cache / "sail" / "table-0.9.9-spark-4.1.1.json").write_text("{}"),
    ):
        change()
        verdict.versions.cache_clear()
        keys.append(verdict.key_of(product, {}, settings))
    verdict.versions.cache_clear()
    assert len({*keys}) == 4


@pytest.mark.slow
def test_each_engine_has_verdicts_of_its_own(place: Path) -> None:
    text = ENGINES.replace(*SUM_OF_DOUBLES)
    for engine, remarks in (("auto", 1), ("spark", 0), ("sail", 1)):
        written(place, text)
        notes: list[str] = []
        assert check_product(place, Settings(home=place.parent / "home", engine=engine), note=notes.append) == []
        assert len(notes) == remarks


def test_errors_are_those_of_spark(place: Path) -> None:
    (problem,), notes = checked(place, ENGINES.replace('F.sum("fare")', 'F.sum("fair")'))
    assert notes == []
    assert "UNRESOLVED_COLUMN" in problem


MODEL = """
product.source("rows", cd.files("rows.csv"))

@product.features(entity="zone", labels=["fare"], keep=["borough"])
def ready(rows):
    return rows.select("zone", "fare", F.length("zone").alias("x"), F.lit("b").alias("borough"))

model = product.model("m", features=ready, label="fare", candidates={"l": LinearRegression()}, split=cd.hashed(by="zoneo"),
                      gates=[cd.parity("boro")], group_by=["zon"])
product.serve(model, fields={"xx": {"label": "X"}})
product.about(ready, faer="Fare [USD]")
product.publish(ready, to=cd.warehouse(), key="zne")
"""


def test_columns_that_models_forms_and_publications_name_are_looked_for_in_what_functions_give(place: Path) -> None:
    write(place, "csv")
    problems, _ = checked(place, MODEL)
    for what, nearest in (("'zoneo' in its split", "zone"), ("'boro' in gate parity", "borough"), ("'zon' in group_by=", "zone"),
                          ("'xx' in the fields=", None)):  # fmt: skip
        assert any(what in one and (nearest is None or f"Did you mean '{nearest}'?" in one) for one in problems), what
    sound = MODEL.replace("zoneo", "zone").replace('"boro"', '"borough"').replace('"zon"', '"zone"').replace('"xx"', '"x"')
    problems, _ = checked(place, sound)
    assert any("'faer' of 'ready' is described" in one and "Did you mean 'fare'?" in one for one in problems)
    assert any("names 'zne' in key=" in one for one in problems)
    whole = sound.replace("faer", "fare").replace("zne", "zone")
    assert checked(place, whole)[0] == []
    model = re.findall(r"product.model\(\s*\"(\w+)\"", whole)[0]
    (sentence,) = checked(place, f'{whole}\nproduct.monitor("{model}", name="m", columns=["farre"])\n')[0]
    assert sentence.startswith("Monitor 'm' names 'farre', which ")
    assert "Did you mean 'fare" in sentence


KNOWN = """
product.source("rows", cd.files("rows.csv"), event_time="at", schema=cd.schema(at="timestamp", told="timestamp", zone="string", x="double"))

@product.table(event_time="at", known={{"x": "{known}"}})
def events(rows):
    return rows.drop("_file")

@product.features(entity="zone", as_of="at")
def before(events):
    return cd.lag(events, "x", "{lag}", by="zone", order="at").drop("x", "told")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("known", "lag", "what"),
    [
        ("2 days", "47 hours", "see the future"),
        ("told within 2 days", "1 day", "see the future"),
        ("told", "90 days", 'known={"x": "told within 3 hours"}'),
        ("tld within 2 days", "1 day", "Did you mean 'told'?"),
        ("2 days", "2 days", None),
        ("told within 2 days", "2 days", None),
    ],
)
def test_when_a_column_is_known_is_held_against_every_lag(known: str, lag: str, what: str | None, place: Path) -> None:
    problems, _ = checked(place, KNOWN.format(known=known, lag=lag))
    assert problems == [] if what is None else what in problems[0]


@pytest.mark.slow
def test_only_what_is_unchanged_and_without_fault_is_not_analysed_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place, "csv")
    analysed: list[str] = []
    real = analyse.analyse
    monkeypatch.setattr(analyse, "analyse", lambda *given: analysed.append("") or real(*given))
    faulty = UNDECLARED.replace('"zon"', '"zone"')
    sound = faulty.replace('"fair"', '"fare"')
    (place / "near.py").write_text("LEAST = 2\n")
    sound += "\nimport near\n@product.table\ndef more(clean):\n    return clean.where(F.col('fare') > near.LEAST)\n"

    def times(text: str, *, clean: bool) -> int:
        analysed.clear()
        assert (checked(place, text)[0] == []) is clean
        return len(analysed)

    assert [times(faulty, clean=False) for _ in range(2)] == [1, 1]
    assert [times(sound, clean=True) for _ in range(2)] == [1, 0]
    assert times(sound.replace("fare > 2", "fare > 3"), clean=True) == 1
    (place / "rows.csv").write_text("zone,fare\na,1.5\n")
    assert [times(sound, clean=True) for _ in range(2)] == [1, 0]


HELD_OUT = """
product.source("rows", cd.files("rows.csv"), event_time="at", schema=cd.schema(at="timestamp", zone="string", fare="double"))
product.source("zones", cd.files("zones.csv"), schema=cd.schema(name="string", number="long"))

@product.table
def surveyed(rows):
    return rows.select("at", "zone", F.col("fare").alias("fares"))

@product.features(entity="zone", as_of="at", labels=["fare"], expect=[{expect}.warn()])
def ready(rows):
    return rows.select("at", "zone", "fare", F.length("zone").alias("x"), (F.col("zone") == "a").alias("is_test"), F.lit("no").alias("no"))

product.model("m", features=ready, label="fare", candidates={{"l": LinearRegression()}}, split=cd.temporal(test="1 day"), holdout=cd.holdout({holdout}))
"""


@pytest.mark.parametrize(
    ("holdout", "expect", "what", "nearest"),
    [
        ('flag="is_tes"', 'ex.positive("fare")', "names 'is_tes' in its holdout", "is_test"),
        ('flag="no"', 'ex.positive("fare")', "flags the rows of its holdout by 'no', which is a string", None),
        ('table="surveyed"', 'ex.positive("fare")', "which has no column 'fare' of features 'ready'", "fares"),
        ('flag="is_test"', 'ex.refers_to("zone", "zones", "nam")', "'zones' has no column 'nam'", "name"),
        ('flag="is_test"', 'ex.refers_to("zone", "zones", "number")', "'zone' is a string, 'number' of 'zones' a bigint", None),
        ('flag="is_test"', 'ex.between("zone", 1, 2)', "zone", None),
        ('flag="is_test"', 'ex.refers_to("zone", "zones", "name")', None, None),
    ],
)
def test_holdouts_and_expectations_bind_to_the_columns_that_functions_give(
    holdout: str, expect: str, what: str | None, nearest: str | None, place: Path
) -> None:
    problems, _ = checked(place, HELD_OUT.format(holdout=holdout, expect=expect))
    if what is None:
        assert problems == []
        return
    assert what in problems[0]
    assert nearest is None or f"Did you mean '{nearest}'?" in problems[0]


FITTED = """
product.source("rows", cd.files("rows.csv"), event_time="at", schema=cd.schema(at="timestamp", zone="string", fare="double"))

@product.table(event_time="at")
def scaled(rows):
    mean = {fit}
    return rows.withColumn("z", F.col("fare") - F.coalesce(F.lit(mean), F.lit(0.0)))

@product.features(entity="zone", labels=["fare"])
def ready(scaled):
    return scaled.select("zone", "fare", "z")

product.model("m", features=ready, label="fare", candidates={{"l": LinearRegression()}}, split=cd.hashed(){holdout})
"""


@pytest.mark.parametrize(
    ("fit", "holdout", "refused"),
    [
        ('cd.fitted("mean", lambda: rows.agg(F.avg("fare")).first()[0])', ', holdout=cd.holdout(flag="z")', True),
        ('cd.fitted("mean", lambda: rows.agg(F.avg("fare")).first()[0])', "", False),
        ("1.0", ', holdout=cd.holdout(table="scaled")', False),
    ],
)
def test_no_fit_sees_rows_that_are_held_out(fit: str, holdout: str, refused: bool, place: Path) -> None:
    for _ in range(2):  # the second time from what was kept
        problems, _ = checked(place, FITTED.format(fit=fit, holdout=holdout))
        what = "cd.fitted 'mean' of table 'scaled' is fitted to all rows, the held-out ones among them"
        assert any(what in one for one in problems) is refused
