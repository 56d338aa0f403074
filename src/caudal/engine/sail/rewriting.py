"""Expressions that differ on Sail, and others that it computes as Spark does."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.engine.sail.cases import Case
from caudal.engine.sail.values import KINDS

INTEGERS = {"tinyint": "int", "smallint": "int", "int": "bigint"}
"""For each type of whole numbers one in which its sums and products cannot overflow."""


def rewritings() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Return name, classes of arguments and the text to compute instead, with ``{0}``, ``{1}`` … for the arguments.

    A rewriting is used only if the comparison finds it equal.
    """
    for kind, wider in INTEGERS.items():
        for name in "+-*":
            # Sail wraps around where Spark raises; the cast back raises on both.
            yield name, (kind, kind), f"cast(cast({{0}} AS {wider}) {name} cast({{1}} AS {wider}) AS {kind})"
    for name in "+-*":
        for one, other in (("bigint", "bigint"), ("int", "bigint"), ("bigint", "int")):
            yield name, (one, other), f"cast(cast({{0}} AS decimal(20,0)) {name} cast({{1}} AS decimal(20,0)) AS bigint)"
    # By its text: Sail's cast of a decimal to bigint wraps around.
    yield "sum", ("bigint",), "cast(cast(sum(cast({0} AS decimal(20,0))) AS string) AS bigint)"
    for kind in ("date", "timestamp"):
        yield "weekday", (kind,), "pmod(dayofweek({0}) + 5, 7)"
        yield "weekday", (kind,), "(dayofweek({0}) + 5) % 7"
    for kind in ("double", "float"):
        # Sail leaves NaN out of account, Spark takes it for the greatest.
        nan = f"cast('NaN' AS {kind})"
        yield "max", (kind,), f"CASE WHEN max(CASE WHEN isnan({{0}}) THEN 1 ELSE 0 END) = 1 THEN {nan} ELSE max({{0}}) END"
        yield "min", (kind,), "coalesce(min(CASE WHEN isnan({0}) THEN NULL ELSE {0} END), min({0}))"
        yield "isnan", (kind,), "coalesce(isnan({0}), false)"
    for name in ("datediff", "date_diff"):
        for kinds in (("date", "date"), ("timestamp", "timestamp"), ("date", "timestamp"), ("timestamp", "date")):
            yield name, kinds, f"cast({name}({{0}}, {{1}}) AS int)"
    for digits in (0, 1, 2, 3, 4, 6):
        # Spark has no negative zero after rounding; beyond 2^52 doubles are whole.
        rounded = f"round({{0}}, {digits}) + 0.0D"
        yield "round", ("double", f"'{digits}'"), f"CASE WHEN abs({{0}}) < 4503599627370496.0D THEN {rounded} ELSE {{0}} + 0.0D END"


def rewriting_cases() -> Iterator[Case]:
    """Return the cases that compare what Spark makes of an expression with what Sail makes of the one in its place."""
    for name, classes, template in rewritings():
        columns = [f"{'ab'[place]}_{KINDS[kind][0]}" if kind in KINDS else kind.strip("'") for place, kind in enumerate(classes)]
        original = f"{columns[0]} {name} {columns[1]}" if name in "+-*" else f"{name}({', '.join(columns)})"
        yield Case(
            original,
            "aggregate" if name in ("sum", "max", "min") else "scalar",
            instead=template.format(*columns),
            template=template,
        )
