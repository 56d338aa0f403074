"""Whether features see the future, found out on made-up rows.

The function is given made-up inputs, then the same inputs as they would be had everything that becomes known after a moment T come
out differently. Rows of features with ``as_of`` up to T may not tell the two apart. Whatever way the future comes in (a lead, a
centred window, a mean over all rows, a join with later rows, an aggregate that is known only when its window ends), it shows.

What it cannot see: a leak that needs values which made-up rows do not have (a certain category, a number past a threshold), or
columns whose ``known`` is not declared. References: the idea is a non-interference test, Goguen & Meseguer 1982, "Security
Policies and Security Models", applied to time; target leakage after Kaufman et al. 2012, "Leakage in Data Mining".
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.declarations.duration import text
from caudal.engine.exact import in_any_magnitude
from caudal.engine.marks import quoted
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.features import invented
from caudal.stages.features.invented import InputShape
from caudal.stages.features.reaches import Reaches, reaches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["InputShape", "Leak", "sees_future"]

Function = Callable[..., Any]
Key = tuple[Any, ...]
Values = dict[Key, list[tuple[Any, ...]]]
Difference = tuple[str, Key, Any, Any]


@dataclass(frozen=True)
class Leak:
    """A feature that changed although nothing known by its ``as_of`` did.

    Parameters
    ----------
    column : str, the feature; ``"*"`` where the row itself comes and goes
    inputs : the inputs whose later rows it saw, each by itself
    example : mapping, key, ``as_of``, and the values before and after
    message, fix : str, one sentence each
    also : the other features that changed
    """

    column: str
    inputs: tuple[str, ...]
    example: Mapping[str, Any]
    message: str
    fix: str
    also: tuple[str, ...] = ()


def sees_future(
    function: Function,
    inputs: Mapping[str, InputShape],
    as_of: str,
    entity: str | Sequence[str],
    ignore: Sequence[str] = (),
    *,
    spark: SparkSession,
    seed: int = 0,
    on_nothing: DataFrame | None = None,
) -> Leak | None:
    """Return how the features see the future, or None. No data is read; a few hundred made-up rows are run three times.

    Parameters
    ----------
    function : the features' function; called with one frame for each of ``inputs``, by name
    inputs : mapping of parameter name to shape
    as_of, entity : time and key columns of the features
    ignore : columns that need not be known at ``as_of``: labels, and what is kept for audit
    on_nothing : DataFrame, what the function gives for frames of no rows, where that is at hand

    Raises
    ------
    DeclarationProblem : the function cannot be run on made-up rows, so that nothing can be told
    """
    key = [entity] if isinstance(entity, str) else list(entity)
    at = invented.moment(list(inputs.values()))
    asked = _reaches(function, inputs, spark, on_nothing)
    made = {name: invented.rows(shape, key, at, _seed(seed, number), asked) for number, (name, shape) in enumerate(inputs.items())}

    def tried(rows: Mapping[str, list[invented.Row]]) -> tuple[list[str], Values]:
        frames = {name: invented.frame(spark, inputs[name], rows[name]) for name in inputs}
        return in_any_magnitude(lambda: _collected(function(**frames), key, as_of, ignore, at), name=function)

    def otherwise(name: str, gone: bool) -> list[invented.Row]:
        return invented.later_otherwise(inputs[name], made[name], key, at, seed, gone=gone)

    with _small(spark):
        columns, base = _held(tried, made)
        differing: dict[str, tuple[Difference, bool]] = {}
        for gone in (True, False):
            try:
                _, other = _held(tried, {name: otherwise(name, gone) for name in inputs})
            except DeclarationProblem:
                if not gone:
                    raise
                continue  # a function that cannot do with nulls or without later rows: the other variant tells
            for difference in _differences(columns, base, other):
                differing.setdefault(difference[0], (difference, gone))
        if not differing:
            return None
        _, again = tried(made)
        unstable = {difference[0] for difference in _differences(columns, base, again)}
        for name in (name for name in (*columns, _ROW) if name in differing):
            if name in unstable:
                return _unstable(name, key, as_of)
        difference, gone = next(differing[name] for name in (*columns, _ROW) if name in differing)
        seen = [
            name for name in inputs if len(inputs) == 1 or _alone(tried, made, otherwise, name, gone, difference[0], columns, base)
        ]
    also = [name for name in columns if name in differing and name != difference[0]]
    return _leak(difference, seen, inputs, key, as_of, at, also)


_ROW = "*"


def _reaches(function: Function, inputs: Mapping[str, InputShape], spark: SparkSession, on_nothing: DataFrame | None) -> Reaches:
    """Return how far the function may look; where it cannot be called on frames of no rows, what its code tells."""
    try:
        if on_nothing is None:
            on_nothing = function(**{name: invented.frame(spark, shape, []) for name, shape in inputs.items()})
        return reaches(function, on_nothing)
    except Exception:  # on made-up rows the same error comes again, and is shown
        return reaches(function, None)


def _held(tried: Callable[..., tuple[list[str], Values]], made: Mapping[str, list[invented.Row]]) -> tuple[list[str], Values]:
    try:
        return tried(made)
    except DeclarationProblem:
        raise
    except Exception as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DeclarationProblem(
            f"Whether the features see the future cannot be told: on made-up rows the function fails with {type(error).__name__}: {said}",
            fix="Let it do with any value of its columns' types (try_cast, coalesce).",
        ) from error


def _alone(tried: Any, made: Any, otherwise: Any, name: str, gone: bool, column: str, columns: Sequence[str], base: Values) -> bool:
    try:
        _, other = tried({**made, name: otherwise(name, gone)})
    except Exception:
        return False
    return any(difference[0] == column for difference in _differences(columns, base, other))


def _collected(result: Any, key: Sequence[str], as_of: str, ignore: Sequence[str], at: dt.datetime) -> tuple[list[str], Values]:
    """Return the features' names and, by key and ``as_of``, the rows up to the moment."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import TimestampType

    for name in (*key, as_of):
        if name not in result.columns:
            raise DeclarationProblem(f"The features have no column '{name}'.", nearest=nearest(name, result.columns), column=name)
    columns = [name for name in result.columns if name not in (*key, as_of, *ignore) and not name.startswith("_")]
    time = F.col(quoted(as_of))
    if isinstance(result.schema[as_of].dataType, TimestampType):
        upto = time <= F.timestamp_micros(F.lit(int(at.replace(tzinfo=dt.UTC).timestamp()) * 1_000_000))
    else:
        upto = time.cast("timestamp_ntz") <= F.lit(at.isoformat(sep=" ")).cast("timestamp_ntz")
    wanted = [*key, as_of, *columns]
    plain = [F.col(quoted(name)).cast("string") if _is_time(result, name) else F.col(quoted(name)) for name in wanted]
    values: Values = {}
    for row in result.where(upto).select(*(column.alias(f"c{number}") for number, column in enumerate(plain))).collect():
        values.setdefault(tuple(row[: len(key) + 1]), []).append(tuple(row[len(key) + 1 :]))
    return columns, {one: sorted(rows, key=repr) for one, rows in values.items()}


def _is_time(frame: DataFrame, name: str) -> bool:
    from pyspark.sql.types import DateType, TimestampNTZType, TimestampType

    return isinstance(frame.schema[name].dataType, DateType | TimestampNTZType | TimestampType)


def _differences(columns: Sequence[str], base: Values, other: Values) -> Iterator[Difference]:
    """Give each feature that differs, with the first key and values; rows that are on one side only come last, as they explain least."""
    both = sorted((name for name in base.keys() & other.keys() if len(base[name]) == len(other[name])), key=repr)
    for place, column in enumerate(columns):
        pairs = ((one, before[place], after[place]) for one in both for before, after in zip(base[one], other[one], strict=True))
        if (pair := next((pair for pair in pairs if not _same(pair[1], pair[2])), None)) is not None:
            yield (column, *pair)
    for name in sorted(base.keys() | other.keys(), key=repr):
        if len(base.get(name, ())) != len(other.get(name, ())):
            yield _ROW, name, len(base.get(name, ())), len(other.get(name, ()))
            return


def _same(before: Any, after: Any) -> bool:
    if _nothing(before) or _nothing(after):
        return _nothing(before) and _nothing(after)
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after, rel_tol=1e-9, abs_tol=1e-9)  # sums of the function's own may come in another order
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return len(before) == len(after) and all(_same(one, two) for one, two in zip(before, after, strict=True))
    return bool(before == after)


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _leak(
    difference: Difference,
    seen: Sequence[str],
    inputs: Mapping[str, InputShape],
    key: Sequence[str],
    as_of: str,
    at: dt.datetime,
    also: Sequence[str],
) -> Leak:
    column, place, before, after = difference
    example = {**dict(zip([*key, as_of], place, strict=True)), "before": before, "after": after}
    where = ", ".join(f"{name}={value}" for name, value in zip([*key, as_of], place, strict=True))
    whose = " and ".join(f"'{name}'" for name in seen) or "several inputs together"
    if column == _ROW:
        said = f"whether there is a row ({where}) depends on what {whose} holds only after {at}."
        fix = "Make rows of what is known at their time: no filter on labels or later rows; build windows in a table before, with fill and keys."
        return Leak(column, tuple(seen), example, said, fix)
    message = f"'{column}' at ({where}) is {before}, but {after} once {whose} differs after {at} only."
    if also:
        message += f" So do {', '.join(repr(name) for name in also[:8])}{f' and {len(also) - 8} more' if len(also) > 8 else ''}."
    return Leak(column, tuple(seen), example, message, _fix(column, inputs), tuple(also))


def _fix(column: str, inputs: Mapping[str, InputShape]) -> str:
    late = "; if it is there to be learned, declare it among labels=[…]."
    for name, shape in inputs.items():
        known = shape.known_at.get(column)
        if known is not None:
            when = f"at '{known.column}'" if known.column else f"{text(known.within_s or 0)} after its row"
            return (
                f"'{column}' of '{name}' is known {when} only: take an earlier one with cd.lag, cd.rolling or cd.past_mean, drop it, or "
                f'declare it among labels=["{column}"].'
            )
    for name, shape in inputs.items():
        unbounded = [one for one, known in shape.known_at.items() if known.column and known.within_s is None and not shape.step_s]
        if unbounded:
            told = shape.known_at[unbounded[0]].column
            return (
                f"Look back by what was known (cd.past_mean with known=, cd.as_of_join by '{told}'), or, where '{told}' of '{name}' is never "
                f'later than a certain time, say so: known={{"{unbounded[0]}": "{told} within 3 hours"}}' + late
            )
    return "Look back with cd.lag, cd.rolling, cd.past_mean or cd.as_of_join" + late


def _unstable(column: str, key: Sequence[str], as_of: str) -> Leak:
    what = "the rows themselves are" if column == _ROW else f"'{column}' is"
    said = f"whether they do cannot be told, since {what} different each time on the same inputs."
    fix = f"Take out what is random, or orders rows by less than {', '.join([*key, as_of])}."
    return Leak(column, (), {}, said, fix)


def _seed(seed: int, number: int) -> int:
    return seed * 1_000 + number


@contextmanager
def _small(spark: SparkSession) -> Iterator[None]:
    """Set Spark up for a few hundred rows while the block runs: two partitions, no new plan after each stage, no Java compiled for a plan that runs once."""
    wanted = {
        "spark.sql.shuffle.partitions": "2", "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
    }  # fmt: skip
    before = {name: str(spark.conf.get(name)) for name in wanted}
    try:
        for name, value in wanted.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)
