"""Windows without a row, put in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caudal.errors import DeclarationProblem, nearest
from caudal.spark import marks
from caudal.spark.marks import quoted
from caudal.spark.moments import DAY_S

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

END = "window_end"


def fill_gaps(
    frame: DataFrame,
    value: float | Mapping[str, Any] | None = None,
    *,
    by: str | Sequence[str] | None = None,
    time: str | None = None,
    step: str | float | None = None,
    keys: DataFrame | None = None,
    within: str = "day",
) -> DataFrame:
    """Return the frame with a row for every window of a day: of each key seen on that day, or of all ``keys``.

    Which rows are put in depends on the rows of the same day only, so that a day made anew, alone, has the rows that it had.
    With the keys of the day, a quiet quarter-hour in the morning has a row because the key was seen at some time of that day;
    where even that must not be known beforehand, give ``keys``: then every key has every window of each day in the frame.

    Parameters
    ----------
    frame : DataFrame, one row per key and window, such as ``tumble(...).agg(...)`` gives
    value : what the other columns are in rows put in: a mapping by column; a number for all numeric columns; None for null
    by : key columns; left out, those that ``tumble`` grouped by
    time : str, optional, where a window starts; left out, the marked event time (``window_start``)
    step : width of a window; left out, that of ``tumble``
    keys : DataFrame, optional, has the ``by`` columns; further columns and repeated rows do not matter
    within : ``"day"``, the only extent

    Returns
    -------
    DataFrame, the same columns; ``window_end``, where there is one, is the start plus the step
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import TimestampNTZType, TimestampType

    asking = "fill_gaps"
    if within != "day":
        raise DeclarationProblem(f'fill_gaps is asked to fill within="{within}".', fix='Only within="day" is there.')
    group = marks.keys(frame, by, asking)
    start = marks.event_time(frame, time, asking, "time")
    width = marks.step_s(frame, start, step, asking)
    if DAY_S % width:
        raise DeclarationProblem(f"fill_gaps: a step of {width:g} s does not divide a day.", fix="Windows never cross midnight.")
    if not isinstance(frame.schema[start].dataType, TimestampNTZType | TimestampType):
        raise DeclarationProblem(
            f"fill_gaps: '{start}' is of type {frame.schema[start].dataType.simpleString()}.", fix="A start is a timestamp."
        )
    values = _values(frame, value, (*group, start, END))
    last = int(DAY_S // width) - 1
    second = F.expr("interval '1' second")
    day = F.to_date(quoted(start)).cast(frame.schema[start].dataType)
    at = (F.hour(quoted(start)) * 3600 + F.minute(quoted(start)) * 60 + F.second(quoted(start))) / F.lit(width)
    placed = frame.withColumn("__day", day).withColumn("__at", F.floor(at).cast("int")).withColumn("__there", F.lit(True))
    spread = _of_keys(placed, keys, group, last) if keys is not None else _of_the_day(placed, group, last)
    moment = F.col("__day") + F.col("__window") * F.lit(int(width)) * second

    def put_in(name: str) -> Column:
        column = F.col(quoted(name))
        if name == start:
            return F.when(F.col("__there"), column).otherwise(moment)
        if name == END:
            return F.when(F.col("__there"), column).otherwise(moment + F.lit(int(width)) * second)
        if name in group:
            return column
        return F.when(F.col("__there"), column).otherwise(F.lit(values.get(name)).cast(frame.schema[name].dataType))

    return spread.select(*(put_in(field.name).alias(field.name, metadata=field.metadata or {}) for field in frame.schema.fields))


def _of_the_day(placed: DataFrame, group: Sequence[str], last: int) -> DataFrame:
    """Return each row, followed by the windows up to the next row of its key and day; the first also has those before it.

    One shuffle and no join: a row knows from its neighbour how many windows are missing.
    """
    from pyspark.sql import Window, functions as F

    row = Window.partitionBy(*(F.col(quoted(name)) for name in group), F.col("__day")).orderBy("__at")
    first = F.when(F.row_number().over(row) == 1, F.lit(0)).otherwise(F.col("__at"))
    until = F.greatest(F.col("__at"), F.coalesce(F.lead("__at").over(row) - 1, F.lit(last)))
    bounded = placed.withColumn("__first", first).withColumn("__until", until)
    spread = bounded.withColumn("__window", F.explode(F.sequence("__first", "__until")))
    return spread.withColumn("__there", F.col("__window") == F.col("__at"))


def _of_keys(placed: DataFrame, keys: DataFrame, group: Sequence[str], last: int) -> DataFrame:
    """Return a row for every key of ``keys``, day of the frame and window, with the frame's row where there is one."""
    from pyspark.sql import functions as F

    marks.need(keys, group, "fill_gaps(keys=…)")
    wanted = keys.select(*(F.col(quoted(name)) for name in group)).distinct()
    days = placed.select("__day").distinct()
    grid = days.crossJoin(F.broadcast(wanted)).withColumn("__window", F.explode(F.sequence(F.lit(0), F.lit(last)))).alias("grid")
    rows = placed.alias("rows")
    same = (F.col("grid.__day") == F.col("rows.__day")) & (F.col("grid.__window") == F.col("rows.__at"))
    for name in group:
        same &= F.col(f"grid.{quoted(name)}").eqNullSafe(F.col(f"rows.{quoted(name)}"))
    # A full join: rows of keys that are not asked for stay; a table is never made smaller by being filled.
    joined = grid.join(rows, same, "full")
    mine = [F.coalesce(F.col(f"grid.{quoted(name)}"), F.col(f"rows.{quoted(name)}")).alias(name) for name in group]
    others = [F.col(f"rows.{quoted(name)}") for name in placed.columns if name not in (*group, "__there", "__day")]
    return joined.select(
        *mine, *others, F.coalesce("grid.__day", "rows.__day").alias("__day"), F.coalesce("grid.__window", "rows.__at").alias("__window"),
        F.coalesce(F.col("rows.__there"), F.lit(False)).alias("__there"),
    )  # fmt: skip


def _values(frame: DataFrame, value: Any, not_these: Sequence[str]) -> Mapping[str, Any]:
    from pyspark.sql.types import NumericType

    if value is None:
        return {}
    if isinstance(value, Mapping):
        for name in value:
            if name not in frame.columns:
                raise DeclarationProblem(
                    f"fill_gaps is to fill '{name}', which the frame does not have.",
                    nearest=nearest(name, frame.columns),
                    fix=f"It has {', '.join(frame.columns)}.",
                )
        return value
    return {
        field.name: value
        for field in frame.schema.fields
        if isinstance(field.dataType, NumericType) and field.name not in not_these
    }
