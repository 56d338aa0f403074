"""Join all captured rows at once by Spark; the result has the same rows as the stream's join."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from caudal.declarations.join import JoinShape
from caudal.engine.marks import KNOWN, quoted
from caudal.errors import StepFailed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_INTEGERS, _NUMBERS = ("tinyint", "smallint", "int", "bigint"), ("float", "double")


def joined_rows(
    left: DataFrame,
    right: DataFrame,
    shape: JoinShape,
    known: Mapping[str, str] | None = None,
    unmatched_before_us: int | None = None,
) -> DataFrame:
    """Return the rows of a join; a stream's row that arrives twice counts once.

    Parameters
    ----------
    known : column → the column that holds when it is known; stored in the columns' metadata
    unmatched_before_us : left rows without a match are returned only before this moment; None returns all of them, if the join is a left join
    """
    _check_types(left, right, shape)
    left_rows = _distinct_rows(left, shape.left_keys, (*shape.left, *shape.on))
    right_rows = _distinct_rows(right, shape.right_keys, (*shape.right, *shape.on))
    names = {name: f"__right_{place}" for place, name in enumerate(dict.fromkeys((*shape.on, *shape.right)))}
    right_rows = right_rows.select(
        F.lit(True).alias("__matched"), *(F.col(quoted(name)).alias(renamed) for name, renamed in names.items())
    )
    condition = _all([F.col(quoted(name)) == F.col(names[name]) for name in shape.on])
    if shape.within_us is not None and shape.right_at is not None:
        left_time, right_time = F.unix_micros(F.col(quoted(shape.left_at))), F.unix_micros(F.col(names[shape.right_at]))
        # Close rows lie in the same bucket of time or in neighbouring ones, so that not all rows of a key are compared with all others.
        width, reach = F.lit(max(shape.within_us, 1)), F.lit(shape.within_us)
        left_rows = left_rows.withColumn("__bucket", F.floor(left_time / width))
        buckets = F.sequence(F.floor((right_time - reach) / width), F.floor((right_time + reach) / width))
        right_rows = right_rows.withColumn("__bucket_too", F.explode(buckets))
        condition = condition & (F.col("__bucket") == F.col("__bucket_too")) & (F.abs(left_time - right_time) <= reach)
    matched = left_rows.join(right_rows, condition, shape.how)
    if shape.how == "left" and unmatched_before_us is not None:
        matched = matched.where(
            F.col("__matched").isNotNull() | (F.unix_micros(F.col(quoted(shape.left_at))) < F.lit(unmatched_before_us))
        )
    marks = {name: {KNOWN: known_column} for name, known_column in (known or {}).items()}
    left_columns = [F.col(quoted(name)).alias(name, metadata=marks.get(name, {})) for name in shape.left]
    return matched.select(
        *left_columns, *(F.col(names[name]).alias(as_, metadata=marks.get(as_, {})) for name, as_ in shape.right.items())
    )


def _distinct_rows(rows: DataFrame, keys: tuple[str, ...], columns: tuple[str, ...]) -> DataFrame:
    """Return columns of rows, each key once (without keys, all rows); a declared channel that has not arrived yet is null."""
    names = dict.fromkeys((*keys, *columns))
    present = [F.col(quoted(name)) if name in rows.columns else F.lit(None).cast("float").alias(name) for name in names]
    chosen = rows.select(*present)
    return chosen.dropDuplicates(list(keys)) if keys else chosen


def _all(conditions: list[Column]) -> Column:
    combined = conditions[0]
    for condition in conditions[1:]:
        combined = combined & condition
    return combined


def _check_types(left: DataFrame, right: DataFrame, shape: JoinShape) -> None:
    """Raise StepFailed where the types of columns to compare cannot be equal."""
    for name in shape.on:
        kinds = [frame.schema[name].dataType.simpleString() for frame in (left, right)]
        if kinds[0] != kinds[1] and not any(all(kind in family for kind in kinds) for family in (_INTEGERS, _NUMBERS)):
            raise StepFailed(
                f"Join '{shape.name}' is on '{name}', which is {kinds[0]} on the left and {kinds[1]} on the right.",
                fix="Cast one of them in a separate table.", where=shape.where, table=shape.name, column=name,
            )  # fmt: skip
