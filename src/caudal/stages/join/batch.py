"""The rows of a join over all that is captured at once, by Spark: those that the stream gives as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from caudal.declarations.join import Shape
from caudal.engine.marks import KNOWN, quoted
from caudal.errors import StepFailed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_INTEGERS, _NUMBERS = ("tinyint", "smallint", "int", "bigint"), ("float", "double")


def batch(
    left: DataFrame, right: DataFrame, shape: Shape, known: Mapping[str, str] | None = None, given_us: int | None = None
) -> DataFrame:
    """Return the rows of a join; a row of a stream that comes twice counts once.

    Parameters
    ----------
    known : column → the column that tells when it is known; goes to the columns' metadata
    given_us : left rows without a match are given before this moment only; None: all of them, where the join gives such rows at all
    """
    from pyspark.sql import functions as F

    _alike(left, right, shape)
    mine = _once(left, shape.left_keys, (*shape.left, *shape.on))
    theirs = _once(right, shape.right_keys, (*shape.right, *shape.on))
    names = {name: f"__right_{place}" for place, name in enumerate(dict.fromkeys((*shape.on, *shape.right)))}
    theirs = theirs.select(F.lit(True).alias("__matched"), *(F.col(quoted(name)).alias(other) for name, other in names.items()))
    equal = _all([F.col(quoted(name)) == F.col(names[name]) for name in shape.on])
    if shape.within_us is not None and shape.right_at is not None:
        at, moment = F.unix_micros(F.col(quoted(shape.left_at))), F.unix_micros(F.col(names[shape.right_at]))
        # Rows that are near lie in the same bucket of time, or in one beside it: so that a key's rows are not all compared with all.
        width, reach = F.lit(max(shape.within_us, 1)), F.lit(shape.within_us)
        mine = mine.withColumn("__bucket", F.floor(at / width))
        buckets = F.sequence(F.floor((moment - reach) / width), F.floor((moment + reach) / width))
        theirs = theirs.withColumn("__bucket_too", F.explode(buckets))
        equal = equal & (F.col("__bucket") == F.col("__bucket_too")) & (F.abs(at - moment) <= reach)
    both = mine.join(theirs, equal, shape.how)
    if shape.how == "left" and given_us is not None:
        both = both.where(F.col("__matched").isNotNull() | (F.unix_micros(F.col(quoted(shape.left_at))) < F.lit(given_us)))
    marks = {name: {KNOWN: told} for name, told in (known or {}).items()}
    ours = [F.col(quoted(name)).alias(name, metadata=marks.get(name, {})) for name in shape.left]
    return both.select(*ours, *(F.col(names[name]).alias(as_, metadata=marks.get(as_, {})) for name, as_ in shape.right.items()))


def _once(rows: DataFrame, keys: tuple[str, ...], columns: tuple[str, ...]) -> DataFrame:
    """Return columns of rows, those without a key as often as they come; a channel that is declared but has not come yet is null."""
    from pyspark.sql import functions as F

    wanted = dict.fromkeys((*keys, *columns))
    there = [F.col(quoted(name)) if name in rows.columns else F.lit(None).cast("float").alias(name) for name in wanted]
    chosen = rows.select(*there)
    return chosen.dropDuplicates(list(keys)) if keys else chosen


def _all(conditions: list[Column]) -> Column:
    found = conditions[0]
    for condition in conditions[1:]:
        found = found & condition
    return found


def _alike(left: DataFrame, right: DataFrame, shape: Shape) -> None:
    """Hold that columns that have to be equal can be."""
    for name in shape.on:
        kinds = [frame.schema[name].dataType.simpleString() for frame in (left, right)]
        if kinds[0] != kinds[1] and not any(all(kind in family for kind in kinds) for family in (_INTEGERS, _NUMBERS)):
            raise StepFailed(
                f"Join '{shape.name}' is on '{name}', which is {kinds[0]} on the left and {kinds[1]} on the right.",
                fix="Cast one of them in a table of its own.", where=shape.where, table=shape.name, column=name,
            )  # fmt: skip
