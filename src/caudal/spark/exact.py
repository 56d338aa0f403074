"""Sums that come out the same to the bit, whatever the order in which Spark adds.

Adding doubles in another order gives another last digit, so a rerun after a kill, another number of cores or another day's
increment would publish rows that differ from those of an undisturbed run. A double is therefore split into three whole numbers
(its floor, and twice 30 bits after the point), those are added as longs, which is exact and has no order, and put together at the
end. Doubles of magnitude 2^-8 and above keep every bit; smaller ones are taken to a multiple of 2^-60 (8.7e-19).

On 5 million rows in 750,000 groups this took 3.9 s where Spark's plain sum took 4.1–5.1 s, decimal(38,9) 11.5 s, and sorting each
group first 12.8 s (two cores, last of three runs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

BITS = 30
UNIT = 1 << BITS
LARGEST = float(1 << 52)  # above it a double has no bits after the point to spare, and longs would overflow soon


def is_floating(kind: DataType) -> bool:
    """Tell whether sums of the type depend on the order."""
    from pyspark.sql.types import DoubleType, FloatType

    return isinstance(kind, DoubleType | FloatType)


def pieces(value: Column, kind: DataType) -> list[Column]:
    """Return a value as addends whose sums have no order: three longs for a double, one long or decimal for the others."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import DecimalType

    if isinstance(kind, DecimalType):
        return [value]
    if not is_floating(kind):
        return [value.cast("bigint")]
    value = value.cast("double")
    whole = F.floor(value)
    rest = (value - whole) * float(UNIT)
    return [whole, F.floor(rest), F.floor((rest - F.floor(rest)) * float(UNIT))]


def total(sums: Sequence[Column]) -> Column:
    """Return the value whose pieces add up to ``sums``: a double for three pieces, the sum itself for one."""
    from pyspark.sql import functions as F

    if len(sums) == 1:
        return sums[0]
    whole, middle, low = sums
    middle = middle + F.shiftright(low, BITS)
    whole = whole + F.shiftright(middle, BITS)
    behind_point = F.shiftleft(middle.bitwiseAND(UNIT - 1), BITS).bitwiseOR(low.bitwiseAND(UNIT - 1))
    return whole.cast("double") + behind_point.cast("double") / F.lit(float(UNIT) * float(UNIT))


def exact_sum(value: Column, kind: DataType) -> Column:
    """Return the aggregate sum of a column, the same to the bit in every order.

    Groups with NaN, infinity or magnitudes of 2^52 and more are added the ordinary way.
    """
    from pyspark.sql import functions as F

    if not is_floating(kind):
        return F.sum(value if kind.typeName() == "decimal" else value.cast("bigint"))
    sums = [F.try_sum(piece) for piece in pieces(value, kind)]  # an overflow is null, not an error
    fits = (F.max(F.abs(value)) < LARGEST) & sums[0].isNotNull()
    return F.when(fits, total(sums)).otherwise(F.sum(value.cast("double")))


def exact_mean(value: Column, kind: DataType) -> Column:
    """Return the aggregate mean (double) of a column, the same to the bit in every order."""
    from pyspark.sql import functions as F

    count = F.count(value)
    return F.when(count > 0, exact_sum(value, kind).cast("double") / count.cast("double"))


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


def finite(value: Column, kind: DataType, asking: str) -> Column:
    """Return a column as it goes into running sums: NaN and infinity are missing; what is too large to add is an error of Spark."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import BooleanType

    if isinstance(kind, BooleanType):
        return value.cast("int")
    if not is_floating(kind):
        return value
    value = value.cast("double")
    missing = F.isnan(value) | (F.abs(value) == float("inf"))
    too_large = F.raise_error(F.lit(f"{asking}: values of 2^52 (4.5e15) and more cannot be added exactly; rescale the column."))
    return F.when(missing, F.lit(None)).when(F.abs(value) >= LARGEST, too_large.cast("double")).otherwise(value)
