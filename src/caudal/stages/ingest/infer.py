"""The types of columns that are text and that nobody declared: the narrowest one that every value has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caudal.stages.ingest.physical import Options
from caudal.stages.ingest.text import cleaned, parsed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# In this order: a whole number is also a number, a date is also a time.
CANDIDATES = ("long", "double", "boolean", "date", "timestamp")
Counts = dict[str, int]  # how many values are of each candidate, and of any kind under ""


def count(frame: DataFrame, names: Sequence[str], options: Options, tz: str) -> dict[str, Counts]:
    """Return for each text column (``_r0``, ``_r1`` … named by ``names``) how many values are of each type; one pass over all rows."""
    from pyspark.sql import functions as F

    sums = []
    for i, _ in enumerate(names):
        text = cleaned(F.col(f"_r{i}"), "long", options)
        sums.append(F.count(text).alias(f"{i}:"))
        # '007' and twenty digits are names of things, not amounts: as numbers they would lose their zeros or their ends.
        amount = ~text.rlike(r"^[+-]?0\d") & ((F.length(text) <= 16) | text.rlike(r"[.eE]"))
        for type in CANDIDATES:
            value = parsed(text, type, options, tz)
            if type in ("long", "double"):
                value = F.when(amount, value)
            elif type == "boolean":
                value = F.when(F.lower(text).isin("true", "false"), value)
            sums.append(F.count(value).alias(f"{i}:{type}"))
    row = frame.agg(*sums).first()
    assert row is not None
    return {name: {type: row[f"{i}:{type}"] for type in ("", *CANDIDATES)} for i, name in enumerate(names)}


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
