"""Convert physical columns to the schema's columns, with the reasons for a row's format errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from caudal.declarations.schema import element_of
from caudal.engine.capability import Capability
from caudal.engine.choice import can, session_engine
from caudal.engine.marks import quoted
from caudal.engine.protocol import lack
from caudal.engine.settings import WIDE_COLUMNS
from caudal.stages.ingest import forms
from caudal.stages.ingest.contract import ColumnBinding
from caudal.stages.ingest.physical import WRONG_WIDTH, Options
from caudal.stages.ingest.raw_json import with_raw
from caudal.stages.ingest.text import has_value, parse_text, without_null_words
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
    """Return Spark's name of a type of the schema."""
    element = element_of(type)
    return f"array<{spark_type(element)}>" if element else SPARK_TYPES.get(type, type)


def cast_columns(
    frame: DataFrame,
    takes: Sequence[ColumnBinding],
    names: Sequence[str],
    options: Options,
    tz: str,
    texts: forms.TextColumns | None = None,
) -> DataFrame:
    """Return the schema's columns, ``_file``, ``_format_errors`` and ``_raw``.

    Parameters
    ----------
    frame : DataFrame, the used columns as ``_r0``, ``_r1`` …, ``_file`` and, for text formats, ``_line``: the text of a line that is not a row;
        ``_fault`` is the reader's reason
    names : the file's names of ``_r0``, ``_r1`` …, in order
    texts : facts about all values of text columns: those whose values are all of the type are not checked for faults
    """
    texts = texts or forms.TextColumns()
    raw_columns = {name: f"_r{i}" for i, name in enumerate(names)}
    reasons = [reason for take in takes if not _is_surely_valid(take, texts) for reason in _reasons(take, raw_columns, options)]
    parses = can(frame.sparkSession, Capability.TEXT_PARSING)
    by_arrow = {
        take.field.name: (raw_columns[take.column.name], take.field.type)
        for take in takes
        if (len(takes) > WIDE_COLUMNS or not parses)
        and take.column is not None
        and take.column.name in texts.column_forms
        and _is_read_by_arrow(take, texts)
    }
    for take in takes if not parses else ():
        if take.rule == "text" and take.field.type != "string" and take.field.name not in by_arrow:
            raise lack(
                session_engine(frame.sparkSession),
                Capability.TEXT_PARSING,
                f"Column '{take.field.name}', with texts of unusual form,",
            )
    quoted_names = [quoted(take.field.name) for take in takes]
    values = {take.field.name: _value(take, raw_columns, options, tz) for take in takes if take.field.name not in by_arrow}
    if by_arrow:
        frame = forms.cast_by_arrow(frame, by_arrow, options, keep_texts=bool(reasons))
        frame = frame.withColumns(values) if values else frame
    no_faults = [F.lit(None).cast("array<string>").alias("_format_errors"), F.lit(None).cast("string").alias("_raw")]
    has_lines = "_line" in frame.columns
    named_values = [value.alias(name) for name, value in values.items()]
    # Names in SQL in place of columns: PySpark calls Java some thirty times for each column object. Connect would parse each text.
    by_name = by_arrow and parses
    if by_arrow:
        named_values = [F.col(name) for name in quoted_names] if not by_name else named_values
    if not reasons and not has_lines:
        return frame.selectExpr(*quoted_names, "_file", *_NOTHING) if by_name else frame.select(*named_values, "_file", *no_faults)
    line_columns = [name for name in ("_line", "_fault", "_number") if name in frame.columns]
    json_options = {"ignoreNullFields": "false"}
    errors, raw = no_faults
    writes_json = can(frame.sparkSession, Capability.TO_JSON)
    if reasons:
        if not by_arrow:  # two steps, so that Spark computes a value once and checks the result for faults
            frame = frame.select(*named_values, *(f"_r{i}" for i in range(len(names))), "_file", *line_columns)
            named_values = [F.col(name) for name in quoted_names]
        is_faulty = _any([condition for condition, _ in reasons])
        row_reasons = F.array(*(F.when(condition, F.lit(reason)) for condition, reason in reasons))
        # Text has many reasons: array_compact, which whole-stage code generation skips, compiles them separately; together with
        # the parsing they would be one method too long for the JVM to compile. The few reasons of typed files stay in the scan's code.
        errors = F.when(
            is_faulty,
            F.array_compact(row_reasons) if has_lines else F.array_except(row_reasons, F.array(F.lit(None).cast("string"))),
        )
        read_columns = (F.col(f"_r{i}").alias(name) for i, name in enumerate(names))
        if writes_json:
            raw = F.when(is_faulty, F.to_json(F.struct(*read_columns), json_options) if names else F.lit("{}"))
    if has_lines:
        is_line = F.col("_line").isNotNull()
        fault = F.col("_fault") if "_fault" in line_columns else F.lit(WRONG_WIDTH)
        errors = F.when(is_line, F.array(fault)).otherwise(errors)
        numbered = F.struct("_line", F.col("_number").alias("_line_number")) if "_number" in line_columns else F.struct("_line")
        if writes_json:
            raw = F.when(is_line, F.to_json(numbered, json_options)).otherwise(raw)
    if not writes_json:
        kept = [F.col(f"_r{i}") for i in range(len(names))] if reasons else []
        values_and_faults = [*(F.col(name) for name in quoted_names)] if reasons or by_arrow else named_values
        faulty = frame.select(
            *values_and_faults, "_file", errors.cast("array<string>").alias("_format_errors"), *kept, *line_columns
        )
        return with_raw(faulty, len(takes) + 2, names if reasons else [])
    fault_columns = {"_format_errors": errors.cast("array<string>"), "_raw": raw}
    if by_name:
        return frame.withColumns(fault_columns).selectExpr(*quoted_names, "_file", *fault_columns)
    return frame.select(*named_values, "_file", *(column.alias(name) for name, column in fault_columns.items()))


def _is_read_by_arrow(take: ColumnBinding, texts: forms.TextColumns) -> bool:
    """Return whether Arrow reads the same values of a column as `_value`, in rows and in quarantined lines, and no others."""
    assert take.column is not None
    return take.rule == "text" and forms.arrow_converts(texts.column_forms[take.column.name].every, take.field.type)


def _is_surely_valid(take: ColumnBinding, texts: forms.TextColumns) -> bool:
    """Return whether every row is known to have a valid value of the type, or null where that is allowed."""
    if take.column is None or take.rule != "text" or not take.field.nullable:
        return False
    name, type = take.column.name, take.field.type
    by_values = take.column.guess is None and type in texts.possible.get(name, ())
    return by_values or (name in texts.column_forms and forms.arrow_reads(texts.column_forms[name].rows, type))


def _any(conditions: list[Column]) -> Column:
    """Return whether any condition holds, as a balanced tree: Spark's recursion would overflow its stack on a chain of thousands."""
    if len(conditions) < 2:
        return conditions[0] if conditions else F.lit(False)
    half = len(conditions) // 2
    return _any(conditions[:half]) | _any(conditions[half:])


def _stored_value(take: ColumnBinding, raw_columns: dict[str, str]) -> Column:
    """Return the file's column; times and durations stored as counts are converted to microseconds, null where they are finer."""
    assert take.column is not None
    name = raw_columns[take.column.name]
    unit = take.column.unit
    if unit is None or take.rule == "count":
        return F.col(name)
    if unit in _IN_A_SECOND:
        return F.try_multiply(F.col(name), F.lit(1_000_000 // _IN_A_SECOND[unit]))
    if decimal_of(take.field.type):  # a decimal can hold the fraction
        return F.col(name).cast("decimal(22,0)") * F.expr("0.001BD")
    micros = F.expr(f"CASE WHEN pmod({name}, 1000L) = 0 THEN {name} div 1000L END")
    if take.column.type == "long":
        return micros
    instant = F.timestamp_micros(micros)
    return instant if take.column.type == "timestamp_utc" else instant.cast("timestamp_ntz")


def _value(take: ColumnBinding, raw_columns: dict[str, str], options: Options, tz: str) -> Column:
    """Return the value in the schema's type, null where it does not fit."""
    target, rule = spark_type(take.field.type), take.rule
    if rule == "null":  # the file lacks the column, or has no value in it
        return F.lit(None).cast(target)
    column = _stored_value(take, raw_columns)
    if rule in ("same", "count"):
        return column
    if rule == "text":
        return parse_text(without_null_words(column, options), take.field.type, options, tz)
    if rule == "json":
        return F.to_json(column)
    if rule == "whole":
        return F.when((column == F.floor(column)) & column.between(-(2.0**53), 2.0**53), column).try_cast(target)
    if rule == "exact":
        bound = 2**53 if take.field.type == "double" else 2**24
        return F.when(column.between(-bound, bound), column).cast(target)
    if rule == "fits":
        fitting = column.try_cast(target)
        assert take.column is not None
        # Two decimals are compared in one type, for which Spark rounds fractions where 38 digits do not hold both: 5.5 is equal to 6.
        compared = fitting.try_cast(take.column.type) if decimal_of(take.column.type) else fitting
        return F.when(compared == column, fitting)
    if rule == "midnight":
        return F.when(column == F.date_trunc("day", column), column.cast("date"))
    if rule == "wall":
        return F.convert_timezone(F.lit("UTC"), F.lit(tz), column.cast("timestamp_ntz"))
    if rule == "instant":
        return F.convert_timezone(F.lit(tz), F.lit("UTC"), column).cast("timestamp_ltz")
    if rule == "utf8":
        return F.try_validate_utf8(column.cast("string"))
    return column.cast(target)


def _reasons(take: ColumnBinding, raw_columns: dict[str, str], options: Options) -> list[tuple[Column, str]]:
    """Return the faults that a column can have: the condition and the reason."""
    field, reasons = take.field, []
    value = F.col(f"`{field.name}`")
    needs_unit = take.column is not None and take.column.unit is not None and take.rule not in ("count", "null", "json")
    if take.column is not None and (
        needs_unit or take.rule in _REASONS or (take.rule == "text" and field.type not in ("string", "binary"))
    ):
        stored = F.col(raw_columns[take.column.name])
        present = stored.isNotNull()
        if take.rule == "text":
            present = has_value(stored, field.type, options)
        elif take.rule == "whole":
            present = present & ~F.isnan(stored)  # pandas writes a missing integer as NaN
        message = (
            _REASONS.get(take.rule)
            or (_UNITS[take.column.unit in _IN_A_SECOND] if needs_unit else "")
            or f"is not {_WORDS.get(field.type, 'a number of type ' + field.type)}"
        )
        reasons.append((value.isNull() & present, f"{field.name} {message}"))
        if not field.nullable:
            reasons.append((value.isNull() & ~present, f"{field.name} is missing"))
    elif not field.nullable:
        reasons.append((value.isNull(), f"{field.name} is missing"))
    return reasons
