"""Convert documents to values that JSON can represent."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any


def json_ready(document: object, other: Callable[[Any], object] = lambda value: value) -> Any:
    """Return a copy with null for each number that JSON lacks (NaN, infinities), names as text and sequences as lists.

    Parameters
    ----------
    other : converts values of types that JSON lacks; they stay unchanged unless given

    Examples
    --------
    >>> json_ready({"score": float("nan"), "folds": (1.0,)})
    {'score': None, 'folds': [1.0]}
    >>> json_ready({True: 1, 2: 2})
    {'true': 1, '2': 2}
    """
    if isinstance(document, Mapping):
        return {_name(name): json_ready(value, other) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [json_ready(value, other) for value in document]
    if isinstance(document, float) and not math.isfinite(document):
        return None
    return document if document is None or isinstance(document, str | int | float | bool) else other(document)


def _name(name: object) -> str:
    """Return a key as the standard library's ``json`` writes it: ``true`` and ``null`` in JSON's spelling."""
    return json.dumps(name) if name is None or isinstance(name, bool) else str(name)


def text_or_number(value: Any) -> str | float:
    """Return a date or time as text, and a number of another type, such as a decimal, as a float.

    Examples
    --------
    >>> import datetime as dt
    >>> from decimal import Decimal
    >>> json_ready({"day": dt.date(2024, 3, 4), "share": Decimal("0.5")}, text_or_number)
    {'day': '2024-03-04', 'share': 0.5}
    """
    return value.isoformat() if hasattr(value, "isoformat") else (float(value) if hasattr(value, "__float__") else str(value))
