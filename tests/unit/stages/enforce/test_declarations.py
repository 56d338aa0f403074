"""What is refused before anything is computed, and where."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from caudal import expect as ex
from caudal.declarations.expectation import Expectation
from caudal.declarations.location import Location
from caudal.errors import DeclarationProblem
from caudal.stages.enforce.declared import Figures
from caudal.stages.enforce.judging import judge

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: ex.between("x", 5, 0), r"5 is above 0, so no value fits\. Write between\('x', 0, 5\)"),
        (lambda: ex.between("x"), "has no bound"),
        (lambda: ex.between("x", 1, "2023-01-01"), "of different kinds"),
        (lambda: ex.matches("s", "(a"), "is no regular expression: missing"),
        (lambda: ex.matches("s", "(?P<a>b)"), r"Write a named group as \(\?<name>"),
        (lambda: ex.one_of("s"), "allows no value"),
        (lambda: ex.one_of("s", "a", None), "Null is always let through"),
        (lambda: ex.unique(), "names no column"),
        (lambda: ex.row_count(), "has no bound"),
        (lambda: ex.row_count(5, 1), "5 is above 1"),
        (lambda: ex.freshness("t", "2 hrs"), "is not a duration"),
        (lambda: ex.distribution("x", figure="means"), "Did you mean 'mean'"),
        (lambda: ex.distribution("x", within=0.1, z=2), "needs one bound"),
        (lambda: ex.sql("x >").columns, "cannot be read"),
        (lambda: ex.sql("x > (SELECT max(y) FROM t)").columns, "holds a query"),
        (lambda: ex.sql("max(x) > 1").columns, "holds an aggregate"),
        (lambda: ex.row_count(1).quarantine(), "no rows to quarantine"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(made: Callable[[], object], said: str) -> None:
    with pytest.raises(DeclarationProblem, match=said):
        made()


@pytest.mark.parametrize("pattern", [r"\p{L}+", r"(?<year>\d{4})", r"a++", r"[a-z&&[^m]]", r"\h*x\R?", r"\p{javaLowerCase}"])
def test_patterns_that_only_java_knows_are_let_through(pattern: str, spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a",)], "s string")
    assert judge(frame, [ex.matches("s", pattern)]).frame.count() == 1


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (ex.not_null("fare"), r"'trips' has no column 'fare'\. Did you mean 'fares'\?.*\[product\.py:12\]"),
        (ex.unique("id", "Zone"), "Did you mean 'zone'"),
        (ex.sql("fares > 0 and zne = 'a'"), "has no column 'zne'. Did you mean 'zone'"),
        (ex.refers_to("id", "zone", "id"), "there is no table 'zone'. Did you mean 'zones'"),
        (ex.refers_to("id", "zones", "ids"), "'zones' has no column 'ids'. Did you mean 'id'"),
        (ex.refers_to("zone", "zones", "id"), "'zone' is a string, 'id' of 'zones' a bigint"),
        (ex.between("zone", 0, 5), "0 is a number, but 'zone' is a string"),
        (ex.between("at", "soon"), "'soon' is no time"),
        (ex.between("fares", "a", "b"), "'a' is text"),
        (ex.positive("zone"), "no number"),
        (ex.matches("fares", "a"), "no text"),
        (ex.one_of("fares", "a"), "never a double"),
        (ex.freshness("fares", "1 day"), "no time"),
        (ex.distribution("zone"), 'Use figure="null_share"'),
        (ex.unique("things"), "cannot be compared"),
    ],
)
def test_what_binds_to_nothing_is_refused_with_place_and_nearest(one: Expectation, said: str, spark: SparkSession) -> None:
    from dataclasses import replace

    frame = spark.range(1).selectExpr(
        "id", "'a' AS zone", "1.5D AS fares", "timestamp_ntz'2023-01-01' AS at", "map(1, 2) AS things"
    )
    with pytest.raises(DeclarationProblem, match=said):
        judge(frame, [replace(one, where=Location("product.py", 12))], others={"zones": spark.range(2)}, table="trips")


def test_sql_names_its_columns_once_and_the_outer_one_of_a_field() -> None:
    assert ex.sql("`a b`.c > 1 OR lower(d) = 'x' AND D > 2 AND d IS NOT NULL").columns == ("a b", "d", "D")


def test_there_is_no_other_expectation() -> None:
    with pytest.raises(AttributeError, match="Did you mean 'unique'"):
        ex.uniqe  # noqa: B018


def test_declaring_starts_no_engine() -> None:
    code = (
        "import sys; from caudal import expect as ex; [getattr(ex, one) for one in dir(ex)]; ex.between('x', 0, 1); ex.sql('a > 1');"
        "print([one for one in ('pyspark', 'sklearn', 'pandas', 'numpy', 'pyarrow', 'sqlglot') if one in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def of_mean(*means: float | None) -> list[dict[str, Any]]:
    return [{"rows": 4, "columns": {"x": {"nulls": 1, "mean": mean}}} for mean in means]


@pytest.mark.parametrize(
    ("one", "mean", "history", "fault"),
    [
        (ex.distribution("x"), 5.0, [], None),  # the first version passes
        (ex.distribution("x"), 12.0, of_mean(10.0), None),
        (ex.distribution("x"), 12.1, of_mean(10.0), "mean is 12.1; 10 ± 2 expected after 1 earlier version"),
        (ex.distribution("x"), -12.1, of_mean(-10.0), "mean is -12.1; -10 ± 2 expected after 1 earlier version"),
        (ex.distribution("x", last=1), 12.0, of_mean(100.0, 10.0), None),
        (ex.distribution("x"), None, of_mean(10.0), None),
        (ex.distribution("x", z=2), 50.0, of_mean(10.0, 12.0), None),  # two versions have no spread worth the name
        (ex.distribution("x", z=2), 15.0, of_mean(10.0, 12.0, 14.0), None),
        (ex.distribution("x", z=2), 16.1, of_mean(10.0, 12.0, 14.0), "mean is 16.1; 12 ± 4 expected after 3 earlier versions"),
        (ex.distribution("x", z=2), 12.0, of_mean(12.0, 12.0, 12.0), None),
    ],
)
def test_a_figure_is_compared_with_its_mean_over_earlier_versions(
    one: Any, mean: float | None, history: list[dict[str, Any]], fault: str | None
) -> None:
    assert one.fault(Figures(rows=4, profile={"x": {"nulls": 1, "mean": mean}}, history=history)) == fault


def test_a_share_of_nulls_is_compared_in_points() -> None:
    one = ex.distribution("x", figure="null_share", within=0.1)
    history = [{"rows": 100, "columns": {"x": {"nulls": 0}}}]
    assert one.fault(Figures(rows=100, profile={"x": {"nulls": 10}}, history=history)) is None
    assert (
        one.fault(Figures(rows=100, profile={"x": {"nulls": 11}}, history=history))
        == "null_share is 0.11; 0 ± 0.1 expected after 1 earlier version"
    )


@pytest.mark.parametrize(
    ("newest", "tz", "fresh"),
    [
        ("2023-07-01T12:00:00", "UTC", True),
        ("2023-07-01T11:59:59", "UTC", False),
        ("2023-07-01T08:00:00", "America/New_York", True),
        ("2023-07-01T07:59:59", "America/New_York", False),
        ("2023-07-01T12:00:00+00:00", "America/New_York", True),
        ("2023-07-01", "UTC", True),  # a date lasts until its end
        ("2023-06-30", "UTC", False),
        (None, "UTC", False),
    ],
)
def test_freshness_is_taken_in_the_products_zone(newest: str | None, tz: str, fresh: bool) -> None:
    two_in_the_afternoon = 1_688_220_000.0  # 2023-07-01 14:00 UTC
    figures = Figures(rows=1, profile={"at": {"max": newest}}, now=two_in_the_afternoon, tz=tz)
    assert (ex.freshness("at", "2 hours").fault(figures) is None) == fresh
