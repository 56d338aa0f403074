"""Infer the types of undeclared text columns: the narrowest type that every value has, as it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.protocol import require_capability
from caudal.stages.ingest.forms import ColumnForms, types
from caudal.stages.ingest.physical import Options
from caudal.stages.ingest.text import has_value, without_loss, without_null_words

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# In this order: an integer is also a number, a date is also a time.
CANDIDATES = ("long", "double", "boolean", "date", "timestamp")
ANY = frozenset(CANDIDATES)  # the possible types of a column without a value
# The possible types of a column whose cells have a type, such as a workbook's.
_OF_CELLS = {"long": frozenset({"long", "double"}), "date": frozenset({"date", "timestamp"})}
_SAMPLED_ROWS, _SAMPLED_VALUES = 1000, 200_000


def possible_types(
    frame: DataFrame,
    names: Sequence[str],
    options: Options,
    tz: str,
    *,
    small: bool = False,
    column_forms: Mapping[str, ColumnForms] | None = None,
) -> dict[str, frozenset[str]]:
    """Return for each text column (``_r0``, ``_r1`` … named by ``names``) the types that all its values have.

    Rows of the wrong width, which go to quarantine, do not count. The first rows show which types are possible; only those are tried
    on all rows. For a ``small`` frame all types are tried on all rows at once. Where ``column_forms`` are given, only
    columns whose type they do not decide are read. Columns are turned into rows of (column, value), so that Spark plans one expression,
    however many columns there are.
    """
    all_types = dict.fromkeys(range(len(names)), ANY)
    if column_forms is not None:
        by_column = {i: types(column_forms[name].rows, ANY) for i, name in enumerate(names)}
        undecided = {i: possible for i, (possible, is_decided) in by_column.items() if not is_decided}
        by_forms = {i: possible for i, (possible, _) in by_column.items()}
        if undecided:
            by_forms |= _drop_contradicted(_rows(frame), undecided, options, tz)
        return {names[i]: types for i, types in by_forms.items()}
    frame = _rows(frame)
    if small:
        return {names[i]: types for i, types in (all_types | _drop_contradicted(frame, all_types, options, tz)).items()}
    rows = min(_SAMPLED_ROWS, max(20, _SAMPLED_VALUES // max(1, len(names))))
    possible = all_types | _drop_contradicted(frame.limit(rows), all_types, options, tz)
    return {names[i]: types for i, types in (possible | _drop_contradicted(frame, possible, options, tz)).items()}


def _rows(frame: DataFrame) -> DataFrame:
    """Return the frame without lines of the wrong width; to ask a frame for its columns takes Spark and Sail a while where they are many."""
    return frame.where("_line is null") if "_line" in frame.columns else frame


def _drop_contradicted(
    frame: DataFrame, possible: dict[int, frozenset[str]], options: Options, tz: str
) -> dict[int, frozenset[str]]:
    """Return the possible types that no value contradicts, for the columns that have a possible type and a value."""
    columns = [i for i, types in possible.items() if types]
    if not columns:
        return {}
    require_capability(session_engine(frame.sparkSession), Capability.TEXT_PARSING, "Finding the type of a column by its texts")
    bits = {type: 1 << place for place, type in enumerate(CANDIDATES)}
    masks = F.lit([sum(bits[type] for type in possible[i]) for i in columns])
    values = frame.select(F.posexplode(F.array(*(F.col(f"_r{i}") for i in columns))).alias("place", "raw"))
    values = values.where(has_value(F.col("raw"), "long", options)).withColumn("mask", F.element_at(masks, F.col("place") + 1))
    text = without_null_words(F.col("raw"), options)
    misfits = [
        F.count_if(F.when(F.col("mask").bitwiseAND(bit) != 0, without_loss(text, type, options, tz).isNull())).alias(type)
        for type, bit in bits.items()
    ]
    misfit_rows = values.groupBy("place").agg(*misfits).collect()
    return {i: frozenset(type for type in possible[i] if row[type] == 0) for row in misfit_rows for i in [columns[row["place"]]]}


def narrowest(possible: frozenset[str]) -> str:
    """Return the type of a column from the types that all its values have.

    Examples
    --------
    >>> narrowest(frozenset({"double", "long"})), narrowest(frozenset({"timestamp"})), narrowest(frozenset()), narrowest(ANY)
    ('long', 'timestamp', 'string', 'string')
    """
    return "string" if possible == ANY else next((type for type in CANDIDATES if type in possible), "string")


def of_cells(type: str) -> frozenset[str]:
    """Return the possible types of a column whose cells have this type, as in a workbook.

    Examples
    --------
    >>> sorted(of_cells("long")), sorted(of_cells("double")), sorted(of_cells("string"))
    (['double', 'long'], ['double'], [])
    """
    return _OF_CELLS.get(type, frozenset({type}) & ANY)
