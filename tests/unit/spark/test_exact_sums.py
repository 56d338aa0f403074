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

from caudal.spark.exact import every_magnitude, exact_mean, exact_sum, in_any_magnitude, sorted_std

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


GROUPS = {f"{what}{seed}": numbers(what, seed) for what in DRAWS for seed in range(14)}


def aggregated(spark, what, parts, order):
    """Return sum, mean and deviation by group of some draws."""
    rows = [(name, value) for name, values in GROUPS.items() if name.rstrip("0123456789") in what for value in values]
    random.Random(order).shuffle(rows)
    frame = spark.createDataFrame(rows, "what string, x double").repartition(parts)
    x = F.col("x")
    asked = frame.groupBy("what").agg(exact_sum(x, KIND), exact_mean(x, KIND), sorted_std(F.collect_list(x)))
    return {row[0]: tuple(row)[1:] for row in asked.collect()}


@pytest.fixture(scope="module")
def every(spark):
    """Sums, means and deviations of the same numbers in two orders and partitionings, by group."""
    with every_magnitude():
        return [aggregated(spark, DRAWS, parts, order) for parts, order in ((1, 1), (5, 2))]


def same_bits(one: dict, other: dict) -> bool:
    return {name: list(map(repr, row)) for name, row in one.items()} == {name: list(map(repr, row)) for name, row in other.items()}


def test_every_order_gives_the_same_bits(every):
    assert same_bits(*every)


def test_a_plan_of_usual_magnitudes_gives_the_bits_of_one_of_every_magnitude(spark, every):
    some = aggregated(spark, ("everyday", "small", "tiny", "usual", "zeros"), 3, 3)
    assert len(some) == 5 * 14
    assert same_bits(some, {name: every[0][name] for name in some})


def test_the_sum_is_the_exact_one_within_the_bound(every):
    for name, (total, mean, _) in every[0].items():
        exact = sum(map(Fraction, GROUPS[name]))
        assert abs(Fraction(total) - exact) <= abs(exact) / 2**52, name
        if Fraction(float(exact)) == exact:
            assert total == float(exact), name
        assert mean == pytest.approx(float(exact / len(GROUPS[name])), rel=1e-15, abs=5e-324), name


def test_deviations_are_those_of_the_standard_library(every):
    for name, (_, _, std) in every[0].items():
        if name.startswith(("everyday", "small")) and len(GROUPS[name]) > 1:
            assert std == pytest.approx(statistics.stdev(GROUPS[name]), rel=1e-12)


def test_what_is_small_is_not_nought(spark):
    frame = spark.createDataFrame([(3e-19,), (5e-19,)], "x double")
    assert tuple(frame.agg(exact_sum(F.col("x"), KIND), exact_mean(F.col("x"), KIND)).first()) == (8e-19, 4e-19)


def test_without_a_number_and_beyond_every_number_it_is_as_ieee_754_says(spark):
    rows = [
        ("nan", math.nan),
        ("nan", 1.0),
        ("inf", math.inf),
        ("inf", 1.0),
        ("both", math.inf),
        ("both", -math.inf),
        ("none", None),
    ]
    rows += [("over", 1.7e308), ("over", 1.7e308), ("back", 1.7e308), ("back", 1.7e308), ("back", -1.7e308)]
    rows += [("greatest", 1.7976931348623157e308), ("under", -1.7e308), ("under", -1.7e308), ("least", 5e-324), ("many", 2.0**51)]
    rows += [("many", 2.0**51)] * 8191
    with every_magnitude():
        frame = spark.createDataFrame(rows, "what string, x double")
        sums = dict(map(tuple, frame.groupBy("what").agg(exact_sum(F.col("x"), KIND)).collect()))
    assert math.isnan(sums.pop("nan"))
    assert math.isnan(sums.pop("both"))
    assert sums == {
        "inf": math.inf, "none": None, "over": math.inf, "back": 1.7e308, "greatest": 1.7976931348623157e308, "under": -math.inf, "least": 5e-324,
        "many": 2.0**64,
    }  # fmt: skip


def test_unusual_magnitudes_stop_a_plan_that_does_not_add_them_and_are_added_by_the_next(spark):
    frame = spark.createDataFrame([(1e-300,), (2e-300,)], "x double")
    with pytest.raises(PySparkException, match="CAUDAL_UNUSUAL_MAGNITUDE"):
        frame.agg(exact_sum(F.col("x"), KIND)).collect()
    times = []
    row = in_any_magnitude(lambda: frame.agg(exact_sum(F.col("x"), KIND)).first(), lambda: times.append(1))
    assert (row[0], times) == (3e-300, [1])


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
    means = dict(map(tuple, frame.groupBy("what").agg(exact_mean(x, kind)).collect()))
    assert means == {"ns": float(Fraction(8 * LARGE + 28, 8)), "edge": 0.0, "least": -float(1 << 63), "one": -7.0}
    few = frame.where("what <> 'ns'").groupBy("what").agg(exact_sum(x, kind, "sum of 'x'"))
    assert dict(map(tuple, few.collect())) == {"edge": 0, "least": -(1 << 63), "one": -7}
    with pytest.raises(PySparkException, match="The sum of 'x' is beyond 2\\^63"):
        frame.groupBy("what").agg(exact_sum(x, kind, "sum of 'x'")).collect()
