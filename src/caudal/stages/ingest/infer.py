"""The types of columns that are text and that nobody declared: the narrowest one that every value has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caudal.stages.ingest.physical import Options
from caudal.stages.ingest.text import cleaned, parsed, written

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# In this order: a whole number is also a number, a date is also a time.
CANDIDATES = ("long", "double", "boolean", "date", "timestamp")
SAMPLE = 1000
Counts = dict[str, int]  # how many values are of each candidate, and of any kind under ""


def count(frame: DataFrame, names: Sequence[str], options: Options, tz: str) -> dict[str, Counts]:
    """Return for each text column (``_r0``, ``_r1`` … named by ``names``) how many values are of each type.

    The first rows tell which types are possible; only those are counted over all rows, in one pass.
    """
    columns = dict(enumerate(names))
    sample = _counted(frame.limit(SAMPLE), dict.fromkeys(columns, CANDIDATES), options, tz)
    possible = {i: tuple(type for type in CANDIDATES if sample[i][type] == sample[i][""]) for i in columns}
    counts = _counted(frame, {i: types for i, types in possible.items() if types}, options, tz)
    return {name: counts.get(i, sample[i]) for i, name in columns.items()}


def _counted(frame: DataFrame, columns: dict[int, tuple[str, ...]], options: Options, tz: str) -> dict[int, Counts]:
    from pyspark.sql import functions as F

    if not columns:
        return {}
    sums = []
    for i, types in columns.items():
        text = F.col(f"_r{i}")
        sums.append(F.count_if(written(text, "long", options)).alias(f"{i}:"))
        text = cleaned(text, options)
        for type in types:
            value = parsed(text, type, options, tz)
            if type in ("long", "double"):
                # '007' and twenty digits are names of things, not amounts: as numbers they would lose their zeros or their ends.
                value = F.when(~text.rlike(r"^[+-]?0\d|^[^.eE]{17,}$"), value)
            elif type == "boolean":
                value = F.when(F.lower(text).isin("true", "false"), value)
            sums.append(F.count(value).alias(f"{i}:{type}"))
    row = frame.agg(*sums).first()
    assert row is not None
    return {i: {type: row[f"{i}:{type}"] for type in ("", *types)} for i, types in columns.items()}


def decide(counts: Sequence[Counts]) -> str:
    """Return the type of a column from the counts of all files that have it.

    Examples
    --------
    >>> decide([{"": 3, "long": 3, "double": 3}, {"": 2, "long": 1, "double": 2}])
    'double'
    >>> decide([{"": 3, "long": 2, "double": 2}]), decide([{"": 0}])
    ('string', 'string')
    """
    total = sum(one[""] for one in counts)
    for type in CANDIDATES:
        if total and sum(one.get(type, 0) for one in counts) == total:
            return type
    return "string"
