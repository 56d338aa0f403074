"""Sums that come out the same to the bit, whatever the order in which Spark adds, and right relative to what is added.

Adding doubles in another order gives another last digit, so a rerun after a kill, another number of cores or another day's
increment would publish rows that differ from those of an undisturbed run. A double is therefore split into whole numbers, its digits
to the base 2^32 (Kulisch's long accumulator; Neal 2015, "Fast exact summation using small and large superaccumulators",
arXiv:1505.05571). They are added as longs, which is exact and has no order, and put together at the end.

Digits for magnitudes between 2^-104 (4.9e-32) and 2^67 (1.5e20) are added always; 59 more cover every double, from the least subnormal to the
greatest, and cost five times as much. So a plan adds the usual digits alone, and stops where a value has others (`UNUSUAL`); `every_magnitude` makes
plans that add all, and `in_any_magnitude` does a piece of work again so. Both give the same bits for the same values. The result is within 2^-52
of the exact sum, relative to that sum, and equal to it where a double can hold it; a sum beyond the greatest double is infinite, as
in IEEE 754. A digit holds the sum of 2^31 values; more are an error of Spark.

On 1 million rows in 100,000 groups the sum takes as long as with the three digits of before, which cut at 2^-60.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

Result = TypeVar("Result")

BITS = 32
BASE = float(1 << BITS)
USUAL = tuple(range(-156, 37, BITS))  # exponents of the digits that are always added
RARE = (*range(-1084, USUAL[0], BITS), *range(USUAL[-1] + BITS, 997, BITS))
LEAST, LARGEST = 2.0**-104, 2.0**67  # magnitudes whose every bit is in the usual digits
_SPAN = 86  # a double that is so many bits greater than a unit has no digit of it
UNUSUAL = "CAUDAL_UNUSUAL_MAGNITUDE"
_EVERY: ContextVar[bool] = ContextVar("every magnitude", default=False)


@contextmanager
def every_magnitude() -> Iterator[None]:
    """Have plans that are made within the block add doubles of every magnitude."""
    token = _EVERY.set(True)
    try:
        yield
    finally:
        _EVERY.reset(token)


def in_any_magnitude(work: Callable[[], Result], again: Callable[[], object] = lambda: None) -> Result:
    """Do what makes and runs a plan; where values are of unusual magnitude, do it again with a plan that adds every magnitude.

    Parameters
    ----------
    again : called before the second time
    """
    try:
        return work()
    except Exception as error:
        if _EVERY.get() or not _is_unusual(error):
            raise
    again()
    with every_magnitude():
        return work()


def _is_unusual(error: BaseException | None) -> bool:
    while error is not None:
        if UNUSUAL in str(error):
            return True
        error = error.__cause__
    return False


def is_floating(kind: DataType) -> bool:
    """Tell whether sums of the type depend on the order."""
    from pyspark.sql.types import DoubleType, FloatType

    return isinstance(kind, DoubleType | FloatType)


def pieces(value: Column, kind: DataType) -> list[Column]:
    """Return a value as addends whose sums have no order: digits for a finite double, two halves for a long, itself for the others.

    The digits of a double are null where it has none of that magnitude.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import DecimalType, LongType

    if isinstance(kind, DecimalType):
        return [value]
    if isinstance(kind, LongType):
        return [F.shiftright(value, BITS), value.bitwiseAND(F.lit((1 << BITS) - 1))]
    if not is_floating(kind):
        return [value.cast("bigint")]
    value = value.cast("double")
    size = F.abs(value)
    is_rare = ((size < LEAST) & (value != 0)) | (size >= LARGEST)
    if not _EVERY.get():
        said = f"{UNUSUAL}: values below {LEAST:.1e} or from {LARGEST:.1e} on are added by a plan of its own: caudal.spark.exact.every_magnitude."
        usual = F.when(is_rare, F.raise_error(F.lit(said)).cast("double")).otherwise(value)
        return [_digit(usual, exponent) for exponent in USUAL]
    rare, inside = F.when(is_rare, value), F.when(size < 2.0 ** (USUAL[-1] + _SPAN), value)
    return [_digit(inside, exponent) for exponent in USUAL] + [
        _digit(F.when(_between(F.abs(rare), exponent), rare), exponent) for exponent in RARE
    ]


def _between(size: Column, exponent: int) -> Column:
    """Tell whether a value of a size can have a digit of that exponent other than nought."""

    end = 2.0 ** (exponent + _SPAN) if exponent + _SPAN < 1024 else float("inf")
    return (size >= 2.0 ** max(exponent - 1, -1074)) & (size < end)


def _digit(value: Column, exponent: int) -> Column:
    """Return the digit of 2^exponent: what is left of a value rounded to that unit, when it has been rounded to the next greater one."""
    from pyspark.sql import functions as F

    def units(of: int) -> Column:
        # 2^-of is no double where ``of`` is below -1023; every product is exact.
        return value * F.lit(2.0**600) * F.lit(2.0 ** (-of - 600)) if of < -1000 else value * F.lit(2.0**-of)

    return (F.rint(units(exponent)) - F.rint(units(exponent + BITS)) * F.lit(BASE)).cast("bigint")


def total(sums: Sequence[Column], kind: DataType, asking: str = "sum") -> Column:
    """Return the sum whose pieces add up to ``sums``: a double for doubles, a bigint for whole numbers, a decimal for decimals.

    A sum that is no bigint is an error of Spark that names ``asking``.
    """
    from pyspark.sql import functions as F

    if len(sums) == 1:
        return sums[0]
    if is_floating(kind):
        return _double(sums)
    high, low = _halves(sums)
    return F.when(high.isNull() | _is_long(high), _long(high, low)).otherwise(_too_large(asking))


def mean(sums: Sequence[Column], kind: DataType, count: Column) -> Column:
    """Return the mean (double) of ``count`` values whose pieces add up to ``sums``; it is right where the sum of longs is no bigint."""
    from pyspark.sql import functions as F

    if len(sums) == 1 or is_floating(kind):
        return total(sums, kind).cast("double") / count.cast("double")
    high, low = _halves(sums)
    sum_ = F.when(_is_long(high), _long(high, low).cast("double")).otherwise(high.cast("double") * F.lit(BASE) + low.cast("double"))
    return sum_ / count.cast("double")


def _halves(sums: Sequence[Column]) -> tuple[Column, Column]:
    """Return the two halves of a sum of longs, the lower one from 0 to 2^32."""
    from pyspark.sql import functions as F

    high, low = sums
    return high + F.shiftright(low, BITS), low.bitwiseAND(F.lit((1 << BITS) - 1))


def _is_long(high: Column) -> Column:
    return (high >= -(1 << (BITS - 1))) & (high < 1 << (BITS - 1))


def _long(high: Column, low: Column) -> Column:
    from pyspark.sql import functions as F

    return F.shiftleft(high, BITS).bitwiseOR(low)


def _double(sums: Sequence[Column]) -> Column:
    """Return the double whose digits add up to ``sums``."""
    from pyspark.sql import functions as F

    nought = F.lit(0).cast("bigint")
    digits = [F.coalesce(digit, nought) for digit in sums]
    usual, rare = digits[: len(USUAL)], digits[len(USUAL) :]
    if not rare:
        return _of_usual(usual)
    every = sorted(zip((*USUAL, *RARE), digits, strict=True), key=lambda pair: pair[0])
    is_usual = F.forall(F.array(*rare), lambda digit: digit == 0)
    return F.when(is_usual, _of_usual(usual)).otherwise(_of_all(every))


def _of_usual(sums: Sequence[Column]) -> Column:
    """Return the value of sums of the usual digits: what is beyond a digit is carried, then digits are added from the least on.

    Digits after carrying lie in ±2^31, so that what is added never cancels more than half of the digit before it.
    """
    from pyspark.sql import functions as F

    number, rest = F.lit(0.0), sums[0]
    for exponent, more in zip(USUAL[:-1], sums[1:], strict=True):
        carried = F.shiftright(rest + F.lit(1 << (BITS - 1)), BITS)
        number = number + (rest - F.shiftleft(carried, BITS)).cast("double") * F.lit(2.0**exponent)
        rest = more + carried
    return number + rest.cast("double") * F.lit(2.0 ** USUAL[-1])


def _of_all(digits: Sequence[tuple[int, Column]]) -> Column:
    """Return the value of sums of all digits, the least first."""
    from pyspark.sql import functions as F

    last = digits[-1][0]
    nought = F.lit(0).cast("bigint")
    line = F.array(
        *(
            F.struct(
                sum_.alias("sum"), F.lit(2.0 ** max(exponent, -1074)).alias("unit"),
                F.lit(2.0 ** min(exponent + 1074, 0)).alias("shift"), F.lit(exponent == last).alias("last"),
            )
            for exponent, sum_ in digits
        )
    )  # fmt: skip

    def add(so_far: Column, digit: Column) -> Column:
        sum_ = digit["sum"] + so_far["carried"]
        carried = F.when(digit["last"], nought).otherwise(F.shiftright(sum_ + F.lit(1 << (BITS - 1)), BITS))
        number = so_far["number"] + (sum_ - F.shiftleft(carried, BITS)).cast("double") * digit["shift"] * digit["unit"]
        # What was added so far may bring back below 2^1024 what the last digit alone would be beyond.
        top = (so_far["number"] * F.lit(2.0**-BITS) + sum_.cast("double") * F.lit(2.0 ** (last - BITS))) * F.lit(BASE)
        return F.struct(carried.alias("carried"), F.when(digit["last"] & (sum_ != 0), top).otherwise(number).alias("number"))

    return F.aggregate(line, F.struct(nought.alias("carried"), F.lit(0.0).alias("number")), add, lambda end: end["number"])


@dataclass(frozen=True)
class Aggregate:
    """An aggregate in two steps: what Spark adds up for each group, and the value that is made of it.

    Parts that are columns of their own before the value is made keep plans small: each is used many times in the value.

    Parameters
    ----------
    parts : aggregate expressions
    value : makes the aggregate's value of the parts, or of columns that hold them
    """

    parts: Sequence[Column]
    value: Callable[[Sequence[Column]], Column]

    def column(self) -> Column:
        """Return the aggregate as one expression."""
        return self.value(self.parts)


def exact_sum(value: Column, kind: DataType, asking: str = "sum") -> Aggregate:
    """Return the aggregate sum of a column, the same to the bit in every order; of NaN and infinity it is what IEEE 754 says.

    A sum of whole numbers that is no bigint is an error of Spark that names ``asking``.
    """
    from pyspark.sql import functions as F

    if not is_floating(kind):
        return Aggregate([F.sum(piece) for piece in pieces(value, kind)], lambda sums: total(sums, kind, asking))
    value = value.cast("double")
    endless = F.isnan(value) | (F.abs(value) == float("inf"))
    sums = [F.sum(piece) for piece in pieces(F.when(~endless, value), kind)]

    def of(parts: Sequence[Column]) -> Column:
        return F.coalesce(parts[0], F.when(parts[1] > 0, total(parts[2:], kind)))

    return Aggregate([F.sum(F.when(endless, value)), F.count(value), *sums], of)


def _too_large(asking: str) -> Column:
    from pyspark.sql import functions as F

    said = f"The {asking} is beyond 2^63 (9.2e18) and no bigint. Cast the column to decimal(38, 0), or to double, before."
    return F.raise_error(F.lit(said)).cast("bigint")


def exact_mean(value: Column, kind: DataType) -> Aggregate:
    """Return the aggregate mean (double) of a column, the same to the bit in every order; it is right where the sum of longs is no bigint."""
    from pyspark.sql import functions as F

    count = F.count(value)
    if is_floating(kind):
        sum_ = exact_sum(value, kind)
        return Aggregate([count, *sum_.parts], lambda parts: F.when(parts[0] > 0, sum_.value(parts[1:]) / parts[0].cast("double")))
    sums = [F.sum(piece) for piece in pieces(value, kind)]
    return Aggregate([count, *sums], lambda parts: F.when(parts[0] > 0, mean(parts[1:], kind, parts[0])))


def sorted_std(values: Column) -> Column:
    """Return the sample standard deviation (n − 1) of an array of doubles, added in order of size; null below two values.

    Welford's recurrence (1962, "Note on a Method for Calculating Corrected Sums of Squares and Products", Technometrics 4):
    stable where the mean is large against the spread, and one pass.
    """
    from pyspark.sql import functions as F

    def one_more(so_far: Column, value: Column) -> Column:
        count = so_far["count"] + 1
        off = value - so_far["mean"]
        mean = so_far["mean"] + off / count
        return F.struct(count.alias("count"), mean.alias("mean"), (so_far["squares"] + off * (value - mean)).alias("squares"))

    start = F.struct(F.lit(0.0).alias("count"), F.lit(0.0).alias("mean"), F.lit(0.0).alias("squares"))
    return F.aggregate(
        F.array_sort(values), start, one_more, lambda end: F.when(end["count"] > 1, F.sqrt(end["squares"] / (end["count"] - 1)))
    )


def finite(value: Column, kind: DataType) -> Column:
    """Return a column as it goes into running sums: NaN and infinity are missing."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import BooleanType

    if isinstance(kind, BooleanType):
        return value.cast("int")
    if not is_floating(kind):
        return value
    value = value.cast("double")
    missing = F.isnan(value) | (F.abs(value) == float("inf"))
    return F.when(~missing, value)
