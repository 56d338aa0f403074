"""Fill gaps: add rows for windows that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window, functions as F
from pyspark.sql.types import NumericType, TimestampNTZType, TimestampType

from caudal.declarations.zone import DAY_S, zone
from caudal.engine import marks
from caudal.engine.clock import MICROS, Clock, slot_of
from caudal.engine.marks import quoted
from caudal.engine.reach import MIDNIGHT, START, looks_back
from caudal.errors import DeclarationProblem, nearest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

END = "window_end"
AT = looks_back(0)  # the number of a window in its day
_EPOCH, _MICROSECOND = "timestamp_ntz'1970-01-01 00:00:00'", "interval '0.000001' second"


def fill_gaps(
    frame: DataFrame,
    value: float | Mapping[str, object] | None = None,
    *,
    by: str | Sequence[str] | None = None,
    time: str | None = None,
    step: str | float | None = None,
    keys: DataFrame | None = None,
    within: str = "day",
) -> DataFrame:
    """Return the frame with a row for every window of a day, for each key seen on that day or for all ``keys``.

    The added rows depend only on the rows of the same day, so that a day recomputed alone gets the same rows again.
    With the keys of the day, a quiet quarter-hour in the morning has a row because the key was seen at some time of that day;
    where even that may not be known beforehand, pass ``keys``: then every key has every window of each day in the frame. A window
    that the clocks of the product's zone skipped is not added; of an hour of instants that occurs twice, both are (docs/adr/0017).

    Parameters
    ----------
    frame : DataFrame, one row per key and window, such as the result of ``tumble(...).agg(...)``
    value : the values of the other columns in added rows: a mapping by column; a number for all numeric columns; None for null
    by : key columns; by default those that ``tumble`` grouped by
    time : str, optional, the column of a window's start; by default the marked event time (``window_start``)
    step : width of a window; by default that of ``tumble``
    keys : DataFrame, optional, with the ``by`` columns; other columns and repeated rows do not matter
    within : ``"day"``, the only extent

    Returns
    -------
    DataFrame, the same columns; ``window_end``, where the frame has it, is the end of the window
    """
    caller = "fill_gaps"
    if within != "day":
        raise DeclarationProblem(f'fill_gaps got within="{within}".', fix='Pass within="day", the only extent.')
    group = marks.group_keys(frame, by, caller)
    start = marks.event_time(frame, time, caller, "time")
    width = marks.step_s(frame, start, step, caller)
    if DAY_S % width:
        raise DeclarationProblem(f"fill_gaps: a step of {width:g} s does not divide a day.", fix="Windows never cross midnight.")
    if not isinstance(frame.schema[start].dataType, TimestampNTZType | TimestampType):
        raise DeclarationProblem(
            f"fill_gaps: '{start}' is of type {frame.schema[start].dataType.simpleString()}.", fix="A start is a timestamp."
        )
    values = _values(frame, value, (*group, start, END))
    grid = _Grid(int(width), isinstance(frame.schema[start].dataType, TimestampType), Clock(zone()))
    numbered = grid.with_numbers(frame, quoted(start)).withColumn("__there", F.lit(True))
    windows = _fill_keys(numbered, keys, group, grid.last) if keys is not None else _fill_days(numbered, group, grid.last)
    windows = grid.with_bounds(windows)

    def value_of(name: str) -> Column:
        column = F.col(quoted(name))
        if name == start:
            return F.when(F.col("__there"), column).otherwise(F.col(START))
        if name == END:
            return F.when(F.col("__there"), column).otherwise(F.col("__end"))
        if name in group:
            return column
        return F.when(F.col("__there"), column).otherwise(F.lit(values.get(name)).cast(frame.schema[name].dataType))

    windows = windows.withColumn(START, value_of(start))
    start_column = F.col(START)  # the column's name marks that it lies on the same day
    return windows.select(
        *(
            (start_column if field.name == start else value_of(field.name)).alias(field.name, metadata=field.metadata or {})
            for field in marks.marked_schema(frame).fields
        )
    )


@dataclass(frozen=True)
class _Grid:
    """The windows of a day by number; two for each slot where different instants can show the same wall time.

    Parameters
    ----------
    width_s : int, of a window
    instants : whether starts are instants rather than wall times
    clock : the clock whose wall time counts
    """

    width_s: int
    instants: bool
    clock: Clock

    @property
    def _width_us(self) -> int:
        return self.width_s * MICROS

    @property
    def _shows_times_twice(self) -> bool:
        return self.instants and not self.clock.steady

    @property
    def last(self) -> int:
        """Return the greatest window number of a day."""
        slots = DAY_S // self.width_s
        return (2 * slots if self._shows_times_twice else slots) - 1

    def _wall(self, start: str) -> Column:
        if self._shows_times_twice:
            return self.clock.shown(F.unix_micros(start))
        if self.instants:
            return F.unix_micros(start)
        return F.call_function("div", F.col(start) - F.expr(_EPOCH), F.expr(_MICROSECOND))  # without the session's time zone

    def with_numbers(self, frame: DataFrame, start: str) -> DataFrame:
        """Return the frame with the midnight of each window's day (microseconds of wall time) and the window's number in it."""
        wall, slot = F.col("__wall"), F.col("__slot")
        frame = frame.withColumn("__wall", self._wall(start)).withColumn(MIDNIGHT, slot_of(wall, DAY_S * MICROS))
        number = F.floor((wall - F.col(MIDNIGHT)) / F.lit(self._width_us)).cast("int")
        if not self._shows_times_twice:
            return frame.withColumn(AT, number)
        frame = frame.withColumn("__slot", slot_of(wall, self._width_us))
        is_second = self.clock.double(slot, self._width_us) & (F.unix_micros(start) >= self.clock.last(slot))
        return frame.withColumn(AT, number * 2 + F.when(is_second, F.lit(1)).otherwise(F.lit(0)))

    def with_bounds(self, windows: DataFrame) -> DataFrame:
        """Return the existing rows and the added rows whose window the clocks show, with `START` and ``__end``."""
        number = F.floor(F.col("__window") / 2) if self._shows_times_twice else F.col("__window")
        slot, width = F.col("__slot"), self._width_us
        # One column after another, so that each long expression is computed once.
        windows = windows.withColumn("__slot", F.col(MIDNIGHT) + number.cast("bigint") * F.lit(width).cast("bigint"))
        if self.clock.steady or not self._shows_times_twice:
            if not self.clock.steady:
                windows = windows.where(F.col("__there") | ~self.clock.never(slot, width))
            return windows.withColumn(START, self._moment(slot)).withColumn("__end", self._moment(slot + width))
        is_second = F.col("__window") % 2 == 1
        windows = windows.withColumn("__double", self.clock.double(slot, width))
        exists = F.when(is_second, F.col("__double")).otherwise(~self.clock.never(slot, width))
        windows = windows.where(F.col("__there") | exists).withColumn("__begin", self.clock.start(slot, is_second))
        ends = self.clock.end(slot, F.col("__begin"), F.col("__double"), width)
        return windows.withColumn(START, self._moment(F.col("__begin"))).withColumn("__end", self._moment(ends))

    def _moment(self, at: Column) -> Column:
        return F.timestamp_micros(at) if self.instants else F.expr(_EPOCH) + at * F.expr(_MICROSECOND)


def _fill_days(numbered: DataFrame, group: Sequence[str], last: int) -> DataFrame:
    """Return each row, followed by the windows up to the next row of its key and day; the first row also gets those before it.

    This takes one shuffle and no join: a row knows from its neighbour how many windows are missing.
    """
    row = Window.partitionBy(*(F.col(quoted(name)) for name in group), F.col(MIDNIGHT)).orderBy(AT)
    first_window = F.when(F.row_number().over(row) == 1, F.lit(0)).otherwise(F.col(AT))
    last_window = F.greatest(F.col(AT), F.coalesce(F.lead(AT).over(row) - 1, F.lit(last)))
    with_bounds = numbered.withColumn("__first", first_window).withColumn("__until", last_window)
    windows = with_bounds.withColumn("__window", F.explode(F.sequence("__first", "__until")))
    return windows.withColumn("__there", F.col("__window") == F.col(AT))


def _fill_keys(numbered: DataFrame, keys: DataFrame, group: Sequence[str], last: int) -> DataFrame:
    """Return a row for every key of ``keys``, day of the frame and window, with the frame's row where there is one."""
    marks.require_columns(keys, group, "fill_gaps(keys=…)")
    distinct_keys = keys.select(*(F.col(quoted(name)) for name in group)).distinct()
    days = numbered.select(MIDNIGHT).distinct()
    grid = (
        days.crossJoin(F.broadcast(distinct_keys))
        .withColumn("__window", F.explode(F.sequence(F.lit(0), F.lit(last))))
        .alias("grid")
    )
    rows = numbered.alias("rows")
    is_same = (F.col(f"grid.{MIDNIGHT}") == F.col(f"rows.{MIDNIGHT}")) & (F.col("grid.__window") == F.col(f"rows.{AT}"))
    for name in group:
        is_same &= F.col(f"grid.{quoted(name)}").eqNullSafe(F.col(f"rows.{quoted(name)}"))
    # A full join keeps rows of other keys: filling never makes a table smaller.
    joined = grid.join(rows, is_same, "full")
    key_columns = [F.coalesce(F.col(f"grid.{quoted(name)}"), F.col(f"rows.{quoted(name)}")).alias(name) for name in group]
    other_columns = [F.col(f"rows.{quoted(name)}") for name in numbered.columns if name not in (*group, "__there", MIDNIGHT)]
    return joined.select(
        *key_columns, *other_columns, F.coalesce(f"grid.{MIDNIGHT}", f"rows.{MIDNIGHT}").alias(MIDNIGHT), F.coalesce("grid.__window", f"rows.{AT}").alias("__window"),
        F.coalesce(F.col("rows.__there"), F.lit(False)).alias("__there"),
    )  # fmt: skip


def _values(frame: DataFrame, value: object, excluded: Sequence[str]) -> Mapping[str, object]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        for name in value:
            if name not in frame.columns:
                raise DeclarationProblem(
                    f"fill_gaps got a value for '{name}', a column that the frame does not have.",
                    nearest=nearest(name, frame.columns),
                    fix=f"It has {', '.join(frame.columns)}.",
                )
        return value
    return {
        field.name: value for field in frame.schema.fields if isinstance(field.dataType, NumericType) and field.name not in excluded
    }
