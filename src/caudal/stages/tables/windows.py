"""Put rows into windows of fixed width: quarter-hours, hours and days from one declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from caudal.declarations.duration import seconds, text
from caudal.declarations.zone import zone
from caudal.engine import reach
from caudal.engine.clock import Clock, windowed
from caudal.engine.marks import EVENT_TIME, KEY, KNOWN, STEP_S, event_time, marked, names, quoted, require_columns
from caudal.engine.moments import DAY_S, micros
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.tables.aggregates import ADDITIVE, aggregate, parse_aggregate
from caudal.stages.tables.gaps import fill_gaps

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

START, END = "window_start", "window_end"


@dataclass(frozen=True)
class Windows:
    """Rows put into windows; ``agg`` aggregates them."""

    frame: DataFrame
    width_s: int
    by: tuple[str, ...]
    time: str

    def agg(
        self,
        *,
        fill: float | Mapping[str, object] | None = None,
        keys: DataFrame | None = None,
        **aggregates: str | tuple[str, str] | Column,
    ) -> DataFrame:
        """Return one row per key and window that has rows: the ``by`` columns, ``window_start``, ``window_end``, the aggregates.

        Sums, means and ``std`` of doubles are the same to the bit in every order of the rows (see ``caudal.engine.exact``).
        An aggregate of PySpark given as a Column is only as reproducible as Spark makes it.

        Parameters
        ----------
        fill : optional, adds windows without a row (see ``fill_gaps``). A mapping gives the value of each aggregate in them; the
            others are null. A number is the value of counts and sums; a mean of no rows stays null
        keys : DataFrame, optional, the keys that get every window of every day; without it, those seen on that day
        **aggregates : ``pickups="count"`` counts rows; ``fare_usd="avg"`` is the mean of the column of that name;
            ``miles=("sum", "trip_miles")`` names another column; or an aggregate of PySpark. There are count, count_distinct,
            sum, avg (or mean), min, max and std (sample)

        Raises
        ------
        DeclarationProblem : unknown statistic or column, a name used twice, no aggregate
        """
        caller = f'tumble(…, "{text(self.width_s)}").agg'
        self._check_names(aggregates, fill, caller)

        # The parts get temporary names: under the final ones, Spark could use one aggregate's result as another's input.
        by_name = {name: aggregate(self.frame, name, declared, caller) for name, declared in aggregates.items()}
        places = {name: [f"__{number}_{part}" for part in range(len(by_name[name].parts))] for number, name in enumerate(by_name)}
        parts = [part.alias(place) for name in by_name for part, place in zip(by_name[name].parts, places[name], strict=True)]
        frame, window = self._assign_windows(caller)
        grouped = frame.groupBy(*(F.col(quoted(name)) for name in self.by), window).agg(*parts)
        result = grouped.select(
            *(marked(name, **{KEY: True}) for name in self.by),
            F.col("__window.start").alias(START, metadata={EVENT_TIME: True, STEP_S: self.width_s}),
            F.col("__window.end").alias(END, metadata={STEP_S: self.width_s}),
            *(parts_.value(places[name]).alias(name, metadata={KNOWN: END}) for name, parts_ in by_name.items()),
        )
        if fill is None and keys is None:
            return result
        return fill_gaps(result, self._values(fill, aggregates, caller), keys=keys)

    def _assign_windows(self, caller: str) -> tuple[DataFrame, Column]:
        """Return the rows that have a time, and the window that each is in: a struct of start and end."""
        column = F.col(quoted(self.time))
        if not isinstance(self.frame.schema[self.time].dataType, TimestampType) or Clock(zone()).steady:
            return self.frame, F.window(column, f"{self.width_s} seconds").alias("__window")
        frame = windowed(self.frame.where(column.isNotNull()), micros(self.frame, self.time, caller), self.width_s, zone())
        return frame, F.struct(F.col(reach.START).alias("start"), F.col("__end").alias("end")).alias("__window")

    def _check_names(self, aggregates: Mapping[str, object], fill: object, caller: str) -> None:
        if not aggregates:
            raise DeclarationProblem(f"{caller} got no aggregate.", fix='Name one: .agg(rows="count").')
        reserved = (*self.by, START, END)
        for name in aggregates:
            if name in reserved:
                raise DeclarationProblem(
                    f"{caller} names an aggregate '{name}', which is already a key or an end of the window.", fix="Rename it."
                )
        for name in fill if isinstance(fill, Mapping) else ():
            if name not in aggregates:
                raise DeclarationProblem(
                    f"{caller} got a fill value for '{name}', which is not an aggregate.",
                    nearest=nearest(name, aggregates),
                    fix=f"Its aggregates are {', '.join(aggregates)}.",
                )

    def _values(self, fill: object, aggregates: Mapping[str, object], caller: str) -> Mapping[str, object]:
        if fill is None or isinstance(fill, Mapping):
            return fill or {}
        named = {name: declared for name, declared in aggregates.items() if isinstance(declared, str | tuple | list)}
        return {name: fill for name, declared in named.items() if parse_aggregate(name, declared, caller)[0] in ADDITIVE}


def tumble(
    frame: DataFrame, width: str | float = "15 minutes", *, by: str | Sequence[str] = (), time: str | None = None
) -> Windows:
    """Return the rows of a frame put into windows that follow one another without overlap and never cross midnight.

    ``cd.tumble(trips, "15 minutes", by=["zone"]).agg(pickups="count", fare_usd="avg")``

    Windows are cut at local midnight: for wall time (TIMESTAMP_NTZ) that of the column, for instants (TIMESTAMP) by the clocks of the
    product's zone (UTC outside of a product; ``cd.in_zone`` sets another). Where clocks change, a day of instants has 23 or 25 hours, and an
    hour that occurs twice is two windows (docs/adr/0017). Rows without a time are in no window; a null key is a key.

    Parameters
    ----------
    frame : DataFrame, one row per event
    width : length of a window; it divides a day
    by : key columns; each combination has separate windows
    time : str, optional, the time column; by default the event time declared on the source or table

    Raises
    ------
    DeclarationProblem : the width does not divide a day, or the time column is unknown or not a timestamp
    """
    caller = "tumble"
    length = seconds(width)
    if length <= 0 or length != int(length) or DAY_S % length:
        raise DeclarationProblem(
            f"tumble got a width of {text(length)}, which does not divide a day.",
            fix="Windows never cross midnight; use whole seconds that divide a day, such as '15 minutes', '1 hour' or '1 day'.",
            width=width,
        )
    by = names(by)
    require_columns(frame, by, caller)
    column = event_time(frame, time, caller, "time")
    micros(frame, column, caller)  # raises a clear error where it is not a time
    return Windows(frame, int(length), tuple(by), column)
