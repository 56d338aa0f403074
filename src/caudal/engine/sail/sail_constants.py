"""Cases with constants in the place of their columns: Sail computes them by other code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyspark.sql.connect.proto as pb

from caudal.engine.sail.cases import Case
from caudal.engine.sail.expressions import Call, ColumnName, Expression, Literal
from caudal.engine.sail.protocol import NotExpressible, to_message
from caudal.engine.sail.results import EngineAgreement, Result, are_close, comparable, error_line
from caudal.engine.sail.sail_rows import SailRows, described_input, rows_of_frame, shown_value

CONSTANTS = 3
"""Number of values of each argument that are tried as constants."""
TOGETHER = 40
"""Number of cases that are computed by one query."""
_INTEGRAL = {"tinyint", "smallint", "int", "bigint"}


@dataclass(frozen=True)
class _Variant:
    """A case with a constant in the place of a column, and the rows in which the column has that value."""

    place: int
    message: pb.Expression
    rows: tuple[int, ...]
    shown: str


def compared_with_constants(
    sail: SailRows, cases: Sequence[Case], references: Sequence[Result], places: Sequence[int]
) -> Iterator[tuple[int, EngineAgreement]]:
    """Compare again with constants in the place of each column: Sail computes them by other code."""
    calm, rest = [], []
    for place in places:
        variants = list(_variants(sail, cases[place], references[place], place))
        if references[place].raised:
            rest += variants[::CONSTANTS]
        else:
            calm += variants
    for start in range(0, len(calm), TOGETHER):
        yield from _constants_together(sail, cases, references, calm[start : start + TOGETHER])
    for variant in rest:
        yield from _constants_together(sail, cases, references, [variant])


def _variants(sail: SailRows, case: Case, reference: Result, place: int) -> Iterator[_Variant]:
    expression = case.expression
    if not isinstance(expression, Call):
        return
    for column in dict.fromkeys(argument for argument in expression.arguments if isinstance(argument, ColumnName)):
        name = column.parts[0]
        by_value: dict[str, tuple[Literal, list[int]]] = {}
        for row, values in sail.rows.items():
            constant = _constant(name, values[name])
            if constant is not None and row in reference.values:
                by_value.setdefault(str(constant), (constant, []))[1].append(row)
        for constant, rows in sorted(by_value.values(), key=lambda pair: -len(pair[1]))[:CONSTANTS]:
            try:
                message = to_message(_replaced(expression, column, constant))
            except NotExpressible:
                continue
            yield _Variant(place, message, tuple(rows), f"{name} = {constant.text!r} as a constant")


def _constants_together(
    sail: SailRows, cases: Sequence[Case], references: Sequence[Result], variants: Sequence[_Variant]
) -> Iterator[tuple[int, EngineAgreement]]:
    rows = variants[0].rows if len(variants) == 1 else None
    try:
        table = rows_of_frame(sail.by_message("scalar", [variant.message for variant in variants], rows))
    except Exception as error:
        if len(variants) > 1:
            half = len(variants) // 2
            yield from _constants_together(sail, cases, references, variants[:half])
            yield from _constants_together(sail, cases, references, variants[half:])
        else:
            (variant,) = variants
            spark = shown_value(references[variant.place].values[variant.rows[0]])
            yield (
                variant.place,
                EngineAgreement("raises", (f"{cases[variant.place].sql}: {variant.shown}", spark, f"error: {error_line(error)}")),
            )
        return
    keys = table.column(0).to_pylist()
    for column, variant in enumerate(variants, start=1):
        values = dict(zip(keys, comparable(table.column(column)), strict=True))
        reference = references[variant.place]
        for row in variant.rows:
            if values.get(row) != reference.values[row]:
                example = (
                    f"{described_input(sail, cases[variant.place], row)}, {variant.shown}",
                    shown_value(reference.values[row]),
                    shown_value(values.get(row)),
                )
                yield (
                    variant.place,
                    EngineAgreement("digits" if are_close(reference.values[row], values.get(row)) else "different", example),
                )
                break


def _replaced(call: Call, column: ColumnName, constant: Literal) -> Expression:
    return Call(call.name, tuple(constant if argument == column else argument for argument in call.arguments))


def _constant(name: str, value: Any) -> Literal | None:
    kind = name.split("_", 1)[1]
    if value is None:
        return None
    if kind in _INTEGRAL or kind == "small":
        return Literal("int" if kind == "small" else kind, str(value))
    if kind in ("double", "string"):
        return Literal(kind, value if kind == "string" else repr(value))
    return None
