"""How far features may look, read from their plan and code: every length of time and count of rows that occurs in them.

A lag of 47 hours, a frame of 30 rows, ``interval 400 days``: whatever the function, the number that says how far it looks is
a literal in Spark's analysed plan or, where Spark cannot analyse a Python function, among the constants of its code. A bare
number may be of any unit, so each unit is tried; an unneeded length costs only a few made-up rows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHORTEST_S, LONGEST_S = 1.0, 10 * 366 * 86400.0
MOST = 160  # lengths that are tried; those that certainly are times come first
MOST_ROWS = 500
MOST_TEXT = 60  # longer texts are sentences

_UNITS_S = (1e-6, 1.0, 60.0, 3600.0, 86400.0, 0.001)  # microseconds first, the unit of lags and frames over time in plans
_WORDS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "mon": 30 * 86400.0, "y": 365 * 86400.0}
_LITERAL = re.compile(
    r'"class":"org\.apache\.spark\.sql\.catalyst\.expressions\.Literal","num-children":0,"value":"(-?[0-9.E]+)","dataType":"([a-z ]+)'
)
_BY_ROWS = ("expressions.Lead", "expressions.Lag", "expressions.NthValue", "RowFrame", "Python", "Pandas", "Arrow")
_EMPTY = CellType()
_WORDED = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)")


@dataclass(frozen=True)
class Reaches:
    """Lengths of time in seconds, calendar months, and counts of rows that features may look ahead or back."""

    lengths_s: tuple[float, ...] = ()
    months: tuple[int, ...] = ()
    rows: int = 0


def reaches(function: Callable[..., object], result: DataFrame | None) -> Reaches:
    """Return the lengths and counts that occur in a function's plan and code.

    Parameters
    ----------
    result : DataFrame, optional, the function's result for frames without rows; None where it cannot be called on them
    """
    plan = "" if result is None else str(result._jdf.queryExecution().analyzed().toJSON())
    times: dict[float, None] = {}
    numbers: dict[float, None] = {}
    months: set[int] = set()
    counts: set[int] = set()
    for value, kind in dict.fromkeys(_LITERAL.findall(plan)):
        number = abs(float(value))
        if kind.startswith("interval"):
            if kind.split()[1] in ("month", "year"):
                months.add(int(number))
            else:
                times[number / 1e6] = None
        elif kind in ("integer", "long", "short", "byte", "double", "float", "decimal"):
            numbers[number] = None
            if kind == "integer":
                counts.add(int(number))
    for number, word in _constants(function):
        unit = next((size for name, size in _WORDS_S.items() if word.lower().startswith(name)), None) if word else None
        if word.lower().startswith("mon"):
            months.add(int(number))
        elif unit is not None:
            times[number * unit] = None
        numbers[number] = None
        counts.add(int(number))
    for unit in _UNITS_S:
        times |= {number * unit: None for number in numbers}
    lengths = [length for length in times if SHORTEST_S <= length <= LONGEST_S]
    by_rows = result is None or any(name in plan for name in _BY_ROWS)
    rows = max((count for count in counts if count <= MOST_ROWS), default=0) if by_rows else 0
    return Reaches(tuple(lengths[:MOST]), tuple(sorted(month for month in months if 0 < month <= 120))[:12], rows)


def _constants(function: Callable[..., object]) -> list[tuple[float, str]]:
    """Return the numbers in the code of a function and of all that it uses in its module, alone or in a text such as ``"47 hours"``, each with the word after it."""
    constants: dict[tuple[float, str], None] = {}
    queue: list[object] = [function]
    visited: set[int] = set()
    while queue:
        constant = queue.pop(0)
        if id(constant) in visited:
            continue
        visited.add(id(constant))
        if isinstance(constant, FunctionType):
            cells = [cell.cell_contents for cell in constant.__closure__ or () if cell != _EMPTY]
            queue += [constant.__code__, *(constant.__defaults__ or ()), *cells]
            globals_ = [constant.__globals__.get(name) for name in constant.__code__.co_names]
            queue += [value for value in globals_ if not isinstance(value, FunctionType) or value.__module__ == constant.__module__]
        elif isinstance(constant, CodeType):
            queue += constant.co_consts
        elif isinstance(constant, tuple | list | set | frozenset):
            queue += constant
        elif isinstance(constant, dict):
            queue += constant.values()
        elif isinstance(constant, str) and len(constant) <= MOST_TEXT:
            constants |= {(float(number), word): None for number, word in _WORDED.findall(constant)}
        elif isinstance(constant, dt.timedelta):
            constants[abs(constant.total_seconds()), "s"] = None
        elif isinstance(constant, int | float) and not isinstance(constant, bool) and abs(constant) < 1e18:
            constants[abs(float(constant)), ""] = None
    return list(constants)
