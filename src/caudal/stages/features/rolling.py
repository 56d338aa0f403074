"""A statistic of the last hours or days before a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from caudal.errors import DeclarationProblem, nearest
from caudal.spark import marks
from caudal.spark.clock import axis
from caudal.spark.exact import finite, mean, pieces, sorted_std, total
from caudal.spark.marks import quoted
from caudal.spark.moments import of
from caudal.spark.reach import looks_back
from caudal.spec.duration import seconds
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

    Null, NaN and infinity are left out; of no value, count is 0 and everything else null. Mean, sum and count are differences of
    exact running sums, one pass whatever the window's length, and the same to the bit in every order; min, max and std look at
    each window's rows.

    Parameters
    ----------
    frame : DataFrame, one row per key and time, or several
    column : column or columns of numbers or booleans (``count``: of any type)
    window : length of time that is looked back; of instants elapsed time, a day being 24 hours, but of windows that are longer than any
        change of the zone's clocks as many windows: "7 days" of windows of a day are seven (docs/adr/0017)
    stat : mean, sum, min, max, std (sample) or count (of values)
    by : key columns; left out, those that ``tumble`` grouped by
    order : str, optional, the time column; left out, the marked event time
    closed : ``"left"`` takes the times [t − window, t): neither the row itself nor one of the same time. ``"right"`` takes
        (t − window, t]: only where the row's own value is known at its time
    name : str, optional, name of the new column; only for one column

    Raises
    ------
    DeclarationProblem : unknown column or statistic, a column that is no number, a window of no length
    """
    from pyspark.sql import Window, functions as F
    from pyspark.sql.types import BooleanType, NumericType

    asking = "rolling"
    taken = marks.names(column)
    marks.need(frame, taken, asking)
    if stat not in STATISTICS:
        raise DeclarationProblem(
            f"rolling has no statistic '{stat}'.", nearest=nearest(stat, STATISTICS), fix=f"There are {', '.join(STATISTICS)}."
        )
    if closed not in ("left", "right"):
        raise DeclarationProblem(
            f'rolling has no closed="{closed}".', fix='Use "left" (without the row itself) or "right" (with it).'
        )
    if name is not None and len(taken) > 1:
        raise DeclarationProblem(
            f"rolling is to give {len(taken)} columns the one name '{name}'.", fix="Call it for each column, or leave name out."
        )
    length = of(seconds(window))
    if length <= 0:
        raise DeclarationProblem(
            f"rolling is asked for a window of {window!r}.", fix="A window looks back: it is longer than nothing."
        )
    time = marks.event_time(frame, order, asking, "order")
    group = marks.keys(frame, by, asking)
    at = looks_back(seconds(window))
    first, last = (-length, -1) if closed == "left" else (1 - length, 0)
    ordered = Window.partitionBy(*(F.col(quoted(one)) for one in group)).orderBy(at)
    steps: list[dict[str, Column]] = [
        {},
        {},
        {},
    ]  # columns of their own, so that each is in the plan once: what a value uses, it uses many times
    for place, one in enumerate(taken):
        kind = frame.schema[one].dataType
        if stat != "count" and not isinstance(kind, NumericType | BooleanType):
            raise DeclarationProblem(
                f"rolling asks for the {stat} of '{one}', which is of type {kind.simpleString()}.",
                fix="Take a column of numbers.",
                column=one,
            )
        value = finite(F.col(quoted(one)), kind)
        if stat in ("min", "max", "std"):
            made = _scan(value, stat, ordered.rangeBetween(first, last))
        else:
            asked = f"sum of '{one}' over {marks.worded(window)}"
            made = _sums(value, kind, stat, ordered, first, last, asked, f"__{place}", steps)
        steps[2][name or f"{one}_{stat}_{marks.worded(window)}"] = F.when(F.col(at).isNotNull(), made)
    timed = frame.withColumn(at, axis(frame, [time], asking)[0])
    for columns in steps:
        timed = timed.withColumns(columns) if columns else timed
    return timed.drop(at, *steps[0], *steps[1])


def _scan(value: Column, stat: str, window: WindowSpec) -> Column:
    from pyspark.sql import functions as F

    if stat == "std":
        return sorted_std(F.collect_list(value.cast("double")).over(window))
    return (F.min(value) if stat == "min" else F.max(value)).over(window)


def _sums(
    value: Column,
    kind: DataType,
    stat: str,
    ordered: WindowSpec,
    first: int,
    last: int,
    asking: str,
    prefix: str,
    steps: Sequence[dict[str, Column]],
) -> Column:
    """Return a statistic made of sums: everything up to the window's end less everything before its start.

    Parameters
    ----------
    prefix : what the names of columns begin with that it needs
    steps : where it puts them: what is added, and the running sums of it
    """
    from pyspark.sql import Window, functions as F

    end = ordered.rangeBetween(Window.unboundedPreceding, last)
    before = ordered.rangeBetween(Window.unboundedPreceding, first - 1)
    nothing = F.lit(0)
    addends = [F.when(value.isNotNull(), F.lit(1).cast("bigint")), *([] if stat == "count" else pieces(value, kind))]
    parts = []
    for number, addend in enumerate(addends):
        added, until, earlier = (f"{prefix}_{number}{of}" for of in ("", "_until", "_earlier"))
        steps[0][added] = addend
        steps[1] |= {until: F.sum(F.col(added)).over(end), earlier: F.sum(F.col(added)).over(before)}
        parts.append(F.coalesce(F.col(until), nothing) - F.coalesce(F.col(earlier), nothing))
    count, *sums = parts
    if stat == "count":
        return count
    return F.when(count > 0, total(sums, kind, asking) if stat == "sum" else mean(sums, kind, count))
