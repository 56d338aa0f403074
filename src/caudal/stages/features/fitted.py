"""What a function of a table fits to its rows, such as means or an encoder: fitted when training runs, kept with the model's version."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from caudal.declarations.build_context import current_build_context
from caudal.errors import DeclarationProblem


def fitted(name: str, fit: Callable[[], Any]) -> Any:
    """Return what ``fit`` gives: fitted anew by each training pipeline that makes the table, and as it was fitted otherwise.

    Prediction transforms new rows by what the champion's own training fitted. In a run that trains, the table is made as a whole, so that no two fits meet in
    one table; a fresh home therefore gives the same fit as one that has grown.

    Parameters
    ----------
    name : str, tells it from others of the same table
    fit : function without arguments that computes on Spark or pandas what is to be kept, as JSON can hold it: numbers, text, lists,
        mappings with text as keys. ``caudal check`` calls it on frames without rows

    Raises
    ------
    DeclarationProblem : JSON cannot hold what ``fit`` gives
    """
    made, key = current_build_context(), f"fit:{name}"
    made.asked.add(key)
    known = made.before.get(key)
    if known is None or made.fits == "anew":
        made.require(known, name)
        known = _held(name, fit())
    elif made.fits == "keep":
        made.put_off()
    made.kept[key] = known
    return json.loads(known)


def _held(name: str, value: Any) -> bytes:
    """Return a value as JSON; NumPy's numbers and arrays are taken as Python's."""
    import numpy as np

    def plain(other: Any) -> Any:
        if isinstance(other, np.generic | np.ndarray):
            return other.tolist()
        raise TypeError

    try:
        return json.dumps(value, default=plain).encode()
    except (TypeError, ValueError):
        raise DeclarationProblem(
            f"What is fitted under '{name}' cannot be kept: it is a {type(value).__name__}.",
            fix="Give numbers, text, lists, or mappings with text as keys.",
        ) from None
