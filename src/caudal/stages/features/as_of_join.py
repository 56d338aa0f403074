"""The newest row of another table that was known at a row's time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caudal.declarations.duration import seconds
from caudal.engine import marks
from caudal.engine.marks import KNOWN, quoted
from caudal.engine.moments import micros, to_micros
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

    Both are put in one order of time and the last right row is carried forward: one sort, where a join by range would compare
    every left row with every earlier right row. Of right rows of the same key and time, the one whose other columns are greatest,
    read from left to right, is taken: the same one in every run.

    Parameters
    ----------
    left, right : DataFrame
    by : key columns, in both; a null key finds nothing
    left_time, right_time : str, optional, time columns; left out, the marked event time of each. ``right_time`` must tell when
        the row is *known*: for windows of ``tumble`` that is ``window_end``
    tolerance : optional, the longest that a right row stays valid. Without it an incremental run cannot know how many earlier
        days to read, and a day-partitioned table is made whole

    Returns
    -------
    DataFrame, the rows and columns of ``left``, then those of ``right`` but its keys, null where no row is found; the right time
    is left out where the left has a column of its name

    Raises
    ------
    DeclarationProblem : unknown columns, columns in both, times of two types, a right time before the values are known
    """
    from pyspark.sql import Window, functions as F

    asking = "as_of_join"
    group = marks.names(by)
    marks.require_columns(left, group, asking)
    marks.require_columns(right, group, asking)
    mine = marks.event_time(left, left_time, asking, "left_time")
    theirs = marks.event_time(right, right_time, asking, "right_time")
    added = _added(left, right, group, mine, theirs)
    at = looks_back(math.inf if tolerance is None else seconds(tolerance))
    keys = [F.col(quoted(name)) for name in group]
    carried = F.struct(*(F.col(quoted(name)) for name in added), F.col(at).alias("__known_at"))
    own = F.struct(*(F.col(quoted(name)) for name in left.columns))
    asks = left.withColumn(at, micros(left, mine, asking))
    tells = right.withColumn(at, micros(right, theirs, asking)).where(F.col(at).isNotNull())
    for key in keys:
        tells = tells.where(key.isNotNull())
    tells = tells.select(
        *(key.alias(f"__by_{place}") for place, key in enumerate(keys)), at, F.lit(0).alias("__asks"), carried.alias("__right"),
        _breaks_ties(right, added).alias("__tie"), F.lit(None).alias("__left"),
    )  # fmt: skip
    asks = asks.select(
        *(key.alias(f"__by_{place}") for place, key in enumerate(keys)), at, F.lit(1).alias("__asks"), F.lit(None).alias("__right"),
        F.lit(None).alias("__tie"), own.alias("__left"),
    )  # fmt: skip
    ordered = Window.partitionBy(*(f"__by_{place}" for place in range(len(keys)))).orderBy(at, "__asks", "__tie")
    so_far = ordered.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    found = F.last("__right", ignorenulls=True).over(so_far)
    joined = tells.unionByName(asks).withColumn("__found", found)
    if tolerance is not None:
        recent = F.col(at) - F.col("__found.__known_at") <= to_micros(seconds(tolerance))
        joined = joined.withColumn("__found", F.when(recent, F.col("__found")))
    columns = [
        F.col(f"__left.{quoted(field.name)}").alias(field.name, metadata=field.metadata or {}) for field in left.schema.fields
    ]
    columns += [F.col(f"__found.{quoted(name)}").alias(name, metadata=_without_marks(right.schema[name])) for name in added]
    return joined.where(F.col("__asks") == 1).select(*columns)


def _added(left: DataFrame, right: DataFrame, group: Sequence[str], mine: str, theirs: str) -> list[str]:
    """Return the right's columns that the left gets; hold that names and times fit."""
    there, here = right.schema[theirs].dataType, left.schema[mine].dataType
    if there != here:
        raise DeclarationProblem(
            f"as_of_join compares '{mine}' of type {here.simpleString()} with '{theirs}' of type {there.simpleString()}.",
            fix="Make both local wall time (timestamp_ntz) or both instants (timestamp): a cast is not a conversion between time zones.",
        )
    for field in right.schema.fields:
        known = (field.metadata or {}).get(KNOWN)
        if known in right.columns and known != theirs and field.name not in (*group, theirs):
            raise DeclarationProblem(
                f"as_of_join would show '{field.name}' from '{theirs}' on, but it is known at '{known}' only.",
                fix=f'Say right_time="{known}".',
                column=field.name,
            )
    added = [name for name in right.columns if name not in group and not (name == theirs and name in left.columns)]
    for name in added:
        if name in left.columns:
            raise DeclarationProblem(
                f"as_of_join: both frames have a column '{name}'.",
                fix=f'Rename it: right.withColumnRenamed("{name}", "…"), or drop it.',
                column=name,
            )
    return added


def _breaks_ties(right: DataFrame, added: Sequence[str]) -> Column:
    """Return what orders right rows of the same key and time; maps have no order and stay out."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import MapType, VariantType

    fit = [name for name in added if not isinstance(right.schema[name].dataType, MapType | VariantType)]
    return F.struct(*(F.col(quoted(name)) for name in fit)) if fit else F.lit(0)


def _without_marks(field: StructField) -> dict[str, Any]:
    """Return a right column's metadata without caudal's marks: keys and times of the right are none of the joined rows."""
    return {key: one for key, one in (field.metadata or {}).items() if not key.startswith("caudal.")}
