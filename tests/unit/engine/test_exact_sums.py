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
from caudal.engine.exact import addends, common_magnitudes, exact_mean, exact_sum, in_any_magnitude, sorted_std

pytestmark = pytest.mark.usefixtures("compiled")
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
    frame = orders(spark, GROUPS | {name: values for name, (values, _) in EDGES.items()})
    rows = exact_sum("x", KIND).of(frame, ["order", "what"], "sum").collect()
    return [{name: row["sum"] for name, row in some.items()} for some in by_order(rows)]


@pytest.fixture(scope="module")
def some(spark):
    """Sums, means and deviations of numbers of usual magnitudes in two orders, by group."""
    frame = orders(spark, {name: values for name, values in GROUPS.items() if name.startswith(USUAL)})
    by = ["order", "what"]
    sums, means = exact_sum("x", KIND).of(frame, by, "sum"), exact_mean("x", KIND).of(frame, by, "mean")
    deviations = frame.groupBy(by).agg(sorted_std(F.collect_list("x")).alias("std"))
    return by_order(sums.join(means, by).join(deviations, by).collect())


@pytest.mark.slow
def test_every_order_gives_the_same_bits(every, some):
    assert len(every[0]) == 10 * len(DRAWS) + len(EDGES)
    assert {name: repr(sum_) for name, sum_ in every[0].items()} == {name: repr(sum_) for name, sum_ in every[1].items()}
    assert {name: repr(row[2:]) for name, row in some[0].items()} == {name: repr(row[2:]) for name, row in some[1].items()}


@pytest.mark.slow
def test_a_plan_of_common_magnitudes_gives_the_bits_of_one_of_every_magnitude(spark):
    draw = random.Random(7)
    groups = {
        "everyday": [draw.gauss(15, 20) for _ in range(400)],
        "cents": [round(draw.uniform(-1e9, 1e9), 2) for _ in range(400)],
        "cancel": [sign * value for value in (draw.uniform(1e14, 4e15) for _ in range(50)) for sign in (1, -1)] + [0.3],
        "differences": [0.1 + 0.2 - 0.3, 1 / 3 - 0.33, -(2.0**-60), 2.0**-60, 2.0**-59],
        "large": [4.5e15] * 3000, "zeros": [0.0, -0.0], "none": [None], "edge": [math.inf, 1.0], "nan": [math.nan, 0.1],
        "halves": [2.0**-29, 2.0**3, -(2.0**3), 2.0**35, 2.0**35 - 2.0**-17],
    }  # fmt: skip
    frame = orders(spark, groups)

    def figures():
        return [figure("x", KIND).of(frame, ["what"], "figure").orderBy("what").collect() for figure in (exact_sum, exact_mean)]

    exact = figures()
    with common_magnitudes():
        common = figures()
    assert repr(common) == repr(exact)
    assert {row["what"]: row["figure"] for row in common[0]}["cancel"] == 2 * 0.3  # the frame holds each number twice


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
    assert [figure("x", KIND).of(frame, [], "figure").first()[0] for figure in (exact_sum, exact_mean)] == [8e-19, 4e-19]


@pytest.mark.parametrize("values", [(1e-300, 2e-300), (1e-6, 2e-6), (5e15, 1e16), (1e200, 2e200)])
def test_other_magnitudes_stop_a_plan_of_common_ones_and_the_work_is_done_again(spark, values):
    frame, sums, between = spark.createDataFrame([(value,) for value in values], "x double"), [], []

    def work():
        sums.append(None)
        sums[-1] = exact_sum("x", KIND).of(frame, [], "sum").first()[0]
        return sums[-1]

    assert in_any_magnitude(work, lambda: between.append(1)) == math.fsum(values)
    assert (sums, between) == ([None, math.fsum(values)], [1])


def test_a_stop_is_known_in_whatever_error_it_is_told(spark):
    frame = spark.createDataFrame([(1e-300,)], "x double")

    def work():
        try:
            return exact_sum("x", KIND).of(frame, [], "sum").first()[0]
        except PySparkException:
            raise ValueError("the function of 'totals' failed")  # noqa: B904  as users write it

    assert in_any_magnitude(work) == 1e-300


def test_digits_that_overflow_are_added_again_by_a_plan_of_every_magnitude(spark):
    frame = spark.range(100_000).selectExpr("4503599627370495.5D as x")  # 2^52 - 0.5
    assert in_any_magnitude(lambda: exact_sum("x", KIND).of(frame, [], "sum").first()[0]) == 100_000 * (2.0**52 - 0.5)


def test_work_that_is_known_is_not_tried_twice_with_a_plan_that_stops(spark):
    frame, plans = spark.createDataFrame([(1e-7,)], "x double"), []

    def work():
        plans.append(len(addends("x", KIND).digits))
        return exact_sum("x", KIND).of(frame, [], "sum").first()[0]

    known = object()
    assert [in_any_magnitude(work, name=known) for _ in range(3)] == [1e-7] * 3
    assert plans == [3, 7, 7, 7]


LARGE = 1_704_067_200_000_000_000


def test_the_mean_of_large_longs_is_right_and_their_sum_an_error_that_names_it(spark):
    rows = [("ns", LARGE + at) for at in range(8)] + [
        ("edge", (1 << 63) - 1),
        ("edge", 1 - (1 << 63)),
        ("least", -(1 << 63)),
        ("one", -7),
    ]
    frame = spark.createDataFrame(rows, "what string, x long")
    x, kind = "x", LongType()
    means = dict(map(tuple, exact_mean(x, kind).of(frame, ["what"], "mean").collect()))
    assert means == {"ns": float(Fraction(8 * LARGE + 28, 8)), "edge": 0.0, "least": -float(1 << 63), "one": -7.0}
    few = exact_sum(x, kind, "sum of 'x'").of(frame.where("what <> 'ns'"), ["what"], "sum")
    assert dict(map(tuple, few.collect())) == {"edge": 0, "least": -(1 << 63), "one": -7}
    with pytest.raises(PySparkException, match="The sum of 'x' is beyond 2\\^63"):
        exact_sum(x, kind, "sum of 'x'").of(frame, ["what"], "sum").collect()


def test_a_plan_holds_each_part_of_a_sum_once(spark):
    # A value uses its parts many times: as one expression, a sum by windows was a plan of 18,000 nodes.
    rows = spark.createDataFrame([("k", 1.0)], "k string, x double").withColumn("at", F.lit("2024-01-01").cast("timestamp_ntz"))
    tumbled = cd.tumble(rows, "1 hour", by=["k"], time="at").agg(x=("sum", "x"))
    rolled = cd.rolling(rows, "x", "1 hour", "sum", by=["k"], order="at")
    plans = [frame._jdf.queryExecution().analyzed().toJSON() for frame in (tumbled, rolled)]
    digits = len(addends("x", KIND).digits)
    assert plans[0].count('aggregate.Sum"') == digits
    assert plans[1].count('aggregate.Sum"') == 2 * digits  # up to the window's end, and before its start
