"""The value of exactly so long ago."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caudal.declarations.duration import seconds, text
from caudal.declarations.zone import DAY_S
from caudal.engine import marks
from caudal.engine.clock import axis, faces
from caudal.engine.marks import quoted
from caudal.engine.moments import to_micros
from caudal.engine.reach import looks_back
from caudal.errors import DeclarationProblem
from caudal.stages.features.registered import feature

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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

    A lag is by time, not by row count: where the row of exactly that time ago is missing, the value is null, never that of another
    row. One sort of the frame serves all lags of a call.

    Of instants, steps count the windows that the zone's clocks show, and a duration of whole days finds the row of the same wall time
    so many days before (of two, the earlier), so that a daily lag finds the day before a change of clocks (docs/adr/0017).

    Parameters
    ----------
    frame : DataFrame, one row per key and time
    columns : columns to take values from
    steps : how long ago: whole steps of the grid (1, 4, 96) or durations ("15 minutes", "1 day"); always in the past
    by : key columns; left out, those that ``tumble`` grouped by
    order : str, optional, the time column; left out, the marked event time (``window_start``)
    step : length of a grid step; left out, the width that ``tumble`` marked; needed for whole steps only

    Raises
    ------
    DeclarationProblem : a lag of zero or less (the present or the future), a duration off the grid, an unknown column
    SparkRuntimeException : when it runs, two rows have the same key and time: ``by`` lacks a key column
    """
    from pyspark.sql import Window, functions as F

    asking = "lag"
    taken = marks.names(columns)
    marks.require_columns(frame, taken, asking)
    time = marks.event_time(frame, order, asking, "order")
    group = marks.keys(frame, by, asking)
    lengths = _lengths(frame, time, [steps] if isinstance(steps, int | str) else list(steps), step)
    named = [
        marks.duration_name(length) for length in ([steps] if isinstance(steps, int | str) else steps) if isinstance(length, str)
    ]
    grid_s = seconds(step) if step is not None else None
    wall = faces(frame, time, asking, grid_s)
    days = [name for name, length_s in lengths.items() if wall is not None and name in named and length_s % DAY_S == 0]
    at, face = looks_back(max(lengths.values())), looks_back(max(lengths.values()), "face")
    keys = [F.col(quoted(name)) for name in group]
    said = ", ".join(group) or "nothing"
    double = F.raise_error(F.lit(f"lag: rows have the same {time} within the same {said}; by=[…] has to name all key columns."))
    added = {}
    for name, length_s in lengths.items():
        place = face if name in days else at
        then = Window.partitionBy(*keys).orderBy(place).rangeBetween(-to_micros(length_s), -to_micros(length_s))
        clash = F.count(F.lit(1)).over(then) > 1
        if name in days:  # a time that the wall shows twice has a row at each
            clash = F.count(F.lit(1)).over(then) > F.when(F.min(at).over(then) == F.max(at).over(then), 1).otherwise(2)
        for column in taken:
            kind = frame.schema[column].dataType
            earlier = F.min_by(quoted(column), F.col(at)).over(then) if name in days else F.last(quoted(column)).over(then)
            value = F.when(clash, double.cast(kind)).otherwise(earlier)
            added[f"{column}_lag_{name}"] = F.when(F.col(at).isNotNull(), value)
    placed = frame.withColumn(at, axis(frame, [time], asking, grid_s)[0])
    if wall is not None and days:
        placed = placed.withColumn(face, wall)
    return placed.withColumns(added).drop(at, face)


def _lengths(frame: DataFrame, time: str, steps: Sequence[Steps], step: str | float | None) -> dict[str, float]:
    """Return the lags in seconds by the name that they give a column."""
    if not steps:
        raise DeclarationProblem("lag is asked for no lag.", fix='Say how long ago: [1, 4, 96] or ["1 day"].')
    lengths = {}
    for one in steps:
        if isinstance(one, bool) or not isinstance(one, int | str):
            raise DeclarationProblem(
                f"lag is asked for {one!r}.", fix='A lag is a whole number of steps or a duration such as "1 day".'
            )
        length_s = one * marks.step_s(frame, time, step, "lag") if isinstance(one, int) else seconds(one)
        if length_s <= 0:
            raise DeclarationProblem(
                f"lag is asked for {one!r}, which is {'the present' if length_s == 0 else 'the future'}.",
                fix="A feature sees the past only: lags are 1 and more.",
                lag=one,
            )
        grid = marks.step_of(frame, time) if step is None else seconds(step)
        if grid and length_s % grid:
            raise DeclarationProblem(
                f"lag is asked for {one!r}, but rows lie {text(grid)} apart.", fix=f"Take a multiple of {text(grid)}.", lag=one
            )
        lengths[str(one) if isinstance(one, int) else marks.duration_name(one)] = length_s
    return lengths
