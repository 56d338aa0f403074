"""Sums that do not depend on the order, against exact fractions."""

from __future__ import annotations

import math
import random
import statistics
from fractions import Fraction

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from caudal.spark.exact import exact_mean, exact_sum, sorted_std


def numbers(seed: int, count: int) -> list[float]:
    draw = random.Random(seed)
    kinds = [
        lambda: draw.uniform(-100, 100),
        lambda: draw.uniform(0, 1e-3),
        lambda: draw.uniform(-1e9, 1e9),
        lambda: draw.gauss(0, 1) / 3,
    ]
    return [draw.choice(kinds)() for _ in range(count)]


@pytest.fixture(scope="module")
def cases(spark):
    """Return sums, means and deviations of the same numbers in two orders and partitionings, by seed."""
    rows = [(seed, value) for seed in range(40) for value in numbers(seed, 5 + seed * 7)]
    shuffled = random.Random(1).sample(rows, len(rows))
    kind = DoubleType()
    found = []
    for some, parts in ((rows, 1), (shuffled, 7)):
        frame = spark.createDataFrame(some, "seed int, x double").repartition(parts)
        x = F.col("x")
        made = frame.groupBy("seed").agg(exact_sum(x, kind), exact_mean(x, kind), sorted_std(F.collect_list(x)))
        found.append({row[0]: tuple(row)[1:] for row in made.collect()})
    return found


def test_every_order_gives_the_same_bits(cases):
    assert cases[0] == cases[1]


def test_the_sum_is_the_exact_one_rounded(cases):
    for seed, (total, mean, std) in cases[0].items():
        values = numbers(seed, 5 + seed * 7)
        exact = sum(map(Fraction, values))
        small = sum(Fraction(1, 2**60) for value in values if abs(value) < 2**-8)
        assert abs(Fraction(total) - exact) <= small + Fraction(math.ulp(float(exact))) + Fraction(1, 2**53)
        assert mean == pytest.approx(float(exact / len(values)), rel=1e-14, abs=1e-15)
        assert std == pytest.approx(statistics.stdev(values), rel=1e-12)


def test_what_is_not_finite_or_too_large_is_added_the_ordinary_way(spark):
    rows = [("nan", math.nan), ("nan", 1.0), ("inf", math.inf), ("inf", 1.0), ("large", 1e300), ("large", 2e300), ("none", None)]
    rows += [("many", 2.0**51)] * 8192
    frame = spark.createDataFrame(rows, "what string, x double")
    found = dict(map(tuple, frame.groupBy("what").agg(exact_sum(F.col("x"), DoubleType())).collect()))
    assert math.isnan(found.pop("nan"))
    assert found == {"inf": math.inf, "large": 3e300, "none": None, "many": 2.0**64}
