"""``past_mean``: the mean over rows of the same kind whose value was known before a row's time (a target statistic that does not see the future)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Window, functions as F
from pyspark.sql.types import BooleanType, NumericType

from caudal.declarations.duration import seconds
from caudal.engine import marks
from caudal.engine.clock import time_axis
from caudal.engine.exact import addends, finite, mean
from caudal.engine.marks import quoted
from caudal.engine.moments import to_micros
from caudal.engine.reach import looks_back
from caudal.errors import DeclarationProblem
from caudal.stages.features.registered import feature

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


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
    added_at = F.greatest(row_time, known_at)
    # A value known only after its window has passed never counts; its entry would be subtracted before it is added.
    is_counted = added_at.isNotNull() & row_time.isNotNull() & known_at.isNotNull() & (added_at - row_time <= length)
    row_entry = [F.struct(row_time.alias("at"), F.lit(0).alias("sign"))]
    entries = [
        *row_entry,
        F.struct(added_at.alias("at"), F.lit(1).alias("sign")),
        F.struct((row_time + length).alias("at"), F.lit(-1).alias("sign")),
    ]
    exploded = frame.withColumn("__entry", F.explode(F.when(is_counted, F.array(*entries)).otherwise(F.array(*row_entry))))
    sign = F.col("__entry.sign")
    addends_by_name = {}  # the values that each row adds to the sums
    remainders = {}
    for place, value_column in enumerate(columns):
        value, kind = quoted(value_column), frame.schema[value_column].dataType
        parts = addends(value, kind)
        addends_by_name[f"__{place}_0"] = F.when(sign != 0, F.when(F.expr(finite(value, kind)).isNotNull(), sign))
        for number, digit in enumerate(parts.digits):
            addends_by_name[f"__{place}_{number + 1}"] = F.when(sign != 0, F.expr(digit) * sign)
        if parts.rest is not None:
            remainders[f"__{place}_rest"] = F.when(sign != 0, F.expr(parts.rest) * sign)
    row_values = F.struct(*(F.col(quoted(column)) for column in frame.columns))
    narrow = exploded.select(
        *(F.col(quoted(value_column)).alias(f"__by_{place}") for place, value_column in enumerate(group)), F.col("__entry.at").alias(at),
        (sign == 0).alias("__asks"), F.when(sign == 0, row_values).alias("__row"),
        *(row_entry.alias(key) for key, row_entry in (addends_by_name | remainders).items()),
    )  # fmt: skip
    ordered = Window.partitionBy(*(f"__by_{place}" for place in range(len(group)))).orderBy(at)
    before = ordered.rangeBetween(Window.unboundedPreceding, -1)
    sums = {f"{key}_sum": F.coalesce(F.sum(key).over(before), F.lit(0)) for key in addends_by_name}
    lists = {f"{key}_sum": F.collect_list(key).over(before) for key in remainders}
    at_rows = narrow.withColumns(sums | lists).where("__asks")
    means = []
    for place, value_column in enumerate(columns):
        count, *digits = (key for key in sums if key.startswith(f"__{place}_"))
        remainder = f"__{place}_rest_sum" if f"__{place}_rest" in remainders else None
        mean_column = F.when(F.col(count) > 0, F.expr(mean(digits, remainder, frame.schema[value_column].dataType, count)))
        means.append(F.when(F.col(at).isNotNull(), mean_column).alias(names[place]))
    return at_rows.select(
        *(
            F.col(f"__row.{quoted(field.name)}").alias(field.name, metadata=field.metadata or {})
            for field in marks.marked_schema(frame).fields
        ),
        *means,
    )


def _names(columns: Sequence[str], name: str | Sequence[str] | None, window: str | float) -> list[str]:
    if name is None:
        return [f"{column}_past_mean_{marks.duration_name(window)}" for column in columns]
    names = marks.names(name)
    if len(names) != len(columns):
        raise DeclarationProblem(
            f"past_mean adds {len(columns)} columns and got {len(names)} names.", fix="Give a name for each column."
        )
    return names
