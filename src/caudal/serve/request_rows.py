"""A logged request as a line of a file: which columns a version of a model gives, and their values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from caudal.declarations.requests import REQUEST
from caudal.serve.inputs import ABSENT, Row
from caudal.serve.predicting import Answer
from caudal.serve.served import Served

_TYPES = {"timestamp_utc": "timestamp_utc", "array<string>": "strings"}
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True)
class AnsweredRow:
    """A row of a request that was answered.

    Parameters
    ----------
    request : what tells the request from all others
    number : its place in the request, from 0
    at : when it was answered, seconds since 1970
    caller : name of the caller's key, where there is one
    sample : the share of requests that is logged
    """

    request: str
    number: int
    at: float
    served: Served
    row: Row
    answer: Answer
    caller: str | None
    sample: float


class RowLayout:
    """How the rows of a version of a model are written.

    Parameters
    ----------
    served : the version, with its online view

    Attributes
    ----------
    columns : names and types of the values of a line
    """

    def __init__(self, served: Served) -> None:
        self._inputs = list(served.signature.by_name)
        asked = [] if served.lookups is None else [i for i in served.asked.inputs if i.name not in served.signature.by_name]
        self._given = [input_.name for input_ in asked]
        self._classes = list(map(str, served.signature.output.classes or ()))
        self._is_class = bool(self._classes) or served.signature.output.type != "double"
        self.columns = [(field.name, _TYPES.get(field.type, field.type)) for field in REQUEST]
        self.columns += [(column_of(input_.name), input_.type) for input_ in served.signature.inputs]
        for input_ in asked:
            local = input_.time_of is not None and input_.time_of.local
            kind = "timestamp" if local else "timestamp_utc" if input_.type == "time" else input_.type
            self.columns.append((column_of(input_.name), kind))
        self.columns += [(f"probability_{label}", "double") for label in self._classes]

    def line(self, answered: AnsweredRow) -> str:
        """Return a row as a line of JSON without its end."""
        row, answer = answered.row, answered.answer
        get: Callable[[str], Any] = row.values.get
        predicted: Any = answer["prediction"]
        told: Mapping[str, Any] = row.looked_up or {}
        shares: Mapping[str, float] = answer.get("probabilities") or {}  # type: ignore[assignment]
        warnings: Any = answer["warnings"]
        values = [
            answered.request, answered.number, int(answered.at * 1e6), answered.served.product, answered.served.model, answer["version"],
            answered.caller, answered.sample, None if self._is_class else predicted, _text(predicted) if self._is_class else None,
            len(warnings), list(told.get("values", ())), told.get("not_found", []),
        ]  # fmt: skip
        values += map(get, self._inputs)
        if self._given:
            given = row.given or {}
            values += [None if (value := given.get(name)) is ABSENT else value for name in self._given]
        values += [shares.get(label) for label in self._classes]
        return _encode(values)


def column_of(name: str) -> str:
    """Return the column of an input: its name, unless each request has a column of that name.

    Examples
    --------
    >>> column_of("passengers"), column_of("version"), column_of("_day")
    ('passengers', 'input_version', 'input__day')
    """
    return f"input_{name}" if name in REQUEST or name.startswith(("_", "probability_")) else name


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
