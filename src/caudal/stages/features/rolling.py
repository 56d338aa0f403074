"""``rolling``: a statistic of the last hours or days before a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pyspark.sql import Window, functions as F
from pyspark.sql.types import BooleanType, NumericType

from caudal.declarations.duration import seconds
from caudal.engine import marks
from caudal.engine.clock import is_elapsed, time_axis
from caudal.engine.exact import addends, finite, mean, sorted_std, total
from caudal.engine.marks import quoted
from caudal.engine.moments import to_micros
from caudal.engine.origins import Timeline, from_timeline, is_wall_time, timeline_rows
from caudal.engine.reach import looks_back
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.features.registered import feature

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType
    from pyspark.sql.window import WindowSpec

STATISTICS = ("mean", "sum", "min", "max", "std", "count")


@feature
def rolling(
    frame: DataFrame,
    column: str | Sequence[str],
    window: str | float = "1 hour",
    stat: str = "mean",
    by: str | Sequence[str] | None = None,
    *,
    order: str | None = None,
    closed: Literal["left", "right"] = "left",
    name: str | None = None,
) -> DataFrame:
    """Return the frame with a statistic over the rows of the same key in the time before each row: ``pickups_mean_2_hours``.

    Null, NaN and infinity are left out; without any value, count is 0 and every other statistic null. Mean, sum and count are
    differences of exact running sums: one pass whatever the window's length, and the same to the bit in every order; min, max and std
    scan each window's rows.

    Parameters
    ----------
    frame : DataFrame, one row per key and time, or several
    column : column or columns of numbers or booleans (``count``: of any type)
    window : how far each row looks back. For instants this is elapsed time, with days of 24 hours; but for rows that are windows longer
        than any change of the zone's clocks it counts windows: "7 days" of daily windows are seven (docs/adr/0017)
    stat : mean, sum, min, max, std (sample) or count (of values)
    by : key columns; by default those that ``tumble`` grouped by
    order : str, optional, the time column; by default the marked event time
    closed : ``"left"`` takes the times [t − window, t): neither the row itself nor one of the same time. ``"right"`` takes
        (t − window, t]: only where the row's value is known at its time
    name : str, optional, name of the new column; only for one column

    Raises
    ------
    DeclarationProblem : unknown column or statistic, a column that is not of numbers, a window of no length
    """
    caller = "rolling"
    columns = marks.names(column)
    marks.require_columns(frame, columns, caller)
    if stat not in STATISTICS:
        raise DeclarationProblem(
            f"rolling has no statistic '{stat}'.", nearest=nearest(stat, STATISTICS), fix=f"There are {', '.join(STATISTICS)}."
        )
    if closed not in ("left", "right"):
        raise DeclarationProblem(
            f'rolling has no closed="{closed}".', fix='Use "left" (without the row itself) or "right" (with it).'
        )
    if name is not None and len(columns) > 1:
        raise DeclarationProblem(
            f"rolling got one name, '{name}', for {len(columns)} columns.", fix="Call it for each column, or leave name out."
        )
    length = to_micros(seconds(window))
    if length <= 0:
        raise DeclarationProblem(f"rolling got window={window!r}.", fix="A window has to be longer than zero.")
    time = marks.event_time(frame, order, caller, "order")
    key_columns = marks.group_keys(frame, by, caller)
    at = looks_back(seconds(window))
    window_start, window_end = (-length, -1) if closed == "left" else (1 - length, 0)
    ordered = Window.partitionBy(*(F.col(quoted(key)) for key in key_columns)).orderBy(at)
    added: dict[str, Column] = {}
    running: dict[str, Column] = {}
    for value_column in columns:
        kind = frame.schema[value_column].dataType
        if stat != "count" and not isinstance(kind, NumericType | BooleanType):
            raise DeclarationProblem(
                f"rolling cannot compute the {stat} of '{value_column}', which is of type {kind.simpleString()}.",
                fix="Name a column of numbers.",
                column=value_column,
            )
        value, window_rows = quoted(value_column), ordered.rangeBetween(window_start, window_end)
        if stat in ("min", "max", "std"):
            result = _scan(F.expr(finite(value, kind)), stat, window_rows)
        elif stat == "count":
            result = _difference(F.count(F.expr(finite(value, kind))), ordered, window_start, window_end)
        else:
            sums, result = _sums(
                value,
                kind,
                stat,
                ordered,
                window_start,
                window_end,
                f"__{len(running)}_",
                f"sum of '{value_column}' over {marks.duration_name(window)}",
            )
            running |= sums
        added[name or f"{value_column}_{stat}_{marks.duration_name(window)}"] = F.when(F.col(at).isNotNull(), result)
    with_time = frame.withColumn(at, time_axis(frame, [time], caller)[0])

    def timeline() -> Timeline | None:
        local = is_wall_time(frame, time)
        if local is None or not is_elapsed(frame, [time]):
            return None

        def rows() -> DataFrame:
            # A value counts from its time on, or after it, until the window's length has passed: then each time the statistic is asked for.
            known = with_time.where(F.col(at).isNotNull())
            change = F.col(at) + (1 if closed == "left" else 0)
            moments = F.explode(F.array(change, change + length)).alias(at)
            given = [F.col(quoted(name)) for name in dict.fromkeys((*key_columns, *columns))]
            nothing = [F.lit(None).cast(frame.schema[name].dataType).alias(name) for name in columns if name not in key_columns]
            questions = known.select(*(F.col(quoted(key)) for key in key_columns), *nothing, moments, F.lit(True).alias("__asks"))
            asked = known.select(*given, at, F.lit(False).alias("__asks")).unionByName(questions.distinct())
            answered = (asked.withColumns(running) if running else asked).withColumns(added).where("__asks")
            return timeline_rows(answered, key_columns, F.col(at), [F.col(quoted(name)) for name in added], local)

        return Timeline(tuple(key_columns), time, local, tuple(added), None, rows)

    summed = with_time.withColumns(running) if running else with_time  # a client of Connect refuses to add nothing
    return summed.withColumns(from_timeline(list(added.items()), timeline)).drop(at, *running)


def _scan(value: Column, stat: str, window: WindowSpec) -> Column:
    if stat == "std":
        return sorted_std(F.collect_list(value.cast("double")).over(window))
    return (F.min(value) if stat == "min" else F.max(value)).over(window)


def _difference(aggregated: Column, ordered: WindowSpec, window_start: int, window_end: int) -> Column:
    """Return a count or sum over a window: that of all rows up to its end minus that of all rows before its start."""
    end = ordered.rangeBetween(Window.unboundedPreceding, window_end)
    before = ordered.rangeBetween(Window.unboundedPreceding, window_start - 1)
    zero = F.lit(0)
    return F.coalesce(aggregated.over(end), zero) - F.coalesce(aggregated.over(before), zero)


def _sums(
    value: str, kind: DataType, stat: str, ordered: WindowSpec, window_start: int, window_end: int, prefix: str, caller: str
) -> tuple[dict[str, Column], Column]:
    """Return columns of sums over the window, by names that begin with ``prefix``, and the statistic computed from them."""
    count, remainder = f"{prefix}count", None
    parts = addends(value, kind)
    sums = {
        f"{prefix}{place}": _difference(F.sum(F.expr(digit)), ordered, window_start, window_end)
        for place, digit in enumerate(parts.digits)
    }
    digits = list(sums)
    sums[count] = _difference(F.count(F.expr(finite(value, kind))), ordered, window_start, window_end)
    if parts.rest is not None:
        remainder = f"{prefix}rest"
        sums[remainder] = F.collect_list(F.expr(parts.rest)).over(ordered.rangeBetween(window_start, window_end))
    result = total(digits, remainder, kind, caller) if stat == "sum" else mean(digits, remainder, kind, count)
    return sums, F.when(F.col(count) > 0, F.expr(result))
