"""``past_mean``: the mean over rows of the same kind whose value was known before a row's time (a target statistic that does not see the future)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window, functions as F
from pyspark.sql.types import BooleanType, NumericType

from caudal.declarations.duration import seconds
from caudal.engine import marks
from caudal.engine.clock import is_elapsed, time_axis
from caudal.engine.exact import addends, finite, mean
from caudal.engine.marks import quoted
from caudal.engine.moments import to_micros
from caudal.engine.origins import Timeline, from_timeline, is_wall_time, timeline_rows
from caudal.engine.reach import looks_back
from caudal.errors import DeclarationProblem
from caudal.stages.features.registered import feature

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType


@feature
def past_mean(
    frame: DataFrame,
    column: str | Sequence[str],
    by: str | Sequence[str],
    *,
    window: str | float,
    order: str | None = None,
    known: str | None = None,
    name: str | Sequence[str] | None = None,
) -> DataFrame:
    """Return the frame with the mean of ``column`` over rows of the same ``by`` that happened within ``window`` before a row and
    whose value was known before it: the mean duration of the trips between two zones that had *ended* when this one began.

    A row at time t uses the rows r with ``t − window ≤ r.order`` and ``r.known < t``; neither itself nor another row of the same
    moment. Each row becomes three entries on a timeline (it reads the sums at ``order``, adds its value at ``known`` and subtracts it
    at ``order + window``); running sums over integers then give every mean in one sort, exactly, without a join.

    Parameters
    ----------
    frame : DataFrame, one row per event
    column : column or columns of numbers; null, NaN and infinity are left out
    by : columns that define a kind; ``[]`` makes all rows one kind
    window : how far a row looks back, by the time of the event; for instants counted as in `rolling`
    order : str, optional, when a row happened; by default the marked event time
    known : str, optional, when its value is known (``dropoff_at``), at the earliest when the row happened; by default ``order``. A
        row whose ``known`` is null is never used
    name : optional, name of the new column (one for each column); by default such as ``duration_min_past_mean_7_days``

    Raises
    ------
    DeclarationProblem : unknown columns, a column that is not of numbers, a window of no length, times of two types
    """
    caller = "past_mean"
    columns, group = marks.names(column), marks.names(by)
    time = marks.event_time(frame, order, caller, "order")
    known_column = known or time
    marks.require_columns(frame, [*columns, *group, known_column], caller)
    length = to_micros(seconds(window))
    if length <= 0:
        raise DeclarationProblem(f"past_mean got window={window!r}.", fix="A window has to be longer than zero.")
    if frame.schema[time].dataType != frame.schema[known_column].dataType:
        raise DeclarationProblem(
            f"past_mean: '{time}' and '{known_column}' are times of two types.", fix="Make both local wall time or both instants."
        )
    names = _names(columns, name, window)
    at = looks_back(seconds(window))
    for value_column in columns:
        if not isinstance(kind := frame.schema[value_column].dataType, NumericType | BooleanType):
            raise DeclarationProblem(
                f"past_mean got the column '{value_column}', which is of type {kind.simpleString()}.",
                fix="Name a column of numbers.",
                column=value_column,
            )

    row_time, known_at = time_axis(frame, [time, known_column], caller)
    entries = _Entries(row_time, known_at, length)
    kinds = {value_column: frame.schema[value_column].dataType for value_column in columns}
    row_values = F.struct(*(F.col(quoted(column)) for column in frame.columns))
    at_rows = _means(frame, group, kinds, entries.of_rows(), at, F.when(F.col("__entry.sign") == 0, row_values))

    def timeline() -> Timeline | None:
        local = is_wall_time(frame, time)
        if local is None or not is_elapsed(frame, [time, known_column]):
            return None

        def rows() -> DataFrame:
            changes = _means(frame, group, kinds, entries.of_changes(), at, F.lit(None))
            keys = [F.col(f"__by_{place}") for place in range(len(group))]
            values = [F.col(f"__mean_{place}") for place in range(len(columns))]
            return timeline_rows(changes, keys, F.col(at), values, local).distinct()

        return Timeline(tuple(group), time, local, tuple(names), None, rows)

    means = [(name, F.when(F.col(at).isNotNull(), F.col(f"__mean_{place}"))) for place, name in enumerate(names)]
    return at_rows.select(
        *(
            F.col(f"__row.{quoted(field.name)}").alias(field.name, metadata=field.metadata or {})
            for field in marks.marked_schema(frame).fields
        ),
        *(value.alias(name) for name, value in from_timeline(means, timeline).items()),
    )


@dataclass(frozen=True)
class _Entries:
    """What each row puts on the timeline: its value when it is known, minus its value when its window has passed, and questions (sign 0)."""

    row_time: Column
    known_at: Column
    length: int

    @property
    def added_at(self) -> Column:
        return F.greatest(self.row_time, self.known_at)

    @property
    def is_counted(self) -> Column:
        # A value known only after its window has passed never counts; its entry would be subtracted before it is added.
        are_there = self.added_at.isNotNull() & self.row_time.isNotNull() & self.known_at.isNotNull()
        return are_there & (self.added_at - self.row_time <= self.length)

    def of_rows(self) -> Column:
        """Return the entries by which each row asks for the means at its own time."""
        row_entry = [_entry(self.row_time, 0)]
        return F.when(self.is_counted, F.array(*row_entry, *self._values())).otherwise(F.array(*row_entry))

    def of_changes(self) -> Column:
        """Return the entries by which the means are asked for right after each change."""
        questions = [_entry(self.added_at + 1, 0), _entry(self.row_time + self.length + 1, 0)]
        return F.when(self.is_counted, F.array(*questions, *self._values()))

    def _values(self) -> list[Column]:
        return [_entry(self.added_at, 1), _entry(self.row_time + self.length, -1)]


def _entry(at: Column, sign: int) -> Column:
    return F.struct(at.alias("at"), F.lit(sign).alias("sign"))


def _means(
    frame: DataFrame, group: Sequence[str], kinds: Mapping[str, DataType], entries: Column, at: str, row: Column
) -> DataFrame:
    """Return ``__by_<n>``, the time, the row and ``__mean_<n>`` for each question among the entries."""
    exploded = frame.withColumn("__entry", F.explode(entries))
    sign = F.col("__entry.sign")
    addends_by_name = {}  # the values that each row adds to the sums
    remainders = {}
    for place, (value_column, kind) in enumerate(kinds.items()):
        value = quoted(value_column)
        parts = addends(value, kind)
        addends_by_name[f"__{place}_0"] = F.when(sign != 0, F.when(F.expr(finite(value, kind)).isNotNull(), sign))
        for number, digit in enumerate(parts.digits):
            addends_by_name[f"__{place}_{number + 1}"] = F.when(sign != 0, F.expr(digit) * sign)
        if parts.rest is not None:
            remainders[f"__{place}_rest"] = F.when(sign != 0, F.expr(parts.rest) * sign)
    narrow = exploded.select(
        *(F.col(quoted(value_column)).alias(f"__by_{place}") for place, value_column in enumerate(group)), F.col("__entry.at").alias(at),
        (sign == 0).alias("__asks"), row.alias("__row"),
        *(row_entry.alias(key) for key, row_entry in (addends_by_name | remainders).items()),
    )  # fmt: skip
    ordered = Window.partitionBy(*(f"__by_{place}" for place in range(len(group)))).orderBy(at)
    before = ordered.rangeBetween(Window.unboundedPreceding, -1)
    sums = {f"{key}_sum": F.coalesce(F.sum(key).over(before), F.lit(0)) for key in addends_by_name}
    lists = {f"{key}_sum": F.collect_list(key).over(before) for key in remainders}
    at_questions = narrow.withColumns(sums | lists).where("__asks")
    means = []
    for place, kind in enumerate(kinds.values()):
        count, *digits = (key for key in sums if key.startswith(f"__{place}_"))
        remainder = f"__{place}_rest_sum" if f"__{place}_rest" in remainders else None
        mean_column = F.when(F.col(count) > 0, F.expr(mean(digits, remainder, kind, count)))
        means.append(mean_column.alias(f"__mean_{place}"))
    return at_questions.select(*(f"__by_{place}" for place in range(len(group))), at, "__row", *means)


def _names(columns: Sequence[str], name: str | Sequence[str] | None, window: str | float) -> list[str]:
    if name is None:
        return [f"{column}_past_mean_{marks.duration_name(window)}" for column in columns]
    names = marks.names(name)
    if len(names) != len(columns):
        raise DeclarationProblem(
            f"past_mean adds {len(columns)} columns and got {len(names)} names.", fix="Give a name for each column."
        )
    return names
