"""Aggregates by name: ``pickups="count"``, ``fare_usd="avg"``, ``miles=("sum", "trip_miles")``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pyspark.sql import Column, functions as F
from pyspark.sql.types import BooleanType, NumericType

from caudal.engine.exact import Aggregate, exact_mean, exact_sum, sorted_std
from caudal.engine.marks import quoted, require_columns
from caudal.errors import DeclarationProblem, nearest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

ADDITIVE = ("count", "sum")  # without rows they are 0; a mean without rows is null


def aggregate(frame: DataFrame, name: str, declared: object, caller: str) -> Aggregate:
    """Return the aggregate that a user declared.

    Parameters
    ----------
    name : str, the column of the result
    declared : ``"count"`` counts rows; the name of another statistic applies to the column ``name``; a pair names statistic and column;
        a Column (an aggregate expression of PySpark) is used unchanged

    Raises
    ------
    DeclarationProblem : no such statistic or column, or a statistic of numbers applied to another type
    """
    if isinstance(declared, Column):
        return _single(declared)
    statistic, column = parse_aggregate(name, declared, caller)
    if column is None:
        return _single(F.count(F.lit(1)))
    require_columns(frame, [column], caller)
    kind = frame.schema[column].dataType
    if statistic in _OF_NUMBERS and not _is_number(kind):
        raise DeclarationProblem(
            f"{caller} cannot compute the {statistic} of '{column}', which is of type {kind.simpleString()}.",
            fix="Use count, count_distinct, min or max, or cast the column.",
            column=column,
        )
    if statistic == "sum":
        return exact_sum(quoted(column), kind, f"sum of '{column}'")
    return STATISTICS[statistic](quoted(column), kind)


def parse_aggregate(name: str, declared: object, caller: str) -> tuple[str, str | None]:
    """Return statistic and column of a declared aggregate; None for the column of a count of rows."""
    statistic, column = declared if isinstance(declared, tuple | list) and len(declared) == 2 else (declared, None)
    if not isinstance(statistic, str) or not isinstance(column, str | None) or statistic not in STATISTICS:
        raise DeclarationProblem(
            f"{caller} has {name}={declared!r}, which is no aggregate.",
            nearest=nearest(statistic, STATISTICS) if isinstance(statistic, str) else None,
            fix=f'Write {name}="count", {name}="avg", {name}=("sum", "column") or an aggregate of PySpark; there are {", ".join(STATISTICS)}.',
        )
    return statistic, (None if statistic == "count" else name) if column is None else column


def _is_number(kind: DataType) -> bool:
    return isinstance(kind, NumericType | BooleanType)


def _single(aggregate: Column) -> Aggregate:
    return Aggregate([aggregate], lambda parts: F.col(parts[0]))


def _count(value: str, kind: DataType) -> Aggregate:
    return _single(F.count(F.col(value)))


def _count_distinct(value: str, kind: DataType) -> Aggregate:
    return _single(F.count_distinct(F.col(value)))


def _std(value: str, kind: DataType) -> Aggregate:
    return Aggregate([F.collect_list(F.col(value).cast("double"))], lambda parts: sorted_std(F.col(parts[0])))


def _min(value: str, kind: DataType) -> Aggregate:
    return _single(F.min(F.col(value)))


def _max(value: str, kind: DataType) -> Aggregate:
    return _single(F.max(F.col(value)))


# Each function takes a column's quoted name and its type.
STATISTICS: Mapping[str, Callable[[str, DataType], Aggregate]] = {
    "count": _count, "count_distinct": _count_distinct, "sum": exact_sum, "avg": exact_mean, "mean": exact_mean, "min": _min, "max": _max,
    "std": _std,
}  # fmt: skip
_OF_NUMBERS = ("sum", "avg", "mean", "std")
