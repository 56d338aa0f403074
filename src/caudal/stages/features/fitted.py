"""Values that a table's function fits to its rows, such as means or an encoder: fitted when training runs, kept with the model's version."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from caudal.declarations.build_context import current_build_context
from caudal.errors import DeclarationProblem


def fitted(name: str, fit: Callable[[], object]) -> Any:
    """Return the result of ``fit``: computed anew by each training pipeline that builds the table, otherwise the stored result.

    Prediction transforms new rows by the values that the champion's training fitted. A run that trains computes the table as a
    whole, so that one table never mixes two fits; a fresh home therefore gives the same fit as a grown one.

    Parameters
    ----------
    name : str, distinguishes it from other fitted values of the same table
    fit : function without arguments that computes the value with Spark or pandas; the value must fit into JSON: numbers, text, lists,
        mappings with text as keys. ``caudal check`` calls the function on frames without rows

    Raises
    ------
    DeclarationProblem : JSON cannot hold the result of ``fit``
    """
    context, key = current_build_context(), f"fit:{name}"
    context.fit_names.add(key)
    stored = context.before.get(key)
    if stored is None or context.fits == "anew":
        context.require(stored, name)
        stored = _as_json(name, fit())
    elif context.fits == "keep":
        context.put_off()
    context.kept[key] = stored
    return json.loads(stored)


def _as_json(name: str, value: object) -> bytes:
    """Return a value as JSON; NumPy's numbers and arrays become Python's."""

    def plain(item: object) -> object:
        if isinstance(item, np.generic | np.ndarray):
            return item.tolist()
        raise TypeError

    try:
        return json.dumps(value, default=plain).encode()
    except (TypeError, ValueError):
        raise DeclarationProblem(
            f"The value fitted under '{name}' cannot be stored: it is a {type(value).__name__}.",
            fix="Return numbers, text, lists, or mappings with text as keys.",
        ) from None
