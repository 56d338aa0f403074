"""Expressions as small trees: what the texts of SQL and the plans of Spark Connect have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ColumnName:
    """A column, or a field of one, by its parts."""

    parts: tuple[str, ...]
    plan_id: int | None = None


@dataclass(frozen=True)
class Literal:
    """A constant: the class of its type, its text if it is a string or a number, and the message that it came as."""

    type_class: str
    text: str | None = None
    message: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Call:
    """A function or an operator with its arguments."""

    name: str
    arguments: tuple[Expression, ...] = ()
    call_site: str = field(default="", compare=False)


@dataclass(frozen=True)
class Cast:
    """A value as another type; the type is Spark's text of it."""

    argument: Expression
    to: str
    mode: str = "cast"
    call_site: str = field(default="", compare=False)


@dataclass(frozen=True)
class Lambda:
    """A function of the elements of an array or a map."""

    parameters: tuple[str, ...]
    body: Expression


@dataclass(frozen=True)
class Variable:
    """A parameter of a lambda."""

    name: str


@dataclass(frozen=True)
class Order:
    """A key of an order: its direction and where nulls come."""

    key: Expression
    ascending: bool = True
    nulls_first: bool = True


@dataclass(frozen=True)
class Bound:
    """An end of a frame: unbounded, the current row, or a distance (negative: before)."""

    kind: str
    distance: Expression | None = None


@dataclass(frozen=True)
class Over:
    """A function over a window."""

    function: Expression
    partition: tuple[Expression, ...] = ()
    order: tuple[Order, ...] = ()
    frame: str | None = None
    lower: Bound = Bound("unbounded")
    upper: Bound = Bound("current row")
    call_site: str = field(default="", compare=False)


@dataclass(frozen=True)
class PythonFunction:
    """A function in Python with its arguments; ``message`` is the one that it came as."""

    kind: str
    arguments: tuple[Expression, ...]
    result: str
    message: Any = field(default=None, compare=False)
    call_site: str = field(default="", compare=False)


@dataclass(frozen=True)
class Renamed:
    """A value under a name."""

    argument: Expression
    name: str


@dataclass(frozen=True)
class AllColumns:
    """All columns of the input."""


@dataclass(frozen=True)
class Unknown:
    """What cannot be told."""

    reason: str
    call_site: str = field(default="", compare=False)


Expression = ColumnName | Literal | Call | Cast | Lambda | Variable | Order | Over | Renamed | AllColumns | PythonFunction | Unknown


def children(expression: Expression) -> Iterator[Expression]:
    """Return the expressions directly within one."""
    match expression:
        case Call(arguments=arguments) | PythonFunction(arguments=arguments):
            yield from arguments
        case Cast(argument=argument) | Renamed(argument=argument):
            yield argument
        case Lambda(body=body):
            yield body
        case Order(key=key):
            yield key
        case Over(function=function, partition=partition, order=order):
            # The function itself is part of the window.
            yield from children(function)
            yield from partition
            yield from order


def walk(expression: Expression) -> Iterator[Expression]:
    """Return an expression and everything within it, from the outside inwards."""
    yield expression
    for child in children(expression):
        yield from walk(child)
