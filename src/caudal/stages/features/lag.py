"""``lag``: the value at an exact distance in the past."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import Window, functions as F

from caudal.declarations.duration import seconds, text
from caudal.declarations.zone import DAY_S
from caudal.engine import marks
from caudal.engine.clock import faces, is_elapsed, time_axis
from caudal.engine.marks import quoted
from caudal.engine.moments import micros, to_micros
from caudal.engine.origins import Timeline, from_timeline, is_wall_time, timeline_rows
from caudal.engine.reach import looks_back
from caudal.errors import DeclarationProblem
from caudal.stages.features.registered import feature

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Steps = int | str


@feature
def lag(
    frame: DataFrame,
    columns: str | Sequence[str],
    steps: Steps | Sequence[Steps],
    by: str | Sequence[str] | None = None,
    *,
    order: str | None = None,
    step: str | float | None = None,
) -> DataFrame:
    """Return the frame with the values of earlier rows: ``pickups_lag_1``, ``pickups_lag_4``, ``pickups_lag_1_day``.

    A lag counts time, not rows: where no row lies exactly that long ago, the value is null, never that of another
    row. All lags of a call share one sort of the frame.

    For instants, steps count the windows that the zone's clocks show, and a duration of whole days finds the row with the same wall time
    that many days before (of two, the earlier), so that a daily lag works across a change of clocks (docs/adr/0017).

    Parameters
    ----------
    frame : DataFrame, one row per key and time
    columns : columns to take values from
    steps : how long ago: whole steps of the grid (1, 4, 96) or durations ("15 minutes", "1 day"); always in the past
    by : key columns; by default those that ``tumble`` grouped by
    order : str, optional, the time column; by default the marked event time (``window_start``)
    step : length of a grid step; by default the width that ``tumble`` marked; needed only for whole steps

    Raises
    ------
    DeclarationProblem : a lag of zero or less (the present or the future), a duration off the grid, an unknown column
    SparkRuntimeException : when it runs, two rows have the same key and time: ``by`` lacks a key column
    """
    caller = "lag"
    names = marks.names(columns)
    marks.require_columns(frame, names, caller)
    time = marks.event_time(frame, order, caller, "order")
    key_columns = marks.group_keys(frame, by, caller)
    lengths = _lengths(frame, time, [steps] if isinstance(steps, int | str) else list(steps), step)
    worded = [
        marks.duration_name(length) for length in ([steps] if isinstance(steps, int | str) else steps) if isinstance(length, str)
    ]
    grid_s = seconds(step) if step is not None else None
    wall = faces(frame, time, caller, grid_s)
    days = [name for name, length_s in lengths.items() if wall is not None and name in worded and length_s % DAY_S == 0]
    instant, face = looks_back(max(lengths.values())), looks_back(max(lengths.values()), "face")
    keys = [F.col(quoted(name)) for name in key_columns]
    key_names = ", ".join(key_columns) or "nothing"
    duplicate = F.raise_error(F.lit(f"lag: several rows have the same {time} and {key_names}; by=[…] has to name all key columns."))
    added = {}
    for name, length_s in lengths.items():
        axis_column = face if name in days else instant
        window = Window.partitionBy(*keys).orderBy(axis_column).rangeBetween(-to_micros(length_s), -to_micros(length_s))
        clash = F.count(F.lit(1)).over(window) > 1
        if name in days:  # a wall time that the clocks show twice has two rows
            clash = F.count(F.lit(1)).over(window) > F.when(
                F.min(instant).over(window) == F.max(instant).over(window), 1
            ).otherwise(2)
        for column in names:
            kind = frame.schema[column].dataType
            earlier = F.min_by(quoted(column), F.col(instant)).over(window) if name in days else F.last(quoted(column)).over(window)
            value = F.when(clash, duplicate.cast(kind)).otherwise(earlier)
            added[f"{column}_lag_{name}"] = F.when(F.col(instant).isNotNull(), value)
    marked_columns: dict[str, Column] = {}
    for name, length_s in lengths.items():
        of_length = [(f"{column}_lag_{name}", added[f"{column}_lag_{name}"]) for column in names]
        counts_days = name in days or not is_elapsed(frame, [time], grid_s)
        rows = None if counts_days else partial(_timeline, frame, key_columns, time, names, name, length_s)
        marked_columns |= dict(of_length) if rows is None else from_timeline(of_length, rows)
    with_axes = frame.withColumn(instant, time_axis(frame, [time], caller, grid_s)[0])
    if wall is not None and days:
        with_axes = with_axes.withColumn(face, wall)
    return with_axes.withColumns(marked_columns).drop(instant, face)


def _timeline(
    frame: DataFrame, keys: Sequence[str], time: str, columns: Sequence[str], name: str, length_s: float
) -> Timeline | None:
    """Return the timeline of a lag: a row's values hold at the time that lies so long after it, and at no other."""
    local = is_wall_time(frame, time)
    if local is None:
        return None

    def rows() -> DataFrame:
        at = micros(frame, time, "lag") + to_micros(length_s)
        return timeline_rows(frame, keys, at, [F.col(quoted(column)) for column in columns], local)

    return Timeline(tuple(keys), time, local, tuple(f"{column}_lag_{name}" for column in columns), 0, rows)


def _lengths(frame: DataFrame, time: str, steps: Sequence[Steps], step: str | float | None) -> dict[str, float]:
    """Return the lags in seconds by the suffix of their column's name."""
    if not steps:
        raise DeclarationProblem("lag got no steps.", fix='Pass how long ago: [1, 4, 96] or ["1 day"].')
    lengths = {}
    for lag_ in steps:
        if isinstance(lag_, bool) or not isinstance(lag_, int | str):
            raise DeclarationProblem(f"lag got {lag_!r}.", fix='A lag is a whole number of steps or a duration such as "1 day".')
        length_s = lag_ * marks.step_s(frame, time, step, "lag") if isinstance(lag_, int) else seconds(lag_)
        if length_s <= 0:
            raise DeclarationProblem(
                f"lag got {lag_!r}, which is {'the present' if length_s == 0 else 'the future'}.",
                fix="A feature may use only the past: lags are at least 1.",
                lag=lag_,
            )
        grid = marks.step_of(frame, time) if step is None else seconds(step)
        if grid and length_s % grid:
            raise DeclarationProblem(
                f"lag got {lag_!r}, but rows lie {text(grid)} apart.", fix=f"Use a multiple of {text(grid)}.", lag=lag_
            )
        lengths[str(lag_) if isinstance(lag_, int) else marks.duration_name(lag_)] = length_s
    return lengths
