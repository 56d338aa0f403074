"""Physical columns → the schema's columns, with the reasons why a row does not keep its format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caudal.declarations.schema import element_of
from caudal.engine.marks import quoted
from caudal.engine.settings import WIDE_COLUMNS
from caudal.stages.ingest import forms
from caudal.stages.ingest.contract import Take
from caudal.stages.ingest.physical import WRONG_WIDTH, Options
from caudal.stages.ingest.text import cleaned, parsed, written
from caudal.stages.ingest.widen import decimal_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SPARK_TYPES = {"long": "bigint", "timestamp": "timestamp_ntz", "timestamp_utc": "timestamp_ltz"}
_REASONS = {
    "whole": "is not a whole number", "exact": "is too large for its type", "fits": "is out of the range of its type",
    "midnight": "has a time of day", "utf8": "is not text",
}  # fmt: skip
_IN_A_SECOND = {"s": 1, "ms": 1000}  # units of durations that are longer than a microsecond
_UNITS = {True: "has more microseconds than 64 bits hold", False: "is finer than a microsecond"}
_NOTHING = ("CAST(NULL AS array<string>) AS _format_errors", "CAST(NULL AS string) AS _raw")
_WORDS = {"long": "a whole number", "int": "a whole number", "double": "a number", "float": "a number", "boolean": "true or false",
          "date": "a date", "timestamp": "a time", "timestamp_utc": "a time"}  # fmt: skip


def spark_type(type: str) -> str:
    """Return Spark's word for a type of the schema."""
    inner = element_of(type)
    return f"array<{spark_type(inner)}>" if inner else SPARK_TYPES.get(type, type)


def typed(
    frame: DataFrame, takes: Sequence[Take], names: Sequence[str], options: Options, tz: str, texts: forms.Texts | None = None
) -> DataFrame:
    """Return the schema's columns, ``_file``, ``_format_errors`` and ``_raw``.

    Parameters
    ----------
    frame : DataFrame, the used columns as ``_r0``, ``_r1`` …, ``_file`` and, for text formats, ``_line``: the line where it is no row; with
        ``_fault`` the reader says why
    names : the file's names of ``_r0``, ``_r1`` …, in order
    texts : what is known of all values: columns whose values are all of the type have no faults to look for
    """
    from pyspark.sql import functions as F

    texts = texts or forms.Texts()
    at = {name: f"_r{i}" for i, name in enumerate(names)}
    reasons = [reason for take in takes if not _fits(take, texts) for reason in _reasons(take, at, options)]
    by_arrow = {
        take.field.name: (at[take.column.name], take.field.type)
        for take in takes
        if len(takes) > WIDE_COLUMNS and take.column is not None and take.column.name in texts.seen and _is_read(take, texts)
    }
    own = [quoted(take.field.name) for take in takes]
    values = {take.field.name: _value(take, at, options, tz) for take in takes if take.field.name not in by_arrow}
    if by_arrow:
        frame = forms.typed(frame, by_arrow, options, keep=bool(reasons))
        frame = frame.withColumns(values) if values else frame
    nothing = [F.lit(None).cast("array<string>").alias("_format_errors"), F.lit(None).cast("string").alias("_raw")]
    lines = "_line" in frame.columns
    named = [value.alias(name) for name, value in values.items()]
    if not reasons and not lines:
        return frame.selectExpr(*own, "_file", *_NOTHING) if by_arrow else frame.select(*named, "_file", *nothing)
    told = [name for name in ("_line", "_fault", "_number") if name in frame.columns]
    keep = {"ignoreNullFields": "false"}
    errors, raw = nothing
    if reasons:
        if not by_arrow:  # two steps, so that Spark computes a value once and looks at the result for its faults
            frame = frame.select(*named, *(f"_r{i}" for i in range(len(names))), "_file", *told)
            named = [F.col(name) for name in own]
        broken = _any([found for found, _ in reasons])
        said_of = F.array(*(F.when(found, F.lit(said)) for found, said in reasons))
        # Text has many reasons: array_compact, which whole-stage code generation leaves alone, gets them code of their own; together with
        # the parsing they would make one method too long for the JVM to compile. The few reasons of typed files stay in the scan's code.
        errors = F.when(broken, F.array_compact(said_of) if lines else F.array_except(said_of, F.array(F.lit(None).cast("string"))))
        as_read = (F.col(f"_r{i}").alias(name) for i, name in enumerate(names))
        raw = F.when(broken, F.to_json(F.struct(*as_read), keep) if names else F.lit("{}"))
    if lines:
        whole = F.col("_line").isNotNull()
        fault = F.col("_fault") if "_fault" in told else F.lit(WRONG_WIDTH)
        errors = F.when(whole, F.array(fault)).otherwise(errors)
        numbered = F.struct("_line", F.col("_number").alias("_line_number")) if "_number" in told else F.struct("_line")
        raw = F.when(whole, F.to_json(numbered, keep)).otherwise(raw)
    judged = {"_format_errors": errors.cast("array<string>"), "_raw": raw}
    if by_arrow:  # names in place of columns: PySpark asks Java some thirty times for each column that it is given
        return frame.withColumns(judged).selectExpr(*own, "_file", *judged)
    return frame.select(*named, "_file", *(column.alias(name) for name, column in judged.items()))


def _is_read(take: Take, texts: forms.Texts) -> bool:
    """Return whether Arrow makes the same values of a column as `_value`, in rows and in what goes to quarantine."""
    assert take.column is not None
    return take.rule == "text" and forms.reads(texts.seen[take.column.name].every, take.field.type)


def _fits(take: Take, texts: forms.Texts) -> bool:
    """Return whether it is known that every row has a value of the type, or may go without."""
    if take.column is None or take.rule != "text" or not take.field.nullable:
        return False
    name, type = take.column.name, take.field.type
    by_values = take.column.guess is None and type in texts.possible.get(name, ())
    return by_values or (name in texts.seen and forms.reads(texts.seen[name].rows, type))


def _any(conditions: list[Column]) -> Column:
    """Return whether any holds: as a balanced tree, since Spark walks a chain of thousands until its stack is full."""
    from pyspark.sql import functions as F

    if len(conditions) < 2:
        return conditions[0] if conditions else F.lit(False)
    half = len(conditions) // 2
    return _any(conditions[:half]) | _any(conditions[half:])


def _stored(take: Take, at: dict[str, str]) -> Column:
    """Return the file's column; times and durations that are counts in microseconds, null where they have a part of one."""
    from pyspark.sql import functions as F

    assert take.column is not None
    name = at[take.column.name]
    unit = take.column.unit
    if unit is None or take.rule == "count":
        return F.col(name)
    if unit in _IN_A_SECOND:
        return F.try_multiply(F.col(name), F.lit(1_000_000 // _IN_A_SECOND[unit]))
    if decimal_of(take.field.type):  # which has a place for the part
        return F.col(name).cast("decimal(22,0)") * F.expr("0.001BD")
    micros = F.expr(f"CASE WHEN pmod({name}, 1000L) = 0 THEN {name} div 1000L END")
    if take.column.type == "long":
        return micros
    instant = F.timestamp_micros(micros)
    return instant if take.column.type == "timestamp_utc" else instant.cast("timestamp_ntz")


def _value(take: Take, at: dict[str, str], options: Options, tz: str) -> Column:
    """Return the value in the schema's type, null where it does not fit."""
    from pyspark.sql import functions as F

    want, assumed = spark_type(take.field.type), take.rule
    if assumed == "null":  # the file lacks the column, or holds nothing in it
        return F.lit(None).cast(want)
    column = _stored(take, at)
    if assumed in ("same", "count"):
        return column
    if assumed == "text":
        return parsed(cleaned(column, options), take.field.type, options, tz)
    if assumed == "json":
        return F.to_json(column)
    if assumed == "whole":
        return F.when((column == F.floor(column)) & column.between(-(2.0**53), 2.0**53), column).try_cast(want)
    if assumed == "exact":
        bound = 2**53 if take.field.type == "double" else 2**24
        return F.when(column.between(-bound, bound), column).cast(want)
    if assumed == "fits":
        fitting = column.try_cast(want)
        return F.when(fitting == column, fitting)
    if assumed == "midnight":
        return F.when(column == F.date_trunc("day", column), column.cast("date"))
    if assumed == "wall":
        return F.convert_timezone(F.lit("UTC"), F.lit(tz), column.cast("timestamp_ntz"))
    if assumed == "instant":
        return F.convert_timezone(F.lit(tz), F.lit("UTC"), column).cast("timestamp_ltz")
    if assumed == "utf8":
        return F.try_validate_utf8(column.cast("string"))
    return column.cast(want)


def _reasons(take: Take, at: dict[str, str], options: Options) -> list[tuple[Column, str]]:
    """Return the faults that a column can have: the condition and the words."""
    from pyspark.sql import functions as F

    field, found = take.field, []
    value = F.col(f"`{field.name}`")
    parted = take.column is not None and take.column.unit is not None and take.rule not in ("count", "null", "json")
    if take.column is not None and (
        parted or take.rule in _REASONS or (take.rule == "text" and field.type not in ("string", "binary"))
    ):
        stored = F.col(at[take.column.name])
        present = stored.isNotNull()
        if take.rule == "text":
            present = written(stored, field.type, options)
        elif take.rule == "whole":
            present = present & ~F.isnan(stored)  # how pandas writes a missing whole number
        said = (
            _REASONS.get(take.rule)
            or (_UNITS[take.column.unit in _IN_A_SECOND] if parted else "")
            or f"is not {_WORDS.get(field.type, 'a number of type ' + field.type)}"
        )
        found.append((value.isNull() & present, f"{field.name} {said}"))
        if not field.nullable:
            found.append((value.isNull() & ~present, f"{field.name} is missing"))
    elif not field.nullable:
        found.append((value.isNull(), f"{field.name} is missing"))
    return found
