"""Wall-clock times of a zone as microseconds: windows of instants by the wall clock, across clock changes (docs/adr/0017).

Wall times and instants are bigint columns of microseconds since 1970; nothing goes through the session's time zone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType
from pyspark.sql.utils import is_remote

from caudal.declarations.zone import DAY_S, clock_changes, longest_change_s, zone
from caudal.engine.marks import step_of
from caudal.engine.moments import micros
from caudal.engine.reach import START

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MICROS = 1_000_000
_DAY_US = DAY_S * MICROS


@dataclass(frozen=True)
class Clock:
    """The clocks of a time zone."""

    tz: str

    @property
    def steady(self) -> bool:
        """Whether the clocks have always shown UTC."""
        return self.tz in ("UTC", "Etc/UTC") or not (clock_changes(self.tz) or self._offset_s)

    @property
    def _offset_s(self) -> int:
        offset = dt.datetime(1970, 1, 1, tzinfo=dt.UTC).astimezone(ZoneInfo(self.tz)).utcoffset()
        return int(offset.total_seconds()) if offset else 0

    def shown(self, at: Column) -> Column:
        """Return the wall time at an instant."""
        return F.unix_micros(F.from_utc_timestamp(F.timestamp_micros(at), self.tz))

    def first(self, wall: Column) -> Column:
        """Return the first instant that shows a wall time; for a skipped time, shifted by the length of the gap."""
        return F.unix_micros(F.to_utc_timestamp(F.timestamp_micros(wall), self.tz))

    def last(self, wall: Column) -> Column:
        """Return the last instant that shows a wall time; equal to the first unless the time occurs twice."""
        first, day = self.first(wall), F.lit(_DAY_US)
        again = wall - (self.shown(first + day) - (first + day))  # by the next day's offset: no zone changes twice in a day
        return F.when((again > first) & (self.shown(again) == wall), again).otherwise(first)

    def missing(self, wall: Column) -> Column:
        """Return whether a wall time is never shown because it is in a gap."""
        return self.shown(self.first(wall)) != wall

    def after_gap(self, wall: Column) -> Column:
        """Return the end of the gap that contains a wall time, as an instant."""
        ends = [change.at_s * MICROS for change in clock_changes(self.tz) if change.ahead_s > 0]
        if not ends:
            return self.first(wall)
        first = self.first(wall)
        return F.array_max(F.filter(_numbers(ends), lambda end: end <= first))

    def never(self, slot: Column, width_us: int | Column) -> Column:
        """Return whether no time of a slot is ever shown."""
        return self.missing(slot) & self.missing(slot + (width_us - 1))

    def double(self, slot: Column, width_us: int | Column) -> Column:
        """Return whether all of a slot is shown twice."""
        end = slot + (width_us - 1)
        return (self.last(slot) > self.first(slot)) & (self.last(end) > self.first(end))

    def start(self, slot: Column, second: Column) -> Column:
        """Return the instant at which a slot's window begins; ``second`` selects the second of two."""
        begins = F.when(self.missing(slot), self.after_gap(slot)).otherwise(self.first(slot))
        return F.when(second, self.last(slot)).otherwise(begins)

    def end(self, slot: Column, start: Column, double: Column, width_us: int | Column) -> Column:
        """Return the instant at which a slot's window ends."""
        newest = slot + (width_us - 1)
        ends = F.when(self.missing(newest), self.after_gap(newest)).otherwise(self.last(newest) + 1)
        return F.when(double, start + width_us).otherwise(ends)

    def in_slots(self, width_s: float) -> bool:
        """Return whether windows of a width follow the wall clock: each day has the same windows, regardless of their length."""
        return width_s > longest_change_s(self.tz)

    def face(self, at: Column, width_s: float | None) -> Column:
        """Return an instant's wall time; if its window's slot begins in a gap, the slot's start instead."""
        wall = self.shown(at)
        if not width_s:
            return wall
        slot = slot_of(wall, round(width_s * MICROS))
        return F.when(self.missing(slot), slot).otherwise(wall)


def _numbers(values: Sequence[int]) -> Column:
    """Return an array of bigint as a constant. Classic PySpark would call Java for each number; a client of Connect sends one constant, and Sail
    is not known to convert arrays of texts."""
    if is_remote():
        return F.lit(list(values))
    return F.split(F.lit(",".join(map(str, values))), ",").cast("array<bigint>")


def time_axis(frame: DataFrame, times: Sequence[str], asking: str, step_s: float | None = None) -> list[Column]:
    """Return times as microseconds on one axis, on which counted windows are one width apart.

    Instants of windows longer than any clock change of the zone become wall times; others stay as they are.

    Parameters
    ----------
    step_s : float, optional, the width of the windows; by default the one marked on the columns
    """
    clock = Clock(zone())
    widths = [step_s or step_of(frame, time) for time in times]
    at = [micros(frame, time, asking) for time in times]
    if is_elapsed(frame, times, step_s):
        return at
    return [clock.face(moment, width) for moment, width in zip(at, widths, strict=True)]


def is_elapsed(frame: DataFrame, times: Sequence[str], step_s: float | None = None) -> bool:
    """Return whether `time_axis` leaves times as they are, and does not count windows of wall time."""
    clock = Clock(zone())
    widths = [step_s or step_of(frame, time) for time in times]
    follow = all(_follows_clock(clock, frame, time) for time in times)
    return not follow or not all(width and clock.in_slots(width) for width in widths)


def faces(frame: DataFrame, time: str, asking: str, step_s: float | None = None) -> Column | None:
    """Return instants as wall times of the zone, in microseconds; None for times whose days all have 24 hours."""
    clock = Clock(zone())
    if not _follows_clock(clock, frame, time):
        return None
    return clock.face(micros(frame, time, asking), step_s or step_of(frame, time))


def _follows_clock(clock: Clock, frame: DataFrame, time: str) -> bool:
    return isinstance(frame.schema[time].dataType, TimestampType) and not clock.steady


def slot_of(wall: Column, width_us: int | Column) -> Column:
    """Return the start of a wall time's slot; slots are counted from midnight."""
    return wall - F.pmod(wall, F.lit(width_us).cast("bigint"))


def windowed(frame: DataFrame, at: Column, width_s: int | Column, tz: str) -> DataFrame:
    """Return the frame with `START` and ``__end`` (instants) of each row's window; both null without a time."""
    clock, width_us = Clock(tz), width_s * MICROS
    col = F.col
    with_slot = (
        frame.withColumn("__at", at)
        .withColumn("__slot", slot_of(clock.shown(col("__at")), width_us))
        .withColumn("__double", clock.double(col("__slot"), width_us))
    )
    second = col("__double") & (col("__at") >= clock.last(col("__slot")))
    with_begin = with_slot.withColumn("__begin", clock.start(col("__slot"), second))
    with_end = with_begin.withColumn("__finish", clock.end(col("__slot"), col("__begin"), col("__double"), width_us))
    return (
        with_end.withColumn(START, F.timestamp_micros("__begin"))
        .withColumn("__end", F.timestamp_micros("__finish"))
        .drop("__at", "__slot", "__double", "__begin", "__finish")
    )
