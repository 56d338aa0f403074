"""What every kind of expectation keeps. Kinds are found by registration: a new one needs its lines under ``EXAMPLES`` and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.engines import as_auto_computes

from caudal import expect as ex
from caudal.declarations.expectation import Expectation
from caudal.errors import DeclarationProblem
from caudal.graph.fingerprint import describe
from caudal.stages.enforce import expectation_kinds
from caudal.stages.enforce.declared import TableExpectation
from caudal.stages.enforce.judging import JudgingOutcome, judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOW = 1_672_567_200.0  # 2023-01-01 10:00 UTC


@dataclass(frozen=True)
class Example:
    """A declaration, rows that keep it, rows that break it, and how many of these do."""

    made: Callable[[], Any]
    columns: str
    good: list[tuple[Any, ...]]
    bad: list[tuple[Any, ...]]
    broken: int
    name: str
    others: dict[str, tuple[str, list[tuple[Any, ...]]]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


def version(mean: float) -> dict[str, Any]:
    return {"rows": 2, "columns": {"x": {"nulls": 0, "min": mean, "max": mean, "mean": mean, "stddev": 0.0}}}


EXAMPLES = {
    "between": Example(lambda: ex.between("x", 0, 5), "x double", [(0.0,), (5.0,), (None,)], [(-0.1,), (5.1,), (float("nan"),), (1.0,)], 3, "between(x, 0, 5)"),
    "distribution": Example(
        lambda: ex.distribution("x", within=0.2), "x double", [(9.0,), (11.0,)], [(20.0,), (30.0,)], 1, "distribution(x, within=0.2)",
        history=[version(10.0), version(10.5)],
    ),
    "freshness": Example(
        lambda: ex.freshness("t", "2 hours"), "t string", [("2023-01-01 08:00:00",), ("2022-01-01 00:00:00",)], [("2023-01-01 07:59:59",)], 1, "freshness(t, 2 hours)",
    ),
    "matches": Example(lambda: ex.matches("s", "[ab]+"), "s string", [("a",), ("ba",), (None,)], [("ac",), ("a\n",), ("",), ("b",)], 3, "matches(s, [ab]+)"),
    "monotone": Example(
        lambda: ex.monotone("x", over="i", by="k"), "k string, i int, x double", [("a", 1, 1.0), ("a", 2, 1.0), ("b", 1, 0.0), ("a", 3, 2.0)],
        [("a", 1, 1.0), ("a", 2, 9.0), ("a", 3, 2.0), ("a", 4, 3.0), ("b", 1, 0.0)], 2, "monotone(x, i, by=k)",
    ),
    "not_null": Example(lambda: ex.not_null("x"), "x double", [(1.0,), (float("nan"),)], [(None,), (1.0,)], 1, "not_null(x)"),
    "one_of": Example(lambda: ex.one_of("s", "a", "b"), "s string", [("a",), ("b",), (None,)], [("A",), ("",), ("a",)], 2, "one_of(s, a, b)"),
    "positive": Example(lambda: ex.positive("x"), "x double", [(0.1,), (None,)], [(0.0,), (-1.0,), (1.0,), (float("nan"),)], 3, "positive(x)"),
    "refers_to": Example(
        lambda: ex.refers_to("k", "zones", "zone"), "k long", [(1,), (2,), (None,), (1,)], [(3,), (1,)], 1, "refers_to(k, zones, zone)",
        others={"zones": ("zone long", [(1,), (2,), (2,), (None,)])},
    ),
    "row_count": Example(lambda: ex.row_count(2, 3), "x int", [(1,), (2,)], [(1,)], 1, "row_count(2, 3)"),
    "sql": Example(
        lambda: ex.sql("x >= 0 or s = 'refund'"), "x double, s string", [(1.0, "a"), (-1.0, "refund"), (-1.0, None)], [(-1.0, "a"), (2.0, "a")], 1,
        "sql(x >= 0 or s = 'refund')",
    ),
    "unique": Example(
        lambda: ex.unique("k", "l"), "k int, l int, x int", [(1, 1, 0), (1, 2, 0), (None, 1, 0), (None, 1, 0)], [(1, 1, 5), (1, 1, 4), (1, 1, 4), (2, 1, 0)], 2,
        "unique(k, l)",
    ),
}  # fmt: skip

every = pytest.mark.parametrize("kind", expectation_kinds())


def frame_of(spark: SparkSession, columns: str, rows: list[tuple[Any, ...]]) -> DataFrame:
    frame = spark.createDataFrame(rows, columns)
    return frame.withColumn("t", frame.t.cast("timestamp_ntz")) if columns.startswith("t ") else frame


def judged(spark: SparkSession, example: Example, one: Expectation, rows: list[tuple[Any, ...]], folder: Path) -> JudgingOutcome:
    others = {name: spark.createDataFrame(content, columns) for name, (columns, content) in example.others.items()}
    result = judge(frame_of(spark, example.columns, rows), [one], others=others, table="examples")
    result.write(folder / "written", prepare=as_auto_computes)
    return result.outcome(folder / "written", example.history, NOW)


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(expectation_kinds())


@every
def test_it_is_told_in_full(kind: str) -> None:
    made, one = getattr(ex, kind), EXAMPLES[kind].made()
    assert kind in dir(ex)
    assert isinstance(one, expectation_kinds()[kind])
    document = type(one).__doc__ or ""
    assert "Parameters\n" in document
    assert all(name in document for name in one.parameters() if name not in ("action", "max_share"))
    assert ">>>" in made.__doc__
    assert made.__doc__.startswith("Return the expectation that ")


@every
def test_its_name_and_parameters_are_stable_and_plain(kind: str) -> None:
    one = EXAMPLES[kind].made()
    assert one.name == EXAMPLES[kind].name == EXAMPLES[kind].made().warn().name
    assert json.loads(json.dumps(one.parameters())) == json.loads(json.dumps(describe(one.parameters())))
    assert one.parameters() != one.warn().parameters()
    assert one.action == "stop"


@every
def test_it_names_columns_and_tables_of_its_example(kind: str) -> None:
    example = EXAMPLES[kind]
    given = {column.split()[0] for column in example.columns.split(", ")}
    assert set(example.made().columns) <= given
    assert bool(example.made().columns) or kind == "row_count"
    assert set(example.made().tables) == set(example.others)


@pytest.mark.slow
@every
def test_it_passes_what_is_good(kind: str, each_session: SparkSession, tmp_path: Path) -> None:
    example = EXAMPLES[kind]
    outcome = judged(each_session, example, example.made(), example.good, tmp_path)
    assert outcome.checks[0].passed, outcome.checks[0].message
    assert (outcome.rows, outcome.good, outcome.quarantined, outcome.stop) == (len(example.good), len(example.good), 0, None)


@every
def test_it_warns(kind: str, each_session: SparkSession, tmp_path: Path) -> None:
    example = EXAMPLES[kind]
    outcome = judged(each_session, example, example.made().warn(), example.bad, tmp_path)
    [check] = outcome.checks
    assert (check.passed, check.broken, check.action) == (False, example.broken, "warn")
    assert (outcome.good, outcome.quarantined, outcome.stop) == (len(example.bad), 0, None)


@every
def test_it_quarantines_or_says_why_not(kind: str, each_session: SparkSession, tmp_path: Path) -> None:
    example = EXAMPLES[kind]
    if isinstance(example.made(), TableExpectation):
        with pytest.raises(DeclarationProblem, match=r"no rows to quarantine\. Use \.warn\(\) or \.stop\(\)"):
            example.made().quarantine()
        return
    outcome = judged(each_session, example, example.made().quarantine(), example.bad, tmp_path)
    assert (outcome.good, outcome.quarantined) == (len(example.bad) - example.broken, example.broken)
    assert outcome.reasons == {example.name: example.broken}
    assert outcome.stop is None
    rows = each_session.read.parquet(str(tmp_path / "written" / "_verdict=quarantined")).collect()
    given = [column.split()[0] for column in example.columns.split(", ")]
    assert all(row["_reasons"] == [example.name] and list(json.loads(row["_raw"])) == given for row in rows)


@every
def test_it_stops(kind: str, each_session: SparkSession, tmp_path: Path) -> None:
    example = EXAMPLES[kind]
    outcome = judged(each_session, example, example.made().stop(), example.bad, tmp_path)
    assert outcome.stop is not None
    assert outcome.stop.facts["expectation"] == example.name
    assert outcome.stop.facts["broken"] == example.broken
    assert "Table 'examples' breaks" in str(outcome.stop)
