"""The newest row of another table that was known at a row's time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Window, functions as F
from pyspark.sql.types import MapType, VariantType

from caudal.declarations.duration import seconds
from caudal.engine import marks
from caudal.engine.marks import KNOWN, quoted
from caudal.engine.moments import micros, to_micros
from caudal.engine.origins import Timeline, from_timeline, is_wall_time, timeline_rows
from caudal.engine.reach import looks_back
from caudal.errors import DeclarationProblem
from caudal.stages.features.registered import feature

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructField


@feature
def as_of_join(
    left: DataFrame,
    right: DataFrame,
    by: str | Sequence[str],
    *,
    left_time: str | None = None,
    right_time: str | None = None,
    tolerance: str | float | None = None,
) -> DataFrame:
    """Return each left row with the columns of the newest right row of the same key known at or before its time.

    Rows of both frames are sorted by time together and the last right row is carried forward: one sort, where a join by range would
    compare every left row with every earlier right row. Of right rows with the same key and time, the one whose other columns are
    greatest, compared from left to right, is taken: the same row in every run.

    Parameters
    ----------
    left, right : DataFrame
    by : key columns, in both; a null key matches no row
    left_time, right_time : str, optional, time columns; by default the marked event time of each. ``right_time`` must hold when
        the row is *known*: for windows of ``tumble`` that is ``window_end``
    tolerance : optional, the longest time that a right row stays valid. Without it an incremental run cannot know how many earlier
        days to read, so a day-partitioned table is recomputed as a whole

    Returns
    -------
    DataFrame, the rows and columns of ``left``, then the columns of ``right`` without its keys, null where no row matches; the right
    time is left out where the left frame has a column of that name

    Raises
    ------
    DeclarationProblem : unknown columns, columns in both frames, times of two types, a right time before the values are known
    """
    caller = "as_of_join"
    group = marks.names(by)
    marks.require_columns(left, group, caller)
    marks.require_columns(right, group, caller)
    left_column = marks.event_time(left, left_time, caller, "left_time")
    right_column = marks.event_time(right, right_time, caller, "right_time")
    added = _right_columns(left, right, group, left_column, right_column)
    time = looks_back(math.inf if tolerance is None else seconds(tolerance))
    keys = [F.col(quoted(name)) for name in group]
    right_values = F.struct(*(F.col(quoted(name)) for name in added), F.col(time).alias("__known_at"))
    left_values = F.struct(*(F.col(quoted(name)) for name in left.columns))
    left_rows = left.withColumn(time, micros(left, left_column, caller))
    right_rows = right.withColumn(time, micros(right, right_column, caller)).where(F.col(time).isNotNull())
    for key in keys:
        right_rows = right_rows.where(key.isNotNull())
    right_rows = right_rows.select(
        *(key.alias(f"__by_{place}") for place, key in enumerate(keys)), time, F.lit(0).alias("__asks"), right_values.alias("__right"),
        _tie_order(right, added).alias("__tie"), F.lit(None).alias("__left"),
    )  # fmt: skip
    left_rows = left_rows.select(
        *(key.alias(f"__by_{place}") for place, key in enumerate(keys)), time, F.lit(1).alias("__asks"), F.lit(None).alias("__right"),
        F.lit(None).alias("__tie"), left_values.alias("__left"),
    )  # fmt: skip
    by_time = Window.partitionBy(*(f"__by_{place}" for place in range(len(keys)))).orderBy(time, "__asks", "__tie")
    so_far = by_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    newest = F.last("__right", ignorenulls=True).over(so_far)
    joined = right_rows.unionByName(left_rows).withColumn("__found", newest)
    if tolerance is not None:
        recent = F.col(time) - F.col("__found.__known_at") <= to_micros(seconds(tolerance))
        joined = joined.withColumn("__found", F.when(recent, F.col("__found")))
    columns = [
        F.col(f"__left.{quoted(field.name)}").alias(field.name, metadata=field.metadata or {})
        for field in marks.marked_schema(left).fields
    ]
    right_schema = marks.marked_schema(right)

    def timeline() -> Timeline | None:
        local = is_wall_time(right, right_column)
        if local is None:
            return None

        def rows() -> DataFrame:
            newest_first = Window.partitionBy(*(F.col(quoted(name)) for name in group), time).orderBy(F.desc("__tie"))
            tied = right.withColumn(time, micros(right, right_column, caller)).withColumn("__tie", _tie_order(right, added))
            chosen = tied.withColumn("__place", F.row_number().over(newest_first)).where("__place = 1")
            return timeline_rows(chosen, group, F.col(time), [F.col(quoted(name)) for name in added], local)

        valid_us = None if tolerance is None else to_micros(seconds(tolerance))
        return Timeline(tuple(group), left_column, local, tuple(added), valid_us, rows)

    found_values = [
        (name, F.col(f"__found.{quoted(name)}").alias(name, metadata=_without_marks(right_schema[name]))) for name in added
    ]
    columns += [value.alias(name) for name, value in from_timeline(found_values, timeline).items()]
    return joined.where(F.col("__asks") == 1).select(*columns)


def _right_columns(left: DataFrame, right: DataFrame, group: Sequence[str], left_column: str, right_column: str) -> list[str]:
    """Return the columns of the right frame that the result gets, after checking that names and times fit."""
    right_type, left_type = right.schema[right_column].dataType, left.schema[left_column].dataType
    if right_type != left_type:
        raise DeclarationProblem(
            f"as_of_join compares '{left_column}' of type {left_type.simpleString()} with '{right_column}' of type {right_type.simpleString()}.",
            fix="Make both local wall time (timestamp_ntz) or both instants (timestamp): a cast is not a conversion between time zones.",
        )
    for field in marks.marked_schema(right).fields:
        known_at = (field.metadata or {}).get(KNOWN)
        if known_at in right.columns and known_at != right_column and field.name not in (*group, right_column):
            raise DeclarationProblem(
                f"as_of_join would use '{field.name}' from '{right_column}' on, but it is known only at '{known_at}'.",
                fix=f'Pass right_time="{known_at}".',
                column=field.name,
            )
    added = [name for name in right.columns if name not in group and not (name == right_column and name in left.columns)]
    for name in added:
        if name in left.columns:
            raise DeclarationProblem(
                f"as_of_join: both frames have a column '{name}'.",
                fix=f'Rename it: right.withColumnRenamed("{name}", "…"), or drop it.',
                column=name,
            )
    return added


def _tie_order(right: DataFrame, added: Sequence[str]) -> Column:
    """Return the order of right rows with the same key and time; maps cannot be ordered and are left out."""
    orderable = [name for name in added if not isinstance(right.schema[name].dataType, MapType | VariantType)]
    return F.struct(*(F.col(quoted(name)) for name in orderable)) if orderable else F.lit(0)


def _without_marks(field: StructField) -> dict[str, object]:
    """Return a right column's metadata without caudal's marks: keys and times of the right rows are not those of the joined rows."""
    return {key: value for key, value in (field.metadata or {}).items() if not key.startswith("caudal.")}
