"""Aggregates by name: ``pickups="count"``, ``fare_usd="avg"``, ``miles=("sum", "trip_miles")``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from caudal.errors import DeclarationProblem, nearest
from caudal.spark.exact import Aggregate, exact_mean, exact_sum, sorted_std
from caudal.spark.marks import need, quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

ADDITIVE = ("count", "sum")  # of no rows they are 0; a mean of no rows is nothing


def aggregate(frame: DataFrame, name: str, said: Any, asking: str) -> Aggregate:
    """Return the aggregate that a user named.

    Parameters
    ----------
    name : str, the column that it becomes
    said : ``"count"`` counts rows; another statistic's name is taken of the column ``name``; a pair names statistic and column;
        a Column (an aggregate expression of PySpark) is taken as it is

    Raises
    ------
    DeclarationProblem : no such statistic or column, or a statistic of numbers is asked of something else
    """
    from pyspark.sql import Column, functions as F
    from pyspark.sql.types import BooleanType

    if isinstance(said, Column):
        return _plain(said)
    statistic, column = parsed(name, said, asking)
    if column is None:
        return _plain(F.count(F.lit(1)))
    need(frame, [column], asking)
    kind = frame.schema[column].dataType
    if statistic in _OF_NUMBERS and not _is_number(kind):
        raise DeclarationProblem(
            f"{asking} asks for the {statistic} of '{column}', which is of type {kind.simpleString()}.",
            fix="Use count, count_distinct, min or max, or cast the column.",
            column=column,
        )
    if statistic == "sum" and not isinstance(kind, BooleanType):
        return exact_sum(F.col(quoted(column)), kind, f"sum of '{column}'")
    return STATISTICS[statistic](F.col(quoted(column)), kind)


def parsed(name: str, said: Any, asking: str) -> tuple[str, str | None]:
    """Return statistic and column of an aggregate by name; no column for a count of rows."""
    statistic, column = said if isinstance(said, tuple | list) and len(said) == 2 else (said, None)
    if not isinstance(statistic, str) or not isinstance(column, str | None) or statistic not in STATISTICS:
        raise DeclarationProblem(
            f"{asking} has {name}={said!r}, which is no aggregate.",
            nearest=nearest(statistic, STATISTICS) if isinstance(statistic, str) else None,
            fix=f'Write {name}="count", {name}="avg", {name}=("sum", "column") or an aggregate of PySpark; there are {", ".join(STATISTICS)}.',
        )
    return statistic, (None if statistic == "count" else name) if column is None else column


def _plain(aggregate: Column) -> Aggregate:
    return Aggregate([aggregate], lambda parts: parts[0])


def _is_number(kind: DataType) -> bool:
    from pyspark.sql.types import BooleanType, NumericType

    return isinstance(kind, NumericType | BooleanType)


def _count(value: Column, kind: DataType) -> Aggregate:
    from pyspark.sql import functions as F

    return _plain(F.count(value))


def _count_distinct(value: Column, kind: DataType) -> Aggregate:
    from pyspark.sql import functions as F

    return _plain(F.count_distinct(value))


def _sum(value: Column, kind: DataType) -> Aggregate:
    from pyspark.sql.types import BooleanType

    return exact_sum(value.cast("int") if isinstance(kind, BooleanType) else value, kind)


def _mean(value: Column, kind: DataType) -> Aggregate:
    from pyspark.sql.types import BooleanType

    return exact_mean(value.cast("int") if isinstance(kind, BooleanType) else value, kind)


def _std(value: Column, kind: DataType) -> Aggregate:
    from pyspark.sql import functions as F

    return Aggregate([F.collect_list(value.cast("double"))], lambda parts: sorted_std(parts[0]))


def _min(value: Column, kind: DataType) -> Aggregate:
    from pyspark.sql import functions as F

    return _plain(F.min(value))


def _max(value: Column, kind: DataType) -> Aggregate:
    from pyspark.sql import functions as F

    return _plain(F.max(value))


STATISTICS: Mapping[str, Callable[[Column, DataType], Aggregate]] = {
    "count": _count, "count_distinct": _count_distinct, "sum": _sum, "avg": _mean, "mean": _mean, "min": _min, "max": _max, "std": _std,
}  # fmt: skip
_OF_NUMBERS = ("sum", "avg", "mean", "std")
