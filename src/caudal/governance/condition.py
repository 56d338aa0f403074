"""Translate a condition such as ``zone_id = 7 and pickup_at >= '2023-01-01'`` to Arrow compute; no JVM is needed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from caudal.errors import DeclarationProblem, nearest

_COMPARE = {"EQ": "equal", "NEQ": "not_equal", "GT": "greater", "GTE": "greater_equal", "LT": "less", "LTE": "less_equal"}


def condition(text: str | None) -> Callable[[pa.Table], pa.Array]:
    """Return a function from a table to the mask of its matching rows.

    Raises
    ------
    DeclarationProblem : the text is not a condition, or uses an unsupported kind of condition
    """
    if text is None:
        return lambda rows: pa.array([True] * len(rows), pa.bool_())
    try:
        parsed = sqlglot.parse_one(text, into=sqlglot.exp.Condition, dialect="spark")
    except SqlglotError:
        raise DeclarationProblem(f"'{text}' is not a condition.", fix="Write it as in SQL: zone_id = 7 and hour >= 8.") from None
    return lambda rows: _without_nulls(_of(parsed, rows, text))


def _of(node: Any, rows: pa.Table, text: str) -> pa.ChunkedArray:
    """Return the value of each row; comparisons with null are null, as in SQL."""
    if isinstance(node, exp.Paren):
        return _of(node.this, rows, text)
    if isinstance(node, exp.And | exp.Or):
        join = pc.and_kleene if isinstance(node, exp.And) else pc.or_kleene
        return join(_of(node.left, rows, text), _of(node.right, rows, text))
    if isinstance(node, exp.Not):
        return pc.invert(_of(node.this, rows, text))
    if isinstance(node, exp.Is):
        return pc.is_null(_column(node.this, rows, text))
    if isinstance(node, exp.In) and node.expressions:
        column = _column(node.this, rows, text)
        parts = [pc.equal(column, _value(expression, column.type, text)) for expression in node.expressions]
        mask = parts[0]
        for part in parts[1:]:
            mask = pc.or_kleene(mask, part)
        return mask
    if isinstance(node, exp.Between):
        column = _column(node.this, rows, text)
        low, high = (_value(node.args[name], column.type, text) for name in ("low", "high"))
        return pc.and_kleene(pc.greater_equal(column, low), pc.less_equal(column, high))
    name = _COMPARE.get(type(node).__name__)
    if name is not None:
        column = _column(node.this, rows, text)
        return getattr(pc, name)(column, _value(node.expression, column.type, text))
    raise _unknown(text)


def value_as(text: str, type: pa.DataType) -> object:
    """Parse text as a value of a column's type.

    Raises
    ------
    ValueError : the text is not a value of that type
    """
    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return pa.scalar(text, type)
    if pa.types.is_timestamp(type):
        moment = dt.datetime.fromisoformat(text)
        return (
            pa.scalar(moment, pa.timestamp("us")).cast(type)
            if type.tz is None
            else pa.scalar(moment.replace(tzinfo=moment.tzinfo or dt.UTC), type)
        )
    if pa.types.is_date(type):
        return pa.scalar(dt.date.fromisoformat(text), type)
    if pa.types.is_integer(type):
        return pa.scalar(float(text)).cast(type) if "." in text else pa.scalar(int(text), type)
    return pa.scalar(text).cast(type)


def _value(node: object, type: pa.DataType, text: str) -> object:
    sign = ""
    if isinstance(node, exp.Neg):
        sign, node = "-", node.this
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Cast):  # timestamp '…'
        node = node.this
    if not isinstance(node, exp.Literal):
        raise _unknown(text)
    try:
        return value_as(sign + node.this, type)
    except (ValueError, TypeError):
        raise DeclarationProblem(f"'{node.this}' in '{text}' is not a value of type {type}.") from None


def _column(node: object, rows: pa.Table, text: str) -> pa.ChunkedArray:
    if not isinstance(node, exp.Column):
        raise _unknown(text)
    if node.name not in rows.column_names:
        raise DeclarationProblem(
            f"'{text}' names the column '{node.name}', which is not there.",
            nearest=nearest(node.name, rows.column_names),
            fix=f"There are {', '.join(name for name in rows.column_names if not name.startswith('_'))}.",
        )
    return rows.column(node.name)


def _unknown(text: str) -> DeclarationProblem:
    return DeclarationProblem(
        f"'{text}' is a condition of an unsupported kind.",
        fix="Compare columns with values (=, <>, <, <=, >, >=, in, between, is null), joined by and, or, not.",
    )


def _without_nulls(mask: object) -> object:
    return pc.fill_null(mask, False)
