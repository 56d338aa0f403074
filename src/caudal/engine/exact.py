"""Sums whose bits do not depend on the order in which Spark adds, accurate relative to the sum.

Adding doubles in another order gives another last digit, so a rerun after a kill, another number of cores or another day's
increment would publish rows that differ from those of an undisturbed run. Therefore a double is split into whole numbers, its digits
to the base 2^32 (Kulisch's long accumulator; Neal 2015, "Fast exact summation using small and large superaccumulators",
arXiv:1505.05571). They are added as longs, which is exact and has no order, and put together at the end.

There are two kinds of plan, and both give the same bits for the same values:

- A plan for **every magnitude** adds seven digits, which represent values between 2^-104 (4.9e-32) and 2^67 (1.5e20); values beyond are
  collected, and split into as many digits as they need at the end.
- A plan for **common magnitudes** adds three digits: multiples of 2^-60 below 2^52, so every double between 2^-8 (0.004) and 4.5e15, and many
  smaller ones. It is a third as large, and fails at a value that it has no digit for. `in_any_magnitude` runs a piece of work with
  such plans, and again with plans for every magnitude if they fail.

The result is within 2^-52 of the exact sum, relative to that sum, and equal to it where a double can hold it; a sum beyond the greatest
double is infinite, as in IEEE 754. A digit holds the sum of 2^31 values; more are an error of Spark.

Expressions are SQL texts: Spark parses a long text in a millisecond, and takes a second for as many calls from Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

Result = TypeVar("Result")

BITS = 32
LEAST, LARGEST = 2.0**-104, 2.0**67  # magnitudes whose bits all fit into the seven digits
COMMON_LARGEST = 2.0**52  # above it, the first of three digits could hold the sum of only a few values
UNUSUAL = "CAUDAL_UNUSUAL_MAGNITUDE"

_EVERY = range(-1084, 997, BITS)  # exponents of the digits of all doubles
_USUAL = range(-156, 37, BITS)
_COMMON = range(-60, 5, BITS)
_SPAN = 86  # a double that is this many bits greater than a unit has no digit for it
_HALF, _MASK, _BASE = f"{1 << (BITS - 1)}L", f"{(1 << BITS) - 1}L", f"{1 << BITS}D"
_INFINITE, _NEGATIVE = "double('Infinity')", "double('-Infinity')"
_ARE_COMMON: ContextVar[bool] = ContextVar("magnitudes are common", default=False)
_uncommon: set[object] = set()  # names of work whose values had uncommon magnitudes in this process


@contextmanager
def common_magnitudes() -> Iterator[None]:
    """Let plans that are made within the block add only doubles of common magnitudes, and fail at others."""
    token = _ARE_COMMON.set(True)
    try:
        yield
    finally:
        _ARE_COMMON.reset(token)


def in_any_magnitude(work: Callable[[], Result], again: Callable[[], object] = lambda: None, *, name: object = None) -> Result:
    """Run work that makes and runs a plan for common magnitudes; if it fails at a value, run it again with a plan for all.

    Parameters
    ----------
    again : called before the second attempt
    name : identifies the work: in this process a plan that failed is not tried again; None identifies nothing
    """
    if name not in _uncommon:
        try:
            with common_magnitudes():
                return work()
        except Exception as error:
            if not has_stopped(error):
                raise
        if name is not None:
            _uncommon.add(name)
        again()
    return work()


def has_stopped(error: BaseException | None) -> bool:
    """Return whether an error says that a plan for common magnitudes met another one, so that `in_any_magnitude` runs the work again."""
    while error is not None:
        # An overflow may be one of a digit; a user's own overflow recurs.
        if UNUSUAL in str(error) or "ARITHMETIC_OVERFLOW" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def are_common() -> bool:
    """Return whether plans that are made now add only doubles of common magnitudes."""
    return _ARE_COMMON.get()


def is_floating(kind: DataType) -> bool:
    """Return whether sums of the type depend on the order."""
    from pyspark.sql.types import DoubleType, FloatType

    return isinstance(kind, DoubleType | FloatType)


@dataclass(frozen=True)
class Addends:
    """A value as numbers whose sum does not depend on the order.

    digits : SQL texts of longs (of decimals for a decimal); for a double they are null if it is not finite
    rest : SQL text of a double if the digits cannot represent the value, else null; None if they always can
    """

    digits: Sequence[str]
    rest: str | None = None


def addends(value: str, kind: DataType) -> Addends:
    """Return a value (SQL text) as addends: digits for a finite double, two halves for a long, itself for the others."""
    from pyspark.sql.types import DecimalType, DoubleType, LongType

    if isinstance(kind, DecimalType):
        return Addends([value])
    if isinstance(kind, LongType):
        return Addends([f"shiftright({value}, {BITS})", f"({value} & {_MASK})"])
    if not is_floating(kind):
        return Addends([f"cast({value} as bigint)"])
    value = value if isinstance(kind, DoubleType) else f"cast({value} as double)"
    return _common(value) if _ARE_COMMON.get() else _usual(value)


def _common(value: str) -> Addends:
    """Return the three digits of a double of common magnitude; the least one makes the plan fail at any other."""
    least, *others = (_digit(value, exponent, exponent == _COMMON[-1]) for exponent in _COMMON)
    units = f"{value} * {2.0 ** -_COMMON[0]!r}D"
    stop = (
        f"raise_error('{UNUSUAL}: values that are no multiple of 2^-60 below 2^52 are added by another plan: caudal.engine.exact.')"
    )
    guarded = (
        f"CASE WHEN abs({value}) >= {_INFINITE} THEN NULL "
        f"WHEN abs({value}) >= {COMMON_LARGEST!r}D OR {units} <> rint({units}) THEN cast({stop} as bigint) ELSE {least} END"
    )
    return Addends([guarded, *(f"CASE WHEN abs({value}) < {COMMON_LARGEST!r}D THEN {digit} END" for digit in others)])


def _usual(value: str) -> Addends:
    """Return the seven digits of a double, and the double itself if it needs other digits."""
    size = f"abs({value})"
    has_digits = f"{size} < {LARGEST!r}D AND ({size} >= {LEAST!r}D OR {value} = 0D)"
    inside = f"(CASE WHEN {has_digits} THEN {value} END)"
    rest = f"CASE WHEN {size} < {_INFINITE} AND NOT ({has_digits}) THEN {value} END"
    return Addends([_digit(inside, exponent, exponent == _USUAL[-1]) for exponent in _USUAL], rest)


def _digit(value: str, exponent: int, last: bool) -> str:
    """Return the digit of 2^exponent: the rest of a value, rounded to that unit, after rounding to the next greater unit."""
    units = f"rint({value} * {2.0**-exponent!r}D)"
    return (
        f"cast({units} as bigint)"
        if last
        else f"cast({units} - rint({value} * {2.0 ** -(exponent + BITS)!r}D) * {_BASE} as bigint)"
    )


def total(sums: Sequence[str], rest: str | None, kind: DataType, asking: str = "sum") -> str:
    """Return the sum whose addends add up to ``sums`` (SQL texts): a double for doubles, a bigint for integers, a decimal for
    decimals.

    Parameters
    ----------
    rest : SQL text of an array of the `Addends.rest` values; None if that is None
    asking : the call that an error names if the sum exceeds a bigint
    """
    if len(sums) == 1:
        return sums[0]
    if is_floating(kind):
        return _carried(sums) if rest is None else _folded(sums, rest)
    high, low = _halves(sums)
    too_large = f"The {asking} is beyond 2^63 (9.2e18) and no bigint. Cast the column to decimal(38, 0), or to double, before."
    return f"CASE WHEN {high} IS NULL OR {_is_long(high)} THEN {_long(high, low)} ELSE cast(raise_error({sql_literal(too_large)}) as bigint) END"


def mean(sums: Sequence[str], rest: str | None, kind: DataType, count: str) -> str:
    """Return the mean (double) of ``count`` values whose addends add up to ``sums``; it is right even if the sum of longs exceeds a
    bigint."""
    if len(sums) == 1 or is_floating(kind):
        return f"(cast({total(sums, rest, kind)} as double) / {count})"
    high, low = _halves(sums)
    sum_ = f"(CASE WHEN {_is_long(high)} THEN cast({_long(high, low)} as double) ELSE cast({high} as double) * {_BASE} + cast({low} as double) END)"
    return f"({sum_} / {count})"


def sql_literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _halves(sums: Sequence[str]) -> tuple[str, str]:
    """Return the two halves of a sum of longs, the lower one from 0 to 2^32."""
    high, low = sums
    return f"({high} + shiftright({low}, {BITS}))", f"({low} & {_MASK})"


def _is_long(high: str) -> str:
    return f"({high} >= -{_HALF} AND {high} < {_HALF})"


def _long(high: str, low: str) -> str:
    return f"(shiftleft({high}, {BITS}) | {low})"


def _carried(sums: Sequence[str]) -> str:
    """Return the value of sums of the three digits: the overflow of each digit is carried, then digits are added from the least on.

    Digits after carrying are within ±2^31, so that an addend never cancels more than half of the digit before it.
    """
    parts, sum_ = [], sums[0]
    for place, exponent in enumerate(_COMMON):
        parts.append(f"((({sum_} + {_HALF}) & {_MASK}) - {_HALF}) * {2.0**exponent!r}D")
        carry = f"shiftright({sum_} + {_HALF}, {BITS})"
        sum_ = f"({sums[place + 1]} + {carry})" if place + 1 < len(sums) else carry
    return "(" + " + ".join([*parts, f"{sum_} * {2.0 ** (_COMMON[-1] + BITS)!r}D"]) + ")"


def _folded(sums: Sequence[str], rest: str) -> str:
    """Return the value of sums of the seven digits and of the values beyond: the same carrying, over seven digits or over all."""
    seven = f"array({', '.join(f'coalesce({sum_}, 0L)' for sum_ in sums)})"
    return f"(CASE WHEN {sums[0]} IS NULL AND size({rest}) = 0 THEN NULL WHEN size({rest}) = 0 THEN {_fold(seven, _USUAL)} ELSE {_fold(_every(seven, rest), _EVERY)} END)"


def _every(seven: str, rest: str) -> str:
    """Return the sums of all digits: those of the seven, and of each value in ``rest``."""
    first = _EVERY.index(_USUAL[0]) + 1  # places in an array begin at 1
    exponent = f"({_EVERY[0]} + {BITS} * place)"

    def units(exponent: str) -> str:  # 2^1084 exceeds a double
        return f"value * power(2D, shiftright(-{exponent}, 1)) * power(2D, -{exponent} - shiftright(-{exponent}, 1))"

    digit = f"cast(rint({units(exponent)}) - rint({units(f'({exponent} + {BITS})')}) * {_BASE} as bigint)"
    of_rest = f"aggregate({rest}, 0L, (sum, value) -> sum + CASE WHEN abs(value) < power(2D, {exponent} + {_SPAN}) THEN {digit} ELSE 0L END)"
    of_seven = (
        f"coalesce(try_element_at({seven}, CASE WHEN place + 1 >= {first} THEN place + 2 - {first} ELSE {len(_USUAL) + 1} END), 0L)"
    )
    return f"transform(sequence(0, {len(_EVERY) - 1}), place -> {of_rest} + {of_seven})"


def _fold(digits: str, exponents: range) -> str:
    """Return the value of sums of digits, in order from the least."""
    last = exponents[-1] == _EVERY[-1]
    start = f"named_struct('carried', 0L, 'number', 0D, 'exponent', {exponents[0]})"
    sum_, low = "(digit + done.carried)", f"((((digit + done.carried) + {_HALF}) & {_MASK}) - {_HALF})"
    # 2^-1084 is below any double; every product is exact.
    number = f"done.number + {low} * power(2D, least(done.exponent + 1074, 0)) * power(2D, greatest(done.exponent, -1074))"
    carried = f"shiftright({sum_} + {_HALF}, {BITS})"
    if last:
        # The last digit alone may exceed 2^1024, while the sum so far brings it back below.
        top = f"(done.number * {2.0**-BITS!r}D + {sum_} * {2.0 ** (exponents[-1] - BITS)!r}D) * {_BASE}"
        is_top = f"done.exponent = {exponents[-1]}"
        number = f"CASE WHEN {is_top} AND {sum_} <> 0 THEN {top} ELSE {number} END"
        carried = f"CASE WHEN {is_top} THEN 0L ELSE {carried} END"
    step = f"named_struct('carried', {carried}, 'number', {number}, 'exponent', done.exponent + {BITS})"
    end = "done.number" if last else f"done.number + done.carried * {2.0 ** (exponents[-1] + BITS)!r}D"
    return f"aggregate({digits}, {start}, (done, digit) -> {step}, done -> {end})"


@dataclass(frozen=True)
class Aggregate:
    """An aggregate in two steps: the parts that Spark adds up for each group, and the value computed from them.

    Parts become columns before the value is computed: the value uses each of them many times, and the plan would repeat them.

    Parameters
    ----------
    parts : aggregate expressions
    value : computes the aggregate's value from the names (SQL texts) of the parts' columns
    """

    parts: Sequence[Column]
    value: Callable[[Sequence[str]], Column]

    def of(self, frame: DataFrame, by: Sequence[str], name: str) -> DataFrame:
        """Return the aggregate of each group of a frame, in a column of that name."""
        from pyspark.sql import functions as F

        names = [f"__{place}" for place in range(len(self.parts))]
        grouped = frame.groupBy(*by).agg(*(part.alias(place) for part, place in zip(self.parts, names, strict=True)))
        return grouped.select(*(F.col(key) for key in by), self.value(names).alias(name))


def exact_sum(value: str, kind: DataType, asking: str = "sum") -> Aggregate:
    """Return the sum of a column (SQL text), with the same bits in every order; NaN and infinity follow IEEE 754.

    A sum of whole numbers that exceeds a bigint is a Spark error that names ``asking``.
    """
    return _made_of(_sums(value, kind), lambda parts: _sum(parts, kind, asking))


def exact_mean(value: str, kind: DataType) -> Aggregate:
    """Return the mean (double) of a column, with the same bits in every order; it is right even if the sum of longs exceeds a
    bigint."""

    def of(parts: Sequence[str]) -> str:
        count = f"nullif({parts[0]}, 0)"
        return f"{_sum(parts[1:], kind, 'sum')} / {count}" if is_floating(kind) else mean(parts[1:], None, kind, count)

    return _made_of([f"count({value})", *_sums(value, kind)], of)


def _made_of(parts: Sequence[str], value: Callable[[Sequence[str]], str]) -> Aggregate:
    from pyspark.sql import functions as F

    return Aggregate([F.expr(part) for part in parts], lambda names: F.expr(value(names)))


def _sums(value: str, kind: DataType) -> list[str]:
    """Return the aggregates to add up: for doubles which values are not finite, the digits, and values beyond the digits; else the
    addends."""
    parts = addends(value, kind)
    digits = [f"sum({digit})" for digit in parts.digits]
    if not is_floating(kind):
        return digits
    rest = [] if parts.rest is None else [f"collect_list({parts.rest})"]
    signs = f"CASE WHEN {value} = {_INFINITE} THEN 1 WHEN {value} = {_NEGATIVE} THEN 2 WHEN abs({value}) >= {_INFINITE} THEN 3 END"
    return [f"bit_or({signs})", *digits, *rest]


def _sum(parts: Sequence[str], kind: DataType, asking: str) -> str:
    """Return the sum computed from the aggregates of `_sums`."""
    if not is_floating(kind):
        return total(parts, None, kind, asking)
    signs, *digits = parts
    rest = None if len(digits) == len(_COMMON) else digits.pop()
    # Infinity, its negative, or what infinities of both signs and NaN add up to.
    not_finite = f"WHEN {signs} = 1 THEN {_INFINITE} WHEN {signs} = 2 THEN {_NEGATIVE} WHEN {signs} = 3 THEN double('NaN')"
    return f"CASE {not_finite} ELSE {total(digits, rest, kind, asking)} END"


def sorted_std(values: Column) -> Column:
    """Return the sample standard deviation (n − 1) of an array of doubles, added in order of size; null below two values.

    Welford's recurrence (1962, "Note on a Method for Calculating Corrected Sums of Squares and Products", Technometrics 4):
    stable where the mean is large against the spread, and one pass.
    """
    from pyspark.sql import functions as F

    def add_value(so_far: Column, value: Column) -> Column:
        count = so_far["count"] + 1
        deviation = value - so_far["mean"]
        mean = so_far["mean"] + deviation / count
        return F.struct(count.alias("count"), mean.alias("mean"), (so_far["squares"] + deviation * (value - mean)).alias("squares"))

    start = F.struct(F.lit(0.0).alias("count"), F.lit(0.0).alias("mean"), F.lit(0.0).alias("squares"))
    return F.aggregate(
        F.array_sort(values), start, add_value, lambda end: F.when(end["count"] > 1, F.sqrt(end["squares"] / (end["count"] - 1)))
    )


def finite(value: str, kind: DataType) -> str:
    """Return a column (SQL text) for running sums: NaN and infinity are missing, a boolean is 0 or 1."""
    from pyspark.sql.types import BooleanType

    if isinstance(kind, BooleanType):
        return f"cast({value} as int)"
    return f"CASE WHEN abs({value}) < {_INFINITE} THEN {value} END" if is_floating(kind) else value
