"""Sums that do not depend on the order, against exact fractions: doubles of every magnitude, longs of every size."""

from __future__ import annotations

import math
import random
import statistics
import struct
from fractions import Fraction

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, LongType

import caudal as cd
from caudal.spark import exact
from caudal.spark.exact import every_magnitude, exact_mean, exact_sum, in_any_magnitude, pieces, sorted_std

KIND = DoubleType()


def usual(draw: random.Random) -> float:
    """Return a number of a magnitude that data of this world have: 1e-30 to 1e19."""
    return draw.choice((-1, 1)) * draw.random() * 10.0 ** draw.uniform(-30, 19)


def of_any_bits(draw: random.Random) -> float:
    """Return any finite double, subnormal ones and nought included."""
    number = math.nan
    while not math.isfinite(number):
        (number,) = struct.unpack("<d", draw.getrandbits(64).to_bytes(8, "little"))
    return number


DRAWS = {
    "everyday": lambda draw: draw.gauss(15, 20),
    "small": lambda draw: draw.uniform(-1e-9, 1e-10),
    "tiny": lambda draw: draw.choice((-3, 1, 2.5)) * 10.0 ** -draw.randint(15, 25),
    "usual": usual,
    "any": of_any_bits,
    "subnormal": lambda draw: draw.choice((-1, 1)) * draw.randint(0, 99) * 5e-324,
    "huge": lambda draw: draw.uniform(-1, 1) * 1e305,
    "cancel": lambda draw: draw.choice((1e300, -1e300, 1.0, 1e-300, 1e16, -1e16)),
    "zeros": lambda draw: draw.choice((0.0, -0.0)),
}


def numbers(what: str, seed: int) -> list[float]:
    draw = random.Random(f"{what}{seed}")
    return [DRAWS[what](draw) for _ in range(1 + seed * 5)]


GROUPS = {f"{what}{seed}": numbers(what, seed) for what in DRAWS for seed in range(10)}
USUAL = ("everyday", "small", "tiny", "usual", "zeros")
GREATEST = 1.7976931348623157e308
EDGES = {
    "inf": ([math.inf, 1.0], math.inf), "nan": ([math.nan, 1.0], math.nan), "both": ([math.inf, -math.inf], math.nan), "none": ([None], None),
    "over": ([1.7e308] * 2, math.inf), "under": ([-1.7e308] * 2, -math.inf), "back": ([1.7e308, 1.7e308, -1.7e308], 1.7e308),
    "greatest": ([GREATEST], GREATEST), "least": ([5e-324], 5e-324), "many": ([2.0**51] * 8192, 2.0**64), "gone": ([1e300, 1e-300, -1e300], 1e-300),
}  # fmt: skip


def orders(spark, groups):
    """Return rows of some groups twice, in two orders and spread over tasks by chance."""
    rows = [(order, name, value) for order in (1, 2) for name, values in groups.items() for value in values]
    return spark.createDataFrame(random.Random(1).sample(rows, len(rows)), "order int, what string, x double").repartition(5)


def by_order(rows):
    return [{row["what"]: row for row in rows if row["order"] == order} for order in (1, 2)]


@pytest.fixture(scope="module")
def every(spark):
    """Sums of the same numbers in two orders, by group."""
    with every_magnitude():
        frame = orders(spark, GROUPS | {name: values for name, (values, _) in EDGES.items()})
        rows = frame.groupBy("order", "what").agg(exact_sum(F.col("x"), KIND).column().alias("sum")).collect()
    return [{name: row["sum"] for name, row in some.items()} for some in by_order(rows)]


@pytest.fixture(scope="module")
def some(spark):
    """Sums, means and deviations of numbers of usual magnitudes in two orders, by group, of a plan that adds no others."""
    frame, x = orders(spark, {name: values for name, values in GROUPS.items() if name.startswith(USUAL)}), F.col("x")
    asked = (
        exact_sum(x, KIND).column().alias("sum"),
        exact_mean(x, KIND).column().alias("mean"),
        sorted_std(F.collect_list(x)).alias("std"),
    )
    return by_order(frame.groupBy("order", "what").agg(*asked).collect())


def test_every_order_gives_the_same_bits(every, some):
    assert len(every[0]) == 10 * len(DRAWS) + len(EDGES)
    assert {name: repr(sum_) for name, sum_ in every[0].items()} == {name: repr(sum_) for name, sum_ in every[1].items()}
    assert {name: repr(row[2:]) for name, row in some[0].items()} == {name: repr(row[2:]) for name, row in some[1].items()}


def test_a_plan_of_usual_magnitudes_gives_the_bits_of_one_of_every_magnitude(every, some):
    assert len(some[0]) == 10 * len(USUAL)
    assert {name: repr(row["sum"]) for name, row in some[0].items()} == {name: repr(every[0][name]) for name in some[0]}


def test_the_sum_is_the_exact_one_within_the_bound(every):
    for name, values in GROUPS.items():
        total, exact = every[0][name], sum(map(Fraction, values))
        if abs(exact) > GREATEST:
            assert math.isinf(total), name
            continue
        assert abs(Fraction(total) - exact) <= abs(exact) / 2**52, name
        if Fraction(float(exact)) == exact:
            assert total == float(exact), name


def test_means_and_deviations_are_those_of_the_standard_library(some):
    for name, row in some[0].items():
        exact = sum(map(Fraction, GROUPS[name])) / len(GROUPS[name])
        assert row["mean"] == pytest.approx(float(exact), rel=1e-15, abs=0), name
        if name.startswith(("everyday", "small")) and len(GROUPS[name]) > 1:
            assert row["std"] == pytest.approx(statistics.stdev(GROUPS[name]), rel=1e-12), name


@pytest.mark.parametrize("name", EDGES)
def test_at_the_edges_of_doubles_it_is_as_ieee_754_says(every, name):
    total, wanted = every[0][name], EDGES[name][1]
    assert repr(total) == repr(wanted)


def test_what_is_small_is_not_nought(spark):
    frame = spark.createDataFrame([(3e-19,), (5e-19,)], "x double")
    assert tuple(frame.agg(exact_sum(F.col("x"), KIND).column(), exact_mean(F.col("x"), KIND).column()).first()) == (8e-19, 4e-19)


def test_unusual_magnitudes_stop_a_plan_that_does_not_add_them_and_the_work_is_done_again(spark):
    frame = spark.createDataFrame([(1e-300,), (2e-300,)], "x double")
    with pytest.raises(PySparkException, match="CAUDAL_UNUSUAL_MAGNITUDE"):
        frame.agg(exact_sum(F.col("x"), KIND).column()).collect()
    plans, between = [], []

    def work():
        plans.append(len(pieces(F.col("x"), KIND)))
        if len(plans) == 1:
            frame.agg(exact_sum(F.col("x"), KIND).column()).collect()
        return "done"

    assert in_any_magnitude(work, lambda: between.append(1)) == "done"
    assert (plans, between) == ([7, 66], [1])


LARGE = 1_704_067_200_000_000_000


def test_the_mean_of_large_longs_is_right_and_their_sum_an_error_that_names_it(spark):
    rows = [("ns", LARGE + at) for at in range(8)] + [
        ("edge", (1 << 63) - 1),
        ("edge", 1 - (1 << 63)),
        ("least", -(1 << 63)),
        ("one", -7),
    ]
    frame = spark.createDataFrame(rows, "what string, x long")
    x, kind = F.col("x"), LongType()
    means = dict(map(tuple, frame.groupBy("what").agg(exact_mean(x, kind).column()).collect()))
    assert means == {"ns": float(Fraction(8 * LARGE + 28, 8)), "edge": 0.0, "least": -float(1 << 63), "one": -7.0}
    few = frame.where("what <> 'ns'").groupBy("what").agg(exact_sum(x, kind, "sum of 'x'").column())
    assert dict(map(tuple, few.collect())) == {"edge": 0, "least": -(1 << 63), "one": -7}
    with pytest.raises(PySparkException, match="The sum of 'x' is beyond 2\\^63"):
        frame.groupBy("what").agg(exact_sum(x, kind, "sum of 'x'").column()).collect()


def test_a_plan_holds_each_part_of_a_sum_once(spark):
    # A value uses its parts many times: as one expression, a plan of a single sum had 18,000 nodes.
    rows = spark.createDataFrame([("k", 1.0)], "k string, x double").withColumn("at", F.lit("2024-01-01").cast("timestamp_ntz"))
    tumbled = cd.tumble(rows, "1 hour", by=["k"], time="at").agg(x=("sum", "x"))
    rolled = cd.rolling(rows, "x", "1 hour", "sum", by=["k"], order="at")
    sums, frames = (
        frame._jdf.queryExecution().analyzed().toJSON().count(f'expressions.{kind}"')
        for frame, kind in ((tumbled, "aggregate.Sum"), (rolled, "WindowExpression"))
    )
    digits = len(exact.USUAL)
    assert sums == digits + 1  # what is neither finite is a part, too
    assert frames == 2 * (digits + 1)  # up to the window's end and before its start; the count of values is a part
