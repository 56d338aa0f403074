"""Test on made-up rows whether features see the future.

The function is run on made-up inputs, then on the same inputs with everything changed that becomes known after a moment T. Rows of
features with ``as_of`` up to T must be the same in both runs. In whatever way the future enters (a lead, a centred window, a mean
over all rows, a join with later rows, an aggregate that is known only when its window ends), the rows then differ.

The test cannot detect a leak that needs values which made-up rows do not have (a certain category, a number past a threshold), or
columns whose ``known`` is not declared. References: the idea is a non-interference test, Goguen & Meseguer 1982, "Security
Policies and Security Models", applied to time; target leakage after Kaufman et al. 2012, "Leakage in Data Mining".
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampNTZType, TimestampType

from caudal.declarations.duration import text
from caudal.engine.exact import in_any_magnitude
from caudal.engine.marks import quoted
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.features import made_up_rows
from caudal.stages.features.made_up_rows import InputShape
from caudal.stages.features.reaches import Reaches, reaches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["InputShape", "Leak", "sees_future"]

Function = Callable[..., "DataFrame"]
Key = tuple[object, ...]
Values = dict[Key, list[tuple[object, ...]]]
RunOn = Callable[[Mapping[str, "list[made_up_rows.Row]"]], tuple[list[str], Values]]
Difference = tuple[str, Key, object, object]


@dataclass(frozen=True)
class Leak:
    """A feature that changed although nothing that was known at its ``as_of`` changed.

    Parameters
    ----------
    column : str, the feature; ``"*"`` where the row itself appears or disappears
    inputs : the inputs whose later rows alone change it
    example : mapping, key, ``as_of``, and the values before and after
    message, fix : str, one sentence each
    also : the other features that changed
    """

    column: str
    inputs: tuple[str, ...]
    example: Mapping[str, object]
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
    empty_result: DataFrame | None = None,
) -> Leak | None:
    """Return how the features see the future, or None. No data is read; the function runs on a few hundred made-up rows, at least three times.

    Parameters
    ----------
    function : the features' function; called with one frame for each of ``inputs``, by name
    inputs : mapping of parameter name to shape
    as_of, entity : time and key columns of the features
    ignore : columns that need not be known at ``as_of``: labels, and columns kept for audit
    empty_result : DataFrame, the function's result for frames without rows, where it was computed already

    Raises
    ------
    DeclarationProblem : the function fails on made-up rows, so the test gives no result
    """
    key = [entity] if isinstance(entity, str) else list(entity)
    at = made_up_rows.dividing_moment(list(inputs.values()))
    reach = _reaches(function, inputs, spark, empty_result)
    made_up = {
        name: made_up_rows.made_up_rows(shape, key, at, _seed(seed, number), reach)
        for number, (name, shape) in enumerate(inputs.items())
    }

    def run_on(rows: Mapping[str, list[made_up_rows.Row]]) -> tuple[list[str], Values]:
        frames = {name: made_up_rows.made_up_frame(spark, inputs[name], rows[name]) for name in inputs}
        return in_any_magnitude(lambda: _collect_values(function(**frames), key, as_of, ignore, at), name=function)

    def change_rows(name: str, missing: bool) -> list[made_up_rows.Row]:
        return made_up_rows.change_later(inputs[name], made_up[name], key, at, seed, missing=missing)

    with _small_run(spark):
        columns, base = _run(run_on, made_up)
        differing: dict[str, tuple[Difference, bool]] = {}
        for missing in (True, False):
            try:
                _, changed = _run(run_on, {name: change_rows(name, missing) for name in inputs})
            except DeclarationProblem:
                if not missing:
                    raise
                continue  # the function fails on nulls or without later rows: the other kind of change decides
            for difference in _differences(columns, base, changed):
                differing.setdefault(difference[0], (difference, missing))
        if not differing:
            return None
        _, again = run_on(made_up)
        unstable = {difference[0] for difference in _differences(columns, base, again)}
        for name in (name for name in (*columns, _ROW) if name in differing):
            if name in unstable:
                return _unstable_leak(name, key, as_of)
        difference, missing = next(differing[name] for name in (*columns, _ROW) if name in differing)
        seen_inputs = [
            name
            for name in inputs
            if len(inputs) == 1 or _sees_alone(run_on, made_up, change_rows, name, missing, difference[0], columns, base)
        ]
    also = [name for name in columns if name in differing and name != difference[0]]
    return _leak(difference, seen_inputs, inputs, key, as_of, at, also)


_ROW = "*"


def _reaches(function: Function, inputs: Mapping[str, InputShape], spark: SparkSession, empty_result: DataFrame | None) -> Reaches:
    """Return how far the function may look; from its code alone where it cannot be called on frames without rows."""
    try:
        if empty_result is None:
            empty_result = function(**{name: made_up_rows.made_up_frame(spark, shape, []) for name, shape in inputs.items()})
        return reaches(function, empty_result)
    except Exception:  # the run on made-up rows raises and reports the same error
        return reaches(function, None)


def _run(run_on: RunOn, made_up: Mapping[str, list[made_up_rows.Row]]) -> tuple[list[str], Values]:
    try:
        return run_on(made_up)
    except DeclarationProblem:
        raise
    except Exception as error:
        cause = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DeclarationProblem(
            f"The test for features that see the future failed: on made-up rows the function raises {type(error).__name__}: {cause}",
            fix="Let it accept any value of its columns' types (try_cast, coalesce).",
        ) from error


def _sees_alone(
    run_on: RunOn,
    made_up: Mapping[str, list[made_up_rows.Row]],
    change_rows: Callable[[str, bool], list[made_up_rows.Row]],
    name: str,
    missing: bool,
    column: str,
    columns: Sequence[str],
    base: Values,
) -> bool:
    try:
        _, changed = run_on({**made_up, name: change_rows(name, missing)})
    except Exception:
        return False
    return any(difference[0] == column for difference in _differences(columns, base, changed))


def _collect_values(
    result: DataFrame, key: Sequence[str], as_of: str, ignore: Sequence[str], at: dt.datetime
) -> tuple[list[str], Values]:
    """Return the features' names and, by key and ``as_of``, the rows up to the moment."""
    for name in (*key, as_of):
        if name not in result.columns:
            raise DeclarationProblem(f"The features have no column '{name}'.", nearest=nearest(name, result.columns), column=name)
    columns = [name for name in result.columns if name not in (*key, as_of, *ignore) and not name.startswith("_")]
    time = F.col(quoted(as_of))
    if isinstance(result.schema[as_of].dataType, TimestampType):
        upto = time <= F.timestamp_micros(F.lit(int(at.replace(tzinfo=dt.UTC).timestamp()) * 1_000_000))
    else:
        upto = time.cast("timestamp_ntz") <= F.lit(at.isoformat(sep=" ")).cast("timestamp_ntz")
    names = [*key, as_of, *columns]
    plain = [F.col(quoted(name)).cast("string") if _is_time(result, name) else F.col(quoted(name)) for name in names]
    values: Values = {}
    for row in result.where(upto).select(*(column.alias(f"c{number}") for number, column in enumerate(plain))).collect():
        values.setdefault(tuple(row[: len(key) + 1]), []).append(tuple(row[len(key) + 1 :]))
    return columns, {row_key: sorted(rows, key=repr) for row_key, rows in values.items()}


def _is_time(frame: DataFrame, name: str) -> bool:
    return isinstance(frame.schema[name].dataType, DateType | TimestampNTZType | TimestampType)


def _differences(columns: Sequence[str], base: Values, changed: Values) -> Iterator[Difference]:
    """Yield each feature that differs, with the first key and values; rows that exist in one run only come last, since they explain least."""
    common_keys = sorted((name for name in base.keys() & changed.keys() if len(base[name]) == len(changed[name])), key=repr)
    for place, column in enumerate(columns):
        pairs = (
            (row_key, before[place], after[place])
            for row_key in common_keys
            for before, after in zip(base[row_key], changed[row_key], strict=True)
        )
        if (pair := next((pair for pair in pairs if not _same(pair[1], pair[2])), None)) is not None:
            yield (column, *pair)
    for name in sorted(base.keys() | changed.keys(), key=repr):
        if len(base.get(name, ())) != len(changed.get(name, ())):
            yield _ROW, name, len(base.get(name, ())), len(changed.get(name, ()))
            return


def _same(before: object, after: object) -> bool:
    if _is_missing(before) or _is_missing(after):
        return _is_missing(before) and _is_missing(after)
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(
            before, after, rel_tol=1e-9, abs_tol=1e-9
        )  # sums in the user's function may be computed in another order
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return len(before) == len(after) and all(_same(left, right) for left, right in zip(before, after, strict=True))
    return bool(before == after)


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _leak(
    difference: Difference,
    seen_inputs: Sequence[str],
    inputs: Mapping[str, InputShape],
    key: Sequence[str],
    as_of: str,
    at: dt.datetime,
    also: Sequence[str],
) -> Leak:
    column, place, before, after = difference
    example = {**dict(zip([*key, as_of], place, strict=True)), "before": before, "after": after}
    key_text = ", ".join(f"{name}={value}" for name, value in zip([*key, as_of], place, strict=True))
    input_text = " and ".join(f"'{name}'" for name in seen_inputs) or "several inputs together"
    if column == _ROW:
        row_message = f"whether there is a row ({key_text}) depends on values of {input_text} that are known only after {at}."
        fix = "Build rows from values known at their time: no filter on labels or later rows; build windows in a table before, with fill and keys."
        return Leak(column, tuple(seen_inputs), example, row_message, fix)
    message = f"'{column}' at ({key_text}) is {before}, but {after} when only values of {input_text} after {at} differ."
    if also:
        message += f" So do {', '.join(repr(name) for name in also[:8])}{f' and {len(also) - 8} more' if len(also) > 8 else ''}."
    return Leak(column, tuple(seen_inputs), example, message, _fix(column, inputs), tuple(also))


def _fix(column: str, inputs: Mapping[str, InputShape]) -> str:
    declare_hint = "; if it is a value to be predicted, declare it among labels=[…]."
    for name, shape in inputs.items():
        known_at = shape.known_at.get(column)
        if known_at is not None:
            known_text = f"at '{known_at.column}'" if known_at.column else f"{text(known_at.within_s or 0)} after its row"
            return (
                f"'{column}' of '{name}' is known {known_text} only: take an earlier one with cd.lag, cd.rolling or cd.past_mean, drop it, or "
                f'declare it among labels=["{column}"].'
            )
    for name, shape in inputs.items():
        unbounded = [
            late_column
            for late_column, known_at in shape.known_at.items()
            if known_at.column and known_at.within_s is None and not shape.step_s
        ]
        if unbounded:
            known_by = shape.known_at[unbounded[0]].column
            return (
                f"Use only values known before (cd.past_mean with known=, cd.as_of_join by '{known_by}'), or, where '{known_by}' of '{name}' is never "
                f'later than a certain time, declare it: known={{"{unbounded[0]}": "{known_by} within 3 hours"}}' + declare_hint
            )
    return "Look back with cd.lag, cd.rolling, cd.past_mean or cd.as_of_join" + declare_hint


def _unstable_leak(column: str, key: Sequence[str], as_of: str) -> Leak:
    subject = "the rows themselves are" if column == _ROW else f"'{column}' is"
    message = f"the test gives no result, because {subject} different each time on the same inputs."
    fix = f"Remove what is random, or what orders rows by less than {', '.join([*key, as_of])}."
    return Leak(column, (), {}, message, fix)


def _seed(seed: int, number: int) -> int:
    return seed * 1_000 + number


@contextmanager
def _small_run(spark: SparkSession) -> Iterator[None]:
    """Configure Spark for a few hundred rows within the block: two partitions, no replanning after each stage, no code generation for a plan that runs once."""
    settings = {
        "spark.sql.shuffle.partitions": "2", "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
    }  # fmt: skip
    before = {name: str(spark.conf.get(name)) for name in settings}
    try:
        for name, value in settings.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)
